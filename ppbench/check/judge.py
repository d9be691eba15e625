"""Judging rules: a rule is broken only if the drop is certainly larger than allowed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.check.rules import Rule, resolve
from ppbench.check.strictness import DEFAULT, Strictness, strictness
from ppbench.check.verdict import RuleOutcome, Status, Verdict
from ppbench.compare.comparability import check_allowed
from ppbench.compare.measured import ComparedRun, in_common, read_compared, vary_together
from ppbench.compare.pairing import pair
from ppbench.errors import DataError, UsageError
from ppbench.metrics.intervals import Interval, quantile
from ppbench.metrics.paired import (
    POWER,
    Differences,
    cell_test,
    floored_deviation,
    images_alone,
    images_needed,
    paired_interval,
    paired_test,
    smallest_shown,
)
from ppbench.metrics.per_image import FEWEST
from ppbench.metrics.without_labels import wording
from ppbench.vocabulary import CLEAN, Cell

_ROUNDING = 1e-9
"""Points. A drop that is larger than allowed only by rounding is allowed."""


def check_files(
    run: Path,
    baseline: Path,
    rules: Mapping[str, float],
    *,
    confidence: float = 0.95,
    fail_on: str | None = None,
    on_powerless: str | None = None,
    on_inconclusive: str | None = None,
    allow: Collection[str] = (),
) -> Verdict:
    """Judge a run file against a baseline.

    Args:
        run: A run file with its bits beside it.
        baseline: The run file that drops are counted from, with its bits beside it.
        rules: Points by name (`ppbench.check.rules`).
        confidence: 1 minus the probability that chance breaks any rule.
        fail_on: The mildest verdict that fails: ``worse`` (the default), ``perhaps`` or ``undecided``.
        on_powerless: Effect of an underpowered pass, which proves little: ``pass``, ``warn`` (the default) or ``fail``.
        on_inconclusive: The older name of ``fail_on``: ``pass`` for ``worse``, ``fail`` for ``undecided``.
        allow: Protocol fields that may differ. ``ids`` judges the images that both saw.

    Raises:
        UsageError: If a rule or another value is not allowed.
        DataError: If a file is missing or damaged, has no bits or one image, or the baseline lacks cells of a rule.
        NotComparableError: If the protocols differ in another field, or both saw fewer than two common images.
    """
    quantile(confidence)  # refuses values that are not allowed
    check_allowed(allow)
    strict = strictness(fail_on, on_powerless, on_inconclusive)
    old, new = read_compared([baseline, run])
    return check(new, old, rules, float(confidence), strict, allow)


def check(
    run: ComparedRun,
    baseline: ComparedRun,
    rules: Mapping[str, float],
    confidence: float = 0.95,
    strict: Strictness = DEFAULT,
    allow: Collection[str] = (),
) -> Verdict:
    """Judge a run; see `check_files`."""
    baseline, run, allowed, notes = pair(baseline, run, allow)
    found, old, new = _resolved(rules, baseline, run)
    protocol = new.run.protocol
    if protocol.n < FEWEST:
        raise DataError(
            f"the rule {found[0].name} cannot be tested: {protocol.n} image has no variance",
            "Evaluate at least 2 images, better hundreds: `ppbench eval --limit 500`.",
        )
    drops = [_over_passes(_drops(new, old, rule), new, old, rule) for rule in found]
    pairs = zip(found, drops, strict=True)
    tests = [None if isinstance(drop, str) else _test(new, old, rule, drop) for rule, drop in pairs]
    outcomes = judge(found, drops, tests, confidence, protocol.total)
    remarks = [*notes, *(f"allowed to differ: {words}" for words in allowed)]
    if run.run.model.has_weights_of(baseline.run.model.weights_sha256):
        remarks.append("the run and the baseline have the same weights: this compares a model with itself")
    words = wording(protocol)
    kept = f"{words.kept} (100 % - {words.lost})" if words.shows_lost else words.kept
    return Verdict(
        run.name, baseline.name, protocol.n, confidence, tuple(outcomes), strict, tuple(remarks), kept, words.unit
    )


def _resolved(
    rules: Mapping[str, float], baseline: ComparedRun, run: ComparedRun
) -> tuple[list[Rule], ComparedRun, ComparedRun]:
    """Resolve the rules over the cells that both were asked for, and restrict both to these cells.

    Raises:
        UsageError: If a rule is unknown, or has no such cell.
    """
    resolve(rules, baseline.run.protocol)  # refuses names that are unknown in the whole baseline
    old, new = in_common(baseline, run)
    found = []
    for name, points in rules.items():
        try:
            (rule,) = resolve({name: points}, old.run.protocol)
        except UsageError:
            rule = Rule(name, points, {})
        if not rule.cells:
            raise UsageError(
                f"the rule {name} has no cell that both {baseline.name} and {run.name} were asked for",
                "Leave the rule out, or evaluate both with the same --corruptions and --severities.",
            )
        found.append(rule)
    return found, old, new


def judge(
    rules: Sequence[Rule],
    drops: Sequence[NDArray[np.float64] | Differences | str],
    tests: Sequence[float | None],
    confidence: float,
    total: int | None = None,
) -> list[RuleOutcome]:
    """Judge all rules together: chance breaks any of them with a probability of at most 1 - confidence.

    Args:
        rules: The rules.
        drops: For each rule ``(n,)`` points of accuracy lost by image, what tests use of them, or a text that names a
            missing cell.
        tests: For each rule the p-value of no drop; None if a cell is missing.
        confidence: 1 minus the family-wise error.
        total: Number of images in the dataset. Verdicts never ask for more.
    """
    outcomes = []
    for rule, drop, p in zip(rules, drops, tests, strict=True):
        if isinstance(drop, str):
            outcomes.append(RuleOutcome(rule, Status.MISSING, reason=drop))
        else:
            assert p is not None
            # Bonferroni and Holm reject the same first rule, so they agree on whether a build fails. Bonferroni also
            # has intervals that match its tests.
            outcomes.append(_outcome(rule, drop, min(1.0, p * len(rules)), confidence, len(rules), total))
    return outcomes


def _outcome(
    rule: Rule, drop: NDArray[np.float64] | Differences, p: float, confidence: float, rules: int, total: int | None
) -> RuleOutcome:
    alpha, seen, largest = (1 - confidence) / rules, Differences.of(drop), rule.largest
    adjusted = paired_interval(seen, 1 - alpha, largest)
    status = _status(adjusted, rule.max_drop, is_drop=p < 1 - confidence)
    needed = reason = None
    if status in (Status.UNDECIDED, Status.PERHAPS):
        needed, reason = _needed(seen, rule.max_drop, alpha, total)
    detectable = smallest_shown(seen, alpha, largest)
    worse = smallest_shown(seen, alpha, largest, rule.max_drop) if rule.max_drop else detectable
    return RuleOutcome(
        rule,
        status,
        paired_interval(seen, confidence, largest),
        p,
        detectable,
        worse if worse <= largest else None,
        needed,
        reason,
        adjusted,
    )


def _status(lost: Interval, allowed: float, *, is_drop: bool) -> Status:
    """Derive the status from the interval that holds for all rules at once, and the test of any drop."""
    if lost.value <= allowed + _ROUNDING:
        return Status.PASS
    if not (is_drop and lost.low > 0):
        return Status.UNDECIDED
    return Status.WORSE if lost.low > allowed + _ROUNDING else Status.PERHAPS


def _needed(drop: Differences, allowed: float, alpha: float, total: int | None) -> tuple[int | None, str | None]:
    """The number of images that would show this drop to be larger than allowed, or why there is none."""
    beyond = images_alone(drop, drop.mean - allowed, POWER, alpha)
    if beyond is None:
        return None, f"no number of images decides it, since {drop.passes} passes differ so much: take more `--passes`"
    # More than there are: with these the drop was not decided.
    needed = max(images_needed(floored_deviation(drop), beyond, POWER, alpha), drop.n + 1)
    if total is None or needed <= total:
        return needed, None
    return None, f"all {total:,} images of the dataset are too few to decide it with a probability of 80 %"


def _drops(run: ComparedRun, baseline: ComparedRun, rule: Rule) -> NDArray[np.float64] | str:
    """``(n,)`` points of accuracy lost by image (of uT5D places gained), or a text that names what the run lacks.

    Raises:
        DataError: If the baseline lacks a cell, because then no run can be judged.
    """
    absent = _absent(baseline, rule.cells)
    if absent:
        raise DataError(
            f"the baseline {baseline.name} lacks {absent} of the rule {rule.name}",
            "Write it again: `ppbench check RUN --update-baseline FILE`.",
        )
    absent = _absent(run, rule.cells)
    if absent:
        return f"{run.name} lacks {absent} of this rule (a missing cell fails): finish the evaluation"
    weights = {cell: rule.quantity.scale * weight for cell, weight in rule.weights.items()}
    if rule.quantity.of_errors:
        return run.images.weighted(weights) - baseline.images.weighted(weights)
    new, old = (rule.quantity.images(one.cell_errors) for one in (run, baseline))
    if old is None:
        raise DataError(f"the baseline {baseline.name} has no {rule.name}", f"Leave the rule {rule.name} out.")
    if new is None:
        return f"{run.name} has no {rule.name}: its model has too few classes"
    return new.weighted(weights) - old.weighted(weights)


def _over_passes(
    drop: NDArray[np.float64] | str, run: ComparedRun, baseline: ComparedRun, rule: Rule
) -> Differences | str:
    """Add what varies between passes in which all images share draws."""
    if isinstance(drop, str):
        return drop
    seen, both = Differences.of(drop), vary_together(run, baseline)
    if both is None or not rule.quantity.of_errors:
        return seen
    weights = {cell: rule.quantity.scale * weight for cell, weight in rule.weights.items()}
    return seen.over_passes(both[0].weighted(weights) - both[1].weighted(weights))


def _absent(measured: ComparedRun, cells: Sequence[Cell]) -> str:
    """``the cell fog/5 and 2 more``; empty if no cell is missing."""
    absent = [cell for cell in cells if cell not in measured.images.cells]
    if not absent:
        return ""
    (corruption, severity), *others = absent
    name = f"the cell {corruption if corruption == CLEAN else f'{corruption}/{severity}'}"
    return f"{name} and {len(others)} more" if others else name


def _test(run: ComparedRun, baseline: ComparedRun, rule: Rule, drop: Differences) -> float:
    """The p-value of no drop: the test of cells for one cell of single predictions, else the normal approximation."""
    if list(rule.weights.values()) == [1.0] and run.run.protocol.is_by_image:
        return cell_test(baseline.bits[rule.cells[0]], run.bits[rule.cells[0]])
    return paired_test(drop, rule.largest)
