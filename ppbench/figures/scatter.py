"""The content of a scatter plot of several runs: clean error against error on corrupted images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ppbench.figures.colours import LINE_STYLES, MOST_LINES
from ppbench.figures.scales import ticks
from ppbench.figures.together import distinct, require_drawn_together
from ppbench.metrics.metric import Metric
from ppbench.metrics.published import published_sets
from ppbench.report.summary import RunSummary
from ppbench.tables.sheet import short_name

MOST_POINTS_OF_RUNS = MOST_LINES**2
"""The most runs in a scatter plot: each has its own pair of a colour and a marker."""


@dataclass(frozen=True)
class ScatterPoint:
    """One run, or one published result."""

    name: str
    x: Metric
    y: Metric
    source: str | None = None
    """Where a published result, which is drawn in grey, was published; None for a run."""

    @property
    def has_values(self) -> bool:
        """Whether it has a place."""
        return self.x.value is not None and self.y.value is not None


@dataclass(frozen=True)
class Scatter:
    """Runs of one protocol, each a point with its intervals."""

    title: str
    x_label: str
    y_label: str
    """Full labels of the two metrics."""
    runs: tuple[ScatterPoint, ...]
    published: tuple[ScatterPoint, ...]
    confidence: float | None
    """Confidence of the intervals; None if no run has any."""

    @classmethod
    def of(
        cls,
        summaries: Sequence[RunSummary],
        names: Sequence[str] | None = None,
        quantity: str | None = None,
        allow: Sequence[str] = (),
    ) -> Scatter:
        """Make a point of each run.

        Args:
            summaries: Runs of one protocol.
            names: Their names, if not the models'.
            quantity: What is on the y axis, ``mCE`` or ``mean_error``; None: mCE where all runs have it with one
                normaliser, else the mean error.
            allow: Fields of the protocol that may differ.

        Raises:
            UsageError: If there are too many runs.
            NotComparableError: If protocols differ.
        """
        called = distinct(summaries, names, MOST_POINTS_OF_RUNS)
        require_drawn_together(summaries, called, allow)
        if quantity is None:
            ratios = [_headline(one, "mCE") for one in summaries]
            is_one = len({metric.label for metric in ratios}) == 1 and all(m.value is not None for m in ratios)
            quantity = "mCE" if is_one else "mean_error"
        runs = tuple(
            ScatterPoint(name, _headline(one, "clean_error"), _headline(one, quantity))
            for name, one in zip(called, summaries, strict=True)
        )
        return cls(
            title="Clean error and error on corrupted images, %",
            x_label=runs[0].x.label,
            y_label=runs[0].y.label,
            runs=runs,
            published=tuple(_published(summaries, runs)),
            confidence=next((one.confidence for one in summaries if one.confidence is not None), None),
        )

    @property
    def x_name(self) -> str:
        """The x axis in short, with its unit."""
        return f"{short_name(self.x_label.partition('[')[0])}, %"

    @property
    def y_name(self) -> str:
        """The y axis in short, with its unit."""
        return f"{short_name(self.y_label.partition('[')[0])}, %"

    @property
    def axes_in_full(self) -> str:
        """The full labels of both axes, for a caption."""
        return f"Across: {self.x_label}. Up: {self.y_label}"

    @property
    def x_ticks(self) -> list[float]:
        """Ticks that reach around all points and intervals."""
        return _ticks([point.x for point in (*self.runs, *self.published) if point.has_values])

    @property
    def y_ticks(self) -> list[float]:
        """Ticks that reach around all points and intervals."""
        return _ticks([point.y for point in (*self.runs, *self.published) if point.has_values])


def point_style(number: int) -> tuple[int, str]:
    """The number of the colour, and the marker, of a run's point: no two of `MOST_POINTS_OF_RUNS` share both."""
    colour, turn = number % MOST_LINES, number // MOST_LINES
    return colour, LINE_STYLES[(colour + turn) % MOST_LINES].marker


def _headline(summary: RunSummary, name: str) -> Metric:
    return next(metric for metric in summary.metrics if metric.name == name)


def _published(summaries: Sequence[RunSummary], runs: Sequence[ScatterPoint]) -> list[ScatterPoint]:
    """The published results whose labels on both axes, and whose dataset, are those of all runs."""
    protocols = [summary.cell_errors.protocol for summary in summaries]
    found = []
    for one in published_sets().values():
        if not all(protocol is not None and protocol.dataset == one.dataset for protocol in protocols):
            continue
        for entry in one.rows:
            metrics = entry.metrics
            if all(run.x.label in metrics and run.y.label in metrics for run in runs):
                x, y = metrics[runs[0].x.label], metrics[runs[0].y.label]
                found.append(ScatterPoint(entry.name, x, y, entry.source))
    return found


def _ticks(metrics: Sequence[Metric]) -> list[float]:
    values = [metric.value for metric in metrics if metric.value is not None]
    ends = [end for metric in metrics if metric.interval for end in (metric.interval.low, metric.interval.high)]
    if not values:
        return ticks(0, 100, 4)
    return ticks(min([*values, *ends]), max([*values, *ends]), 4)
