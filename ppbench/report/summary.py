"""The document: all that is reported of one run, computed once, so that no two formats can disagree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from ppbench.metrics.calibration import calibration_metrics
from ppbench.metrics.cell_errors import CellErrors, WorstCell
from ppbench.metrics.corruption_error import (
    headline_metrics,
    mean_corruption_error,
    mean_error,
    relative_mean_corruption_error,
)
from ppbench.metrics.intervals import Interval, SequenceInterval
from ppbench.metrics.metric import Metric
from ppbench.metrics.references import Normalizer
from ppbench.run import Run, Stopping
from ppbench.vocabulary import SEVERITIES, family_of, older_set_label, set_label

if TYPE_CHECKING:
    # Only the bits need numpy: `ppbench show` answers sooner without it.
    import numpy as np
    from numpy.typing import NDArray

    from ppbench.metrics.margins import Margins


@dataclass(frozen=True)
class SummaryRow:
    """The results over one corruption, or over several of them."""

    name: str
    """A corruption, a family, or ``mean`` for the headline corruptions."""
    corruptions: tuple[str, ...]
    errors: Mapping[int, Metric]
    """Mean error by severity."""
    mean_error: Metric
    ce: Metric
    relative_ce: Metric

    @property
    def accuracies(self) -> dict[int, float | None]:
        """Mean accuracy by severity, fractions; None where a cell is missing."""
        values = {severity: metric.value for severity, metric in self.errors.items()}
        return {severity: None if value is None else 1 - value / 100 for severity, value in values.items()}

    @property
    def accuracy_intervals(self) -> dict[int, Interval | None]:
        """Of these, fractions; None where there is none."""
        return {severity: accuracy_interval(metric) for severity, metric in self.errors.items()}


@dataclass(frozen=True)
class RunSummary:
    """What is reported of one run."""

    accuracies: CellErrors
    normalizer: str
    """Name, or ``none``."""
    baseline: str | None
    metrics: tuple[Metric, ...]
    """The headline."""
    corruptions: tuple[SummaryRow, ...]
    families: tuple[SummaryRow, ...]
    """One for each family of which a corruption is present; ``other`` has those of no published set."""
    overall: SummaryRow
    """Over the headline corruptions."""
    severities: Mapping[int, Metric]
    """Mean error over the headline corruptions by severity."""
    worst_cell: WorstCell | None
    calibration: tuple[Metric, ...]
    """Empty for a CSV, which has no counts."""
    confidence: float | None
    """Of the intervals; None if there are none."""
    interval_notes: tuple[str, ...]
    """What the intervals are, or why there are none."""
    stopping: Stopping | None
    """How the evaluation ended, if it was by what it had found."""

    def family(self, name: str) -> list[SummaryRow]:
        """The corruptions of a family."""
        return [row for row in self.corruptions if family_of(row.name) == name]


def accuracy_interval(error: Metric) -> Interval | None:
    """The interval of the accuracy, a fraction, from that of the error in percent."""
    if error.interval is None:
        return None
    value, low, high = error.interval
    return error.interval._replace(value=1 - value / 100, low=1 - high / 100, high=1 - low / 100)


def summarise(
    results: CellErrors | Run,
    normalizer: Normalizer | None = None,
    baseline: CellErrors | None = None,
    *,
    bits: Mapping[tuple[str, int], NDArray[np.bool_]] | None = None,
    confidence: float = 0.95,
    no_bits: str | None = None,
) -> RunSummary:
    """Compute everything that is reported.

    Args:
        results: A run, or bare accuracies (which have no calibration).
        normalizer: The denominators of CE; None leaves CE and mCE out.
        baseline: The model that R_net compares with.
        bits: The run's correctness bits (`ppbench.run.read_bits`), for intervals. Those of a normaliser and a baseline
            come with them (`CellErrors.from_run`).
        confidence: Of the intervals.
        no_bits: Why there are none, as a note for readers; None leaves it unsaid.
    """
    accuracies = CellErrors.from_run(results, bits) if isinstance(results, Run) else results
    margins = _margins(accuracies, normalizer, baseline, confidence)
    if isinstance(results, Run) and results.stopping is not None:
        results = results.model_copy(update={"stopping": _as_labelled_now(results.stopping, accuracies.headline)})
    stopping = results.stopping if isinstance(results, Run) else None
    names = accuracies.corruptions
    # In canonical order the members of a family stand together.
    families = [(family, tuple(members)) for family, members in groupby(names, family_of)]
    rows = _Rows(accuracies, normalizer, margins, stopping)
    metrics = _headline(headline_metrics(accuracies, normalizer, baseline), margins)
    notes = _interval_notes(margins, no_bits)
    notes += _stopping_notes(results, margins.confidence if margins else None) if isinstance(results, Run) else []
    return RunSummary(
        accuracies=accuracies,
        normalizer=normalizer.source if normalizer else "none",
        baseline=baseline.source if baseline else None,
        metrics=tuple(map(rows.held, metrics)),
        corruptions=tuple(rows.over(name, (name,)) for name in names),
        families=tuple(rows.over(family, members) for family, members in families),
        overall=rows.over("mean", accuracies.headline),
        severities={s: rows.mean_error(accuracies.headline, (s,)) for s in accuracies.severities},
        worst_cell=accuracies.worst_cell(),
        calibration=calibration_metrics(results) if isinstance(results, Run) else (),
        confidence=margins.confidence if margins else None,
        interval_notes=tuple(notes),
        stopping=stopping,
    )


def _margins(
    accuracies: CellErrors, normalizer: Normalizer | None, baseline: CellErrors | None, confidence: float
) -> Margins | None:
    """What gives metrics their intervals; None without bits, or with those of a single image."""
    images = accuracies.per_image
    if images is None or images.n < 2:
        return None
    from ppbench.metrics.margins import Margins

    return Margins(accuracies, images, normalizer, baseline, confidence)


def _headline(metrics: tuple[Metric, ...], margins: Margins | None) -> tuple[Metric, ...]:
    if margins is None:
        return metrics
    give: dict[str, Callable[[Metric], Metric]] = {
        "clean_error": margins.clean_error,
        "mean_error": margins.mean_error,
        "mCE": margins.corruption_error,
        "relative_mCE": margins.relative_corruption_error,
        "R_net": margins.net_robustness,
    }
    return tuple(give[metric.name](metric) for metric in metrics)


def _interval_notes(margins: Margins | None, no_bits: str | None) -> list[str]:
    if margins is None:
        return [f"No intervals: {no_bits}."] if no_bits else []
    notes = [f"± or [low, high]: {100 * margins.confidence:g} % interval, for images like these {margins.joint.n}."]
    if isinstance(margins.normalizer, CellErrors) and margins.paired_normalizer is None:
        notes.append(f"Intervals of CE take the errors of {margins.normalizer.source} as exact.")
    if margins.paired_normalizer is not None:
        from ppbench.metrics.margins import rough_ratios

        notes += rough_ratios(margins.paired_normalizer, margins.accuracies.headline, margins.accuracies.severities)
    return notes


def how_it_ended(stopping: Stopping, n: int, total: int) -> str:
    """How an evaluation ended that was to stop early, after ``n`` images of ``total``.

    ``half-width 0.5 after 512 of 2,000 images``, ``half-width 0.5: not reached with all 500 images``,
    ``decided against max drop 3 after 512 of 2,000 images: pass``
    """
    if not stopping.reached:
        images = "images" if stopping.baseline is None else "images that both have"
        return f"{stopping.wanted}: not reached with all {n:,} {images}"
    ended = f"{stopping.wanted} after {n:,} of {total:,} images"
    return ended if stopping.decision is None else f"{ended}: {stopping.decision}"


def _stopping_notes(run: Run, confidence: float | None) -> list[str]:
    """An interval for a fixed number of images is too narrow where the number was chosen by looking at it."""
    stopping = run.stopping
    if stopping is None:
        return []
    ends = f"{stopping.value:.2f} [{stopping.low:.2f}, {stopping.high:.2f}]"
    too_sure = confidence is not None and confidence > stopping.confidence
    absent = "; of a higher confidence there is none" if too_sure else ""
    return [
        f"Early stopping: {how_it_ended(stopping, run.protocol.n, run.protocol.total)}. The interval of "
        f"{stopping.metric}, {ends}, holds at all looks at once ({100 * stopping.confidence:g} %{absent}), other "
        "intervals for a fixed number of images."
    ]


def _as_labelled_now(stopping: Stopping, headline: Sequence[str]) -> Stopping:
    """Run files of before have labels that were not of one set alone (`older_set_label`)."""
    older, now = (f"{label(headline)},s" for label in (older_set_label, set_label))
    return stopping.model_copy(update={"metric": stopping.metric.replace(older, now)})


def _is_of(stopping: Stopping, metric: Metric) -> bool:
    """Whether an evaluation waited for this metric, whose label has the number of images too."""
    return metric.label == stopping.metric or metric.label.startswith(stopping.metric.removesuffix("]") + ",")


@dataclass(frozen=True)
class _Rows:
    """Makes the rows of one document."""

    accuracies: CellErrors
    normalizer: Normalizer | None
    margins: Margins | None
    stopping: Stopping | None

    def held(self, metric: Metric) -> Metric:
        """The metric; with the interval that holds at every look, if its interval ended the evaluation.

        Of a higher confidence than it was waited for with, there is none.
        """
        if self.stopping is None or self.margins is None or metric.value is None or not _is_of(self.stopping, metric):
            return metric
        if self.margins.confidence > self.stopping.confidence:
            return replace(metric, interval=None)
        return replace(metric, interval=SequenceInterval(metric.value, self.stopping.low, self.stopping.high))

    def over(self, name: str, corruptions: tuple[str, ...]) -> SummaryRow:
        """The row of one corruption, or of several under a name of their own."""
        name_of_ce = "CE" if corruptions == (name,) else "mCE"
        ce = mean_corruption_error(self.accuracies, self.normalizer, corruptions, name_of_ce)
        relative = relative_mean_corruption_error(
            self.accuracies, self.normalizer, corruptions, f"relative_{name_of_ce}"
        )
        if self.margins is not None:
            ce = self.margins.corruption_error(ce, corruptions)
            relative = self.margins.relative_corruption_error(relative, corruptions)
        return SummaryRow(
            name=name,
            corruptions=corruptions,
            errors={severity: self.mean_error(corruptions, (severity,)) for severity in _columns(self.accuracies)},
            mean_error=self.mean_error(corruptions, self.accuracies.severities),
            ce=self.held(ce),
            relative_ce=self.held(relative),
        )

    def mean_error(self, corruptions: tuple[str, ...], severities: tuple[int, ...]) -> Metric:
        """A mean error, with its interval if it has one."""
        bare = mean_error(self.accuracies, corruptions, severities)
        return bare if self.margins is None else self.held(self.margins.mean_error(bare, corruptions, severities))


def _columns(accuracies: CellErrors) -> list[int]:
    """Severities at which any cell stands: the extra corruptions may have more than the headline ones."""
    present = {severity for _, severity in accuracies.errors} | set(accuracies.severities)
    return [severity for severity in SEVERITIES if severity in present]
