"""One number of two models, and how they differ in it."""

from __future__ import annotations

from dataclasses import dataclass

from ppbench.metrics.intervals import Interval
from ppbench.metrics.quantities import Quantity


def groups_of(quantity: Quantity) -> tuple[str, str]:
    """The names of a metric's groups by family and by corruption; the mean error's have no prefix."""
    prefix = "" if quantity.is_plain else f"{quantity.name_of_one}_".lower()
    return f"{prefix}family", f"{prefix}corruption"


def is_adjusted(group: str) -> bool:
    """Whether the p-values of a group are adjusted together (Holm), as those of many tests are."""
    return group != "metric" and not group.startswith("calibration")


@dataclass(frozen=True)
class Difference:
    """One number of both models and their difference, in percent and points, or in nats."""

    group: str
    """``metric`` (the headline), ``family``, ``corruption``, ``cell`` (mean errors), ``ce_family``, …."""
    name: str
    """A headline metric, a family, a corruption, ``fog/3``; in calibration also ``clean`` and ``mean``."""
    metric: str
    """``mean_error``, ``CE``, ``log_loss``, …."""
    label: str
    """The definition of both numbers."""
    reference: float | None
    value: float | None
    unit: str = "%"
    """``%``, ``nats`` or ``places``."""
    points: Interval | None = None
    """``value - reference`` with its paired interval; None if a number or the interval is not available."""
    p: float | None = None
    """Two-sided p-value of no difference; adjusted within the group if it has many tests."""
    detectable: float | None = None
    """The smallest difference that these images reveal with a probability of 80 %, points; None if it is larger than
    any can be."""
    reason: str | None = None
    """Why there is no difference, or no interval."""

    @property
    def change(self) -> float | None:
        """``value - reference``, which exists without an interval too."""
        if self.points is not None:
            return self.points.value
        return None if self.value is None or self.reference is None else self.value - self.reference

    @property
    def in_unit(self) -> str:
        """``, nats`` or ``, places`` after a name in a table of percentages; empty for those."""
        return "" if self.unit == "%" else f", {self.unit}"

    @property
    def key(self) -> tuple[str, str, str]:
        """Unique within a comparison."""
        return self.group, self.name, self.metric

    def is_shown(self, alpha: float) -> bool:
        """Whether the test finds a difference at this level."""
        return self.p is not None and self.p < alpha
