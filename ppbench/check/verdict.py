"""The verdict: the one object that both the text and the exit code come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ppbench.check.rules import Rule
from ppbench.check.strictness import DEFAULT, FailOn, OnPowerless, Strictness
from ppbench.metrics.intervals import Interval
from ppbench.tables.numbers import decimals, points

PASSED, REGRESSED = 0, 1
"""Exit codes; errors have 2 to 4 (`ppbench.errors`)."""

POWERLESS = "powerless"
"""What a pass is called whose images could have shown only a drop far above the tolerance."""


class Status(StrEnum):
    """What became of a rule, the worst last: one word for one thing, in every output."""

    PASS = "pass"
    """The drop is within the tolerance."""
    UNDECIDED = "undecided"
    """The drop is beyond the tolerance, and may be no drop at all: the images cannot tell."""
    PERHAPS = "worse, perhaps within the allowance"
    """There is a drop for certain, and it is beyond the tolerance, but its interval reaches into it."""
    WORSE = "worse than allowed"
    """The whole interval is beyond the tolerance."""
    MISSING = "a cell is missing"
    """The run lacks a cell of the rule."""


_FAILING = {
    FailOn.WORSE: (Status.WORSE, Status.MISSING),
    FailOn.PERHAPS: (Status.PERHAPS, Status.WORSE, Status.MISSING),
    FailOn.UNDECIDED: (Status.UNDECIDED, Status.PERHAPS, Status.WORSE, Status.MISSING),
}


_OPEN = {Status.UNDECIDED: "This may be chance", Status.PERHAPS: "This may be within the allowance"}
"""What more images would decide, and how this is said."""


@dataclass(frozen=True)
class RuleOutcome:
    """One rule, judged."""

    rule: Rule
    status: Status
    drop: Interval | None = None
    """Points of accuracy lost since the baseline, with the paired interval; None if a cell is missing."""
    p: float | None = None
    """Two-sided, of no drop; adjusted over all rules."""
    detectable: float | None = None
    """The smallest drop that these images would show four times out of five, points."""
    detectable_worse: float | None = None
    """The smallest drop that these images would show to be worse than allowed four times out of five, points; None
    where no drop of 100 points or less is."""
    images_needed: int | None = None
    """To show a drop like this one to be worse than allowed four times out of five; only of a drop beyond the
    tolerance that is not shown to be, and of no more images than the dataset has."""
    reason: str | None = None
    """Why there is no drop to judge, or no number of images needed."""
    adjusted: Interval | None = None
    """The drop with the interval that holds for all rules at once, which the status is read from: each rule has its
    share of the error probability (Bonferroni), so that it is wider than ``drop`` where there are several."""

    @property
    def is_powerless(self) -> bool:
        """Whether it is a pass that proves little: what could have been shown is far above the tolerance.

        That is more than twice the tolerance, and a point above it at least.
        """
        allowed = self.rule.max_drop
        shown = self.detectable
        return self.status is Status.PASS and shown is not None and shown > max(2 * allowed, allowed + 1)

    @property
    def label(self) -> str:
        """The status, and the mark of a powerless pass."""
        return f"{self.status} ({POWERLESS})" if self.is_powerless else str(self.status)


@dataclass(frozen=True)
class Verdict:
    """All rules, judged together."""

    run: str
    baseline: str
    n: int
    """Images."""
    confidence: float
    """1 less the probability that chance breaks any of the rules."""
    outcomes: tuple[RuleOutcome, ...]
    strictness: Strictness = DEFAULT
    remarks: tuple[str, ...] = ()
    """What differs and was allowed to, and what makes the comparison void."""

    @property
    def failed(self) -> tuple[RuleOutcome, ...]:
        """What makes the verdict a regression."""
        return tuple(outcome for outcome in self.outcomes if self.fails(outcome))

    @property
    def tolerated(self) -> tuple[RuleOutcome, ...]:
        """What is no pass and does not make the verdict a regression."""
        return tuple(o for o in self.outcomes if o.status is not Status.PASS and not self.fails(o))

    @property
    def powerless(self) -> tuple[RuleOutcome, ...]:
        """The passes that prove little and do not make the verdict a regression."""
        return tuple(outcome for outcome in self.outcomes if outcome.is_powerless and not self.fails(outcome))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a pass should not hide: the remarks, the tolerated outcomes, and passes that prove little."""
        tolerated = [f"{outcome.rule.name}: {outcome.status}, but tolerated" for outcome in self.tolerated]
        weak = self.powerless if self.strictness.on_powerless is OnPowerless.WARN else ()
        return (*self.remarks, *tolerated, *(f"{outcome.rule.name}: {weakness(outcome)}" for outcome in weak))

    def fails(self, outcome: RuleOutcome) -> bool:
        """Whether an outcome makes the verdict a regression."""
        return _fails(outcome, self.strictness)

    @property
    def passed(self) -> bool:
        """Whether nothing makes it a regression."""
        return not self.failed

    @property
    def exit_code(self) -> int:
        """0 or 1."""
        return PASSED if self.passed else REGRESSED

    @property
    def headline(self) -> str:
        """``FAIL: net.pt against base: of 3 rules 1 worse than allowed; 1 undecided; 1 pass (500 images)``.

        No rule is counted twice; what fails by an option is said to.
        """
        labels = [label for status in reversed(Status) for label in (status, f"{status} ({POWERLESS})")]
        groups = {label: [outcome for outcome in self.outcomes if outcome.label == label] for label in labels}
        counts = [f"{len(group)} {label}{self._fails_by_option(group)}" for label, group in groups.items() if group]
        rules = "1 rule" if len(self.outcomes) == 1 else f"{len(self.outcomes)} rules"
        word = "PASS" if self.passed else "FAIL"
        return f"{word}: {self.run} against {self.baseline}: of {rules} {'; '.join(counts)} ({self.n:,} images)"

    def _fails_by_option(self, group: list[RuleOutcome]) -> str:
        """``, which fails``, of outcomes that need not."""
        return ", which fails" if self.fails(group[0]) and not _fails(group[0], DEFAULT) else ""

    @property
    def worst(self) -> RuleOutcome:
        """The first of the outcomes with the worst status; of passes, a powerless one."""
        order = list(Status)
        return max(self.outcomes, key=lambda outcome: (order.index(outcome.status), outcome.is_powerless))

    @property
    def text(self) -> str:
        """The headline, a line for each rule, and the warnings."""
        lines = [f"{o.rule.name}: {o.label}: {outcome_text(o, self.confidence)}" for o in self.outcomes]
        return "\n".join([self.headline, *lines, *(f"warning: {warning}" for warning in self.warnings)])


def _fails(outcome: RuleOutcome, strict: Strictness) -> bool:
    if outcome.is_powerless:
        return strict.on_powerless is OnPowerless.FAIL
    return outcome.status in _FAILING[strict.fail_on]


def outcome_text(outcome: RuleOutcome, confidence: float) -> str:
    """An outcome in words.

    ``drop +1.80 points, 95 % interval +0.93 to +2.67; 0.5 allowed``
    """
    drop = outcome.adjusted
    if drop is None:
        return f"{outcome.reason}"
    lost = f"drop {points(drop, confidence, 2)}; {outcome.rule.max_drop:g} allowed"
    if outcome.is_powerless:
        return f"{lost}. It is {weakness(outcome)}"
    if outcome.status not in _OPEN:
        return lost
    return f"{lost}. {_OPEN[outcome.status]}: {outcome.reason or _needed(outcome)}"


def _needed(outcome: RuleOutcome) -> str:
    return f"about {outcome.images_needed:,} images would decide it with a probability of 80 %"


def weakness(outcome: RuleOutcome) -> str:
    """What the images of a powerless pass can show, in words."""
    worse = outcome.detectable_worse
    found = "no drop" if worse is None else f"only a drop of {decimals(worse, 2)} points or more"
    return f"{POWERLESS}: with these images, {found} would be found worse than allowed four times out of five"
