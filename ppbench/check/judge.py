"""Judging rules: a drop breaks one only if it is for certain larger than the tolerance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.check.rules import Rule, resolve
from ppbench.check.strictness import DEFAULT, Strictness, strictness
from ppbench.check.verdict import RuleOutcome, Status, Verdict
from ppbench.compare.comparability import check_allowed
from ppbench.compare.measured import ComparedRun, in_common, read_compared
from ppbench.compare.pairing import pair
from ppbench.errors import DataError, UsageError
from ppbench.metrics.intervals import Interval, quantile
from ppbench.metrics.paired import (
    MOST_POINTS,
    POWER,
    cell_test,
    floored_deviation,
    images_needed,
    paired_interval,
    paired_test,
    smallest_shown,
)
from ppbench.metrics.per_image import FEWEST
from ppbench.vocabulary import CLEAN, Cell

_ROUNDING = 1e-9
"""Points: a drop that is the tolerance but for the last bits is within it."""


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
        run: A run file, with its bits beside it.
        baseline: The same, what drops are counted from.
        rules: Points by name (`ppbench.check.rules`).
        confidence: 1 less the probability that any rule is broken by chance.
        fail_on: The mildest verdict that fails: ``worse`` (the default), ``perhaps`` or ``undecided``.
        on_powerless: What a pass does that proves little: ``pass``, ``warn`` (the default) or ``fail``.
        on_inconclusive: The older name of ``fail_on``: ``pass`` for ``worse``, ``fail`` for ``undecided``.
        allow: Fields of the protocol that may differ; ``ids``: judge the images that both saw.

    Raises:
        UsageError: If a rule or another value is not allowed.
        DataError: If a file is missing or damaged, has no bits or one image, or the baseline lacks cells of a rule.
        NotComparableError: If the protocols differ in what is not allowed, or there are no two images that both saw.
    """
    quantile(confidence)  # refuses what is none
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
    drops = [_drops(new, old, rule) for rule in found]
    pairs = zip(found, drops, strict=True)
    tests = [None if isinstance(drop, str) else _test(new, old, rule, drop) for rule, drop in pairs]
    outcomes = judge(found, drops, tests, confidence, protocol.total)
    remarks = [*notes, *(f"allowed to differ: {words}" for words in allowed)]
    if run.run.model.has_weights_of(baseline.run.model.weights_sha256):
        remarks.append("the run and the baseline have the same weights: this compares a model with itself")
    return Verdict(run.name, baseline.name, protocol.n, confidence, tuple(outcomes), strict, tuple(remarks))


def _resolved(
    rules: Mapping[str, float], baseline: ComparedRun, run: ComparedRun
) -> tuple[list[Rule], ComparedRun, ComparedRun]:
    """The rules over the cells that both were asked for, and both with these.

    Raises:
        UsageError: If a rule is none, or has no such cell.
    """
    resolve(rules, baseline.run.protocol)  # refuses what would be no rule of the baseline either
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
    drops: Sequence[NDArray[np.float64] | str],
    tests: Sequence[float | None],
    confidence: float,
    total: int | None = None,
) -> list[RuleOutcome]:
    """Judge all rules together, so that chance breaks any of them with no more than 1 - confidence.

    Args:
        rules: The rules.
        drops: ``(n,)`` points of accuracy lost by image for each, or in words which cell the run lacks.
        tests: The p-value of each, of no drop; None where there is no drop.
        confidence: 1 less the family-wise error.
        total: Images of the dataset, more than which nobody is told to evaluate.
    """
    outcomes = []
    for rule, drop, p in zip(rules, drops, tests, strict=True):
        if isinstance(drop, str):
            outcomes.append(RuleOutcome(rule, Status.MISSING, reason=drop))
        else:
            assert p is not None
            # The first rule that Holm's procedure rejects is the first of Bonferroni's: as to whether a build fails
            # they agree, and of these there are intervals that say what the tests say.
            outcomes.append(_outcome(rule, drop, min(1.0, p * len(rules)), confidence, len(rules), total))
    return outcomes


def _outcome(
    rule: Rule, drop: NDArray[np.float64], p: float, confidence: float, rules: int, total: int | None
) -> RuleOutcome:
    alpha = (1 - confidence) / rules
    adjusted = paired_interval(drop, 1 - alpha)
    status = _status(adjusted, rule.max_drop, is_drop=p < 1 - confidence)
    needed = reason = None
    if status in (Status.UNDECIDED, Status.PERHAPS):
        needed, reason = _needed(drop, rule.max_drop, alpha, total)
    worse = smallest_shown(drop, alpha, allowed=rule.max_drop)
    return RuleOutcome(
        rule,
        status,
        paired_interval(drop, confidence),
        p,
        smallest_shown(drop, alpha),
        worse if worse <= MOST_POINTS else None,
        needed,
        reason,
        adjusted,
    )


def _status(lost: Interval, allowed: float, *, is_drop: bool) -> Status:
    """Read the interval that holds for all rules at once; ``is_drop``: the test finds that something was lost."""
    if lost.value <= allowed + _ROUNDING:
        return Status.PASS
    if not (is_drop and lost.low > 0):
        return Status.UNDECIDED
    return Status.WORSE if lost.low > allowed + _ROUNDING else Status.PERHAPS


def _needed(
    drop: NDArray[np.float64], allowed: float, alpha: float, total: int | None
) -> tuple[int | None, str | None]:
    """How many images would show that this drop is more than is allowed, or why there is no such number."""
    needed = images_needed(floored_deviation(drop), float(drop.mean()) - allowed, POWER, alpha)
    needed = max(needed, len(drop) + 1)
    if total is None or needed <= total:
        return needed, None
    return None, f"all {total:,} images of the dataset are too few to decide it with a probability of 80 %"


def _drops(run: ComparedRun, baseline: ComparedRun, rule: Rule) -> NDArray[np.float64] | str:
    """``(n,)`` points of accuracy lost by image, or in words which cell the run lacks.

    Raises:
        DataError: If the baseline lacks one: the rule cannot be judged by anyone.
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
    weights = {cell: 100 * weight for cell, weight in rule.weights.items()}
    return run.images.weighted(weights) - baseline.images.weighted(weights)


def _absent(measured: ComparedRun, cells: Sequence[Cell]) -> str:
    """``the cell fog/5 and 2 more``; empty if none is."""
    absent = [cell for cell in cells if cell not in measured.images.cells]
    if not absent:
        return ""
    (corruption, severity), *others = absent
    name = f"the cell {corruption if corruption == CLEAN else f'{corruption}/{severity}'}"
    return f"{name} and {len(others)} more" if others else name


def _test(run: ComparedRun, baseline: ComparedRun, rule: Rule, drop: NDArray[np.float64]) -> float:
    """The p-value of no drop: of one cell or, by the normal approximation, over several."""
    if list(rule.weights.values()) == [1.0]:
        return cell_test(baseline.bits[rule.cells[0]], run.bits[rule.cells[0]])
    return paired_test(drop)
