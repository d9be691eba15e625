"""The verdict: the one object that both the text and the exit code come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ppbench.check.rules import Rule
from ppbench.compare.words import p_value, percent, points, signed
from ppbench.metrics.intervals import Interval

PASSED, REGRESSED = 0, 1
"""Exit codes; errors have 2 to 4 (`ppbench.errors`)."""


class Status(StrEnum):
    """What became of a rule."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class OnInconclusive(StrEnum):
    """What a drop beyond tolerance that may be chance does."""

    PASS = "pass"
    FAIL = "fail"


@dataclass(frozen=True)
class Outcome:
    """One rule, judged."""

    rule: Rule
    status: Status
    drop: Interval | None = None
    """Points of accuracy lost since the baseline, with the paired interval; None if a cell is missing."""
    p: float | None = None
    """Two-sided, of no drop; adjusted over all rules."""
    detectable: float | None = None
    """The smallest drop that these images would show four times out of five, points."""
    images_needed: int | None = None
    """To show a drop like this one four times out of five; only of what is inconclusive, and of no more images than the
    dataset has."""
    reason: str | None = None
    """Why there is no drop to judge, or no number of images needed."""
    adjusted: Interval | None = None
    """The drop with the interval that holds for all rules at once: each has its share of the error probability
    (Bonferroni), so that it is wider than ``drop`` where there are several rules."""


@dataclass(frozen=True)
class Verdict:
    """All rules, judged together."""

    run: str
    baseline: str
    n: int
    """Images."""
    confidence: float
    outcomes: tuple[Outcome, ...]
    on_inconclusive: OnInconclusive = OnInconclusive.PASS
    remarks: tuple[str, ...] = ()
    """What differs and was allowed to, and what makes the comparison void."""

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """What makes the verdict a regression."""
        return tuple(outcome for outcome in self.outcomes if self.fails(outcome))

    @property
    def tolerated(self) -> tuple[Outcome, ...]:
        """What is inconclusive and does not make the verdict a regression."""
        open_ones = (outcome for outcome in self.outcomes if outcome.status is Status.INCONCLUSIVE)
        return tuple(outcome for outcome in open_ones if not self.fails(outcome))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a pass should not hide: the remarks, and what is inconclusive and let pass."""
        return (*self.remarks, *(f"{outcome.rule.name}: inconclusive, and let pass" for outcome in self.tolerated))

    def fails(self, outcome: Outcome) -> bool:
        """Whether an outcome makes the verdict a regression."""
        strict = self.on_inconclusive is OnInconclusive.FAIL
        return outcome.status is Status.FAIL or (strict and outcome.status is Status.INCONCLUSIVE)

    @property
    def passed(self) -> bool:
        """Whether no rule is broken."""
        return not self.failed

    @property
    def exit_code(self) -> int:
        """0 or 1."""
        return PASSED if self.passed else REGRESSED

    @property
    def headline(self) -> str:
        """``FAIL: net.pt against base: 1 of 3 rules broken, 1 inconclusive (500 images)``.

        No rule is counted twice; inconclusive ones that fail are said to.
        """
        broken = sum(outcome.status is Status.FAIL for outcome in self.outcomes)
        open_ones = sum(outcome.status is Status.INCONCLUSIVE for outcome in self.outcomes)
        counts = [f"{broken} of {len(self.outcomes)} rules broken"]
        strict = ", which fails" if self.on_inconclusive is OnInconclusive.FAIL else ""
        counts += [f"{open_ones} inconclusive{strict}"] if open_ones else []
        word = "PASS" if self.passed else "FAIL"
        return f"{word}: {self.run} against {self.baseline}: {', '.join(counts)} ({self.n:,} images)"

    @property
    def text(self) -> str:
        """The headline, a line for each rule, and the warnings."""
        lines = [f"{o.status.upper()}  {o.rule.name}: {describe(o, self.confidence)}" for o in self.outcomes]
        return "\n".join([self.headline, *lines, *(f"warning: {warning}" for warning in self.warnings)])


def describe(outcome: Outcome, confidence: float) -> str:
    """An outcome in words.

    ``drop +1.80 points, 95 % interval +0.93 to +2.67, adjusted p 0.001; 0.5 allowed``
    """
    allowed = f"{outcome.rule.max_drop:g} allowed"
    drop, p = outcome.drop, outcome.p
    if drop is None or p is None:
        return f"{outcome.reason}"
    lost = f"drop {points(drop, confidence, 2)}, adjusted p {p_value(p)}; {allowed}"
    if outcome.images_needed is not None:
        needed = f"about {outcome.images_needed:,} images would decide it with a probability of 80 %"
        return f"{lost}. This may be chance: {needed}"
    if outcome.status is Status.INCONCLUSIVE:
        return f"{lost}. This may be chance: {outcome.reason}"
    return lost


def interval_words(outcome: Outcome) -> tuple[str, str]:
    """The drop and its interval for a table, and what stands there without one."""
    if outcome.drop is None:
        return "n/a", "n/a"
    return signed(outcome.drop.value, 2), f"{signed(outcome.drop.low, 2)} to {signed(outcome.drop.high, 2)}"


def column_of_interval(confidence: float) -> str:
    """``95 % interval``."""
    return f"{percent(confidence)} interval"
