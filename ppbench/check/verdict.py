"""The verdict, from which both the text and the exit code come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ppbench.check.rules import Rule
from ppbench.check.strictness import DEFAULT, FailOn, OnPowerless, Strictness
from ppbench.metrics.intervals import Interval
from ppbench.tables.numbers import decimals, points

PASSED, REGRESSED = 0, 1
"""Exit codes. Errors have 2 to 4 (`ppbench.errors`)."""

NOT_DECIDED = "NOT DECIDED (not failed)"
"""The first words of a headline if no rule fails, but not every rule passes."""

UNDERPOWERED = "underpowered"
"""The mark of a pass whose images could have shown only a drop far larger than allowed. Options and JSON, which scripts
read, still call it powerless."""


class Status(StrEnum):
    """The result of a rule, the worst last. JSON and CSV have these values; people read the `words`."""

    PASS = "pass"
    """The drop is allowed."""
    UNDECIDED = "undecided"
    """The drop is larger than allowed, but may be chance."""
    PERHAPS = "worse, perhaps within the allowance"
    """There certainly is a drop, and it is larger than allowed, but its interval reaches into what is allowed."""
    WORSE = "worse than allowed"
    """The whole interval is larger than allowed."""
    MISSING = "a cell is missing"
    """The run lacks a cell of the rule."""

    @property
    def words(self) -> str:
        """The status as tables and messages call it."""
        return "worse, perhaps allowed" if self is Status.PERHAPS else str(self)


_FAILING = {
    FailOn.WORSE: (Status.WORSE, Status.MISSING),
    FailOn.PERHAPS: (Status.PERHAPS, Status.WORSE, Status.MISSING),
    FailOn.UNDECIDED: (Status.UNDECIDED, Status.PERHAPS, Status.WORSE, Status.MISSING),
}


_OPEN = {Status.UNDECIDED: "This may be chance", Status.PERHAPS: "This may be allowed"}
"""The statuses that more images would decide, with the sentence that says so."""


@dataclass(frozen=True)
class RuleOutcome:
    """One rule, judged."""

    rule: Rule
    status: Status
    drop: Interval | None = None
    """Points of accuracy lost since the baseline, with the paired interval; None if a cell is missing."""
    p: float | None = None
    """Two-sided p-value of no drop, adjusted over all rules."""
    detectable: float | None = None
    """The smallest drop that these images would show with 80 % probability, points."""
    detectable_worse: float | None = None
    """The smallest drop, in points, that these images would show to be worse than allowed with 80 % probability; None
    if it exceeds 100 points."""
    images_needed: int | None = None
    """The number of images that would show this drop to be worse than allowed with 80 % probability. Only for a drop
    larger than allowed that is not shown to be, and only if the dataset has so many images."""
    reason: str | None = None
    """Why there is no drop to judge, or no number of images needed."""
    adjusted: Interval | None = None
    """The drop with the interval that holds for all rules at once and decides the status. Each rule has its share of
    the error probability (Bonferroni), so with several rules it is wider than ``drop``."""

    @property
    def is_powerless(self) -> bool:
        """Whether it is a pass that proves little, because its images could show only drops far larger than allowed.

        Far means more than twice as large, and at least a point larger. If the whole interval is allowed, the pass is
        proved.
        """
        allowed = self.rule.max_drop
        shown = self.detectable
        if self.status is not Status.PASS or shown is None or self.adjusted is None:
            return False
        return self.adjusted.high > allowed and shown > max(2 * allowed, allowed + 1)

    @property
    def detects(self) -> float | None:
        """`detectable`; None if no image changes so much."""
        is_possible = self.detectable is not None and self.detectable <= self.rule.largest
        return self.detectable if is_possible else None

    @property
    def label(self) -> str:
        """The status in words, with a mark if it is an underpowered pass."""
        return f"{self.status.words} ({UNDERPOWERED})" if self.is_powerless else self.status.words


@dataclass(frozen=True)
class Verdict:
    """The outcomes of all rules, judged together."""

    run: str
    baseline: str
    n: int
    """Images."""
    confidence: float
    """1 minus the probability that chance breaks any of the rules."""
    outcomes: tuple[RuleOutcome, ...]
    strictness: Strictness = DEFAULT
    remarks: tuple[str, ...] = ()
    """Allowed differences, and what makes the comparison meaningless."""
    kept: str = "accuracy"
    """What drops: accuracy, or agreement with the clean prediction."""
    unit: str = "image"
    """What the two runs are paired by."""

    @property
    def failed(self) -> tuple[RuleOutcome, ...]:
        """The outcomes that make the verdict a regression."""
        return tuple(outcome for outcome in self.outcomes if self.fails(outcome))

    @property
    def tolerated(self) -> tuple[RuleOutcome, ...]:
        """The outcomes that neither pass nor make the verdict a regression."""
        return tuple(o for o in self.outcomes if o.status is not Status.PASS and not self.fails(o))

    @property
    def powerless(self) -> tuple[RuleOutcome, ...]:
        """The passes that prove little and do not make the verdict a regression."""
        return tuple(outcome for outcome in self.outcomes if outcome.is_powerless and not self.fails(outcome))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Facts that a pass should not hide: remarks, tolerated outcomes, and passes that prove little."""
        tolerated = [f"{outcome.rule.name}: {outcome.label}, but tolerated" for outcome in self.tolerated]
        weak = self.powerless if self.strictness.on_powerless is OnPowerless.WARN else ()
        return (*self.remarks, *tolerated, *(f"{outcome.rule.name}: {weakness(outcome)}" for outcome in weak))

    def fails(self, outcome: RuleOutcome) -> bool:
        """Whether an outcome makes the verdict a regression."""
        return _fails(outcome, self.strictness)

    @property
    def passed(self) -> bool:
        """Whether no outcome makes it a regression."""
        return not self.failed

    @property
    def exit_code(self) -> int:
        """0 or 1."""
        return PASSED if self.passed else REGRESSED

    @property
    def headline(self) -> str:
        """``FAIL: net.pt against base: of 3 rules 1 worse than allowed; 1 undecided; 1 pass (500 images)``.

        Each rule is counted once. Outcomes that fail only because of an option say so. A verdict that is not a
        regression is called a pass only if every rule passes, although the exit code is the same.
        """
        word = "FAIL" if self.failed else NOT_DECIDED if self.tolerated else "PASS"
        return f"{word}: {self.run} against {self.baseline}: {self._counts} ({self.n:,} images)"

    @property
    def _counts(self) -> str:
        """``of 3 rules 1 undecided; 2 pass``, ``all 3 rules pass``, or ``1 rule, passed``."""
        labels = [label for status in reversed(Status) for label in (status.words, f"{status.words} ({UNDERPOWERED})")]
        groups = {label: [outcome for outcome in self.outcomes if outcome.label == label] for label in labels}
        found = [(len(group), f"{label}{self._fails_by_option(group)}") for label, group in groups.items() if group]
        (_, words), *others = found
        if others:
            return f"of {len(self.outcomes)} rules {'; '.join(f'{count} {label}' for count, label in found)}"
        if len(self.outcomes) > 1:
            return f"all {len(self.outcomes)} rules {words}"
        return f"1 rule, passed{words.removeprefix('pass')}" if words.startswith("pass") else f"1 rule, {words}"

    def _fails_by_option(self, group: list[RuleOutcome]) -> str:
        """``, which fails`` for outcomes that would not fail by default."""
        return ", which fails" if self.fails(group[0]) and not _fails(group[0], DEFAULT) else ""

    @property
    def worst(self) -> RuleOutcome:
        """The first outcome with the worst status. An underpowered pass is worse than a plain one."""
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
    lost = f"{outcome.rule.change} {points(drop, confidence, 2, outcome.rule.unit)}; {outcome.rule.max_drop:g} allowed"
    if outcome.is_powerless:
        return f"{lost}. It is {weakness(outcome)}"
    if outcome.status not in _OPEN:
        return lost
    needed = outcome.reason or f"about {outcome.images_needed:,} images would decide it with a probability of 80 %"
    return f"{lost}. {_OPEN[outcome.status]}: {needed}"


def weakness(outcome: RuleOutcome) -> str:
    """Say what the images of an underpowered pass can show."""
    worse, change = outcome.detectable_worse, outcome.rule.change
    found = f"no {change}" if worse is None else f"only a {change} of {decimals(worse, 2)} {outcome.rule.unit} or more"
    return f"{UNDERPOWERED}: with these images, {found} would be found worse than allowed with 80 % probability"
