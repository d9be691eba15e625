"""The content of a forest plot: the paired differences of a `Comparison`, each with its interval and its mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ppbench.compare.comparison import Comparison
from ppbench.compare.difference import Difference
from ppbench.figures.content import as_metric
from ppbench.figures.scales import ticks
from ppbench.metrics.metric import Metric
from ppbench.metrics.without_labels import quantities_of, quantity_called, wording
from ppbench.tables.sheet import short_name
from ppbench.vocabulary import family_of


@dataclass(frozen=True)
class ForestRow:
    """One difference, as a point with its interval."""

    name: str
    kind: Literal["metric", "family", "corruption"]
    difference: Difference
    is_shown: bool
    """Whether the test finds a difference; by family and by corruption the p-values are adjusted (Holm)."""

    @property
    def metric(self) -> Metric:
        """The difference as a number."""
        found = as_metric(self.difference)
        assert found is not None
        return found

    @property
    def verdict(self) -> Literal["better", "worse", "undecided"]:
        """What the difference says of the other run, if it is shown."""
        change = self.difference.change
        if not self.is_shown or not change:
            return "undecided"
        quantity = quantity_called(self.difference.metric)
        higher_is_better = quantity is not None and quantity.higher_is_better
        return "better" if (change > 0) is higher_is_better else "worse"


@dataclass(frozen=True)
class ForestSection:
    """Rows with a common axis."""

    heading: str
    rows: tuple[ForestRow, ...]

    @property
    def ticks(self) -> list[float]:
        """The ticks of the axis, which has 0 and all intervals."""
        metrics = [row.metric for row in self.rows]
        ends = [end for m in metrics if m.interval for end in (m.interval.low, m.interval.high)]
        ends += [m.value for m in metrics if m.value is not None]
        return ticks(min([0.0, *ends]), max([0.0, *ends]), 4)


@dataclass(frozen=True)
class Forest:
    """The paired differences between two runs."""

    title: str
    reference: str
    other: str
    confidence: float
    sections: tuple[ForestSection, ...]
    """Headline metrics, then the mean error by family and corruption: each has its own axis."""
    higher_is_better: tuple[str, ...]
    """The metrics of such runs of which a better model has more."""
    fewer: str
    """What the better model does, such as ``makes fewer errors``."""
    what: str = "corruption"
    """``perturbation`` of sequences."""
    unit: str = "image"
    """What the two are paired by."""

    @classmethod
    def of(cls, comparison: Comparison) -> Forest:
        """Take the rows of a comparison. Metrics that need a normaliser are left out without one."""

        def row(difference: Difference, kind: Literal["metric", "family", "corruption"], name: str) -> ForestRow:
            return ForestRow(name, kind, difference, difference.is_shown(comparison.alpha))

        headline = [d for d in comparison.group("metric") if d.reference is not None or d.value is not None]
        by_family = []
        for family in comparison.group("family"):
            by_family.append(row(family, "family", family.name))
            members = [d for d in comparison.group("corruption") if family_of(d.name) == family.name]
            by_family += [row(member, "corruption", member.name) for member in members]
        metrics = tuple(
            row(d, "metric", short_name(d.name) + ("" if d.unit == "%" else f", {d.unit}")) for d in headline
        )
        words = wording(comparison.reference.run.protocol)
        sections = [
            ForestSection("headline metrics", metrics),
            ForestSection(f"{words.mean} by family and {words.what}", tuple(by_family)),
        ]
        names = comparison.other.name, comparison.reference.name
        title = f"{names[0]} against {names[1]}: change in points, paired by {words.unit}"
        shown, protocol = tuple(one for one in sections if one.rows), comparison.reference.run.protocol
        more = tuple(name for name, quantity in quantities_of(protocol).items() if quantity.higher_is_better)
        fewer = f"{words.verb} fewer {words.made}"
        return cls(title, names[1], names[0], comparison.confidence, shown, more, fewer, words.what, words.unit)
