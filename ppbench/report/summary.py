"""The report of one run, computed once so that output formats cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from ppbench.metrics.calibration import calibration_metrics
from ppbench.metrics.cell_errors import CellErrors, WorstCell
from ppbench.metrics.intervals import Interval, SequenceInterval
from ppbench.metrics.metric import Metric
from ppbench.metrics.of_sequences import FEW_CLASSES, FLIP_PROBABILITY
from ppbench.metrics.of_streams import STREAM_ERROR, sample_in_words, stream_in_words, too_few
from ppbench.metrics.passes import passes_note, with_spread
from ppbench.metrics.quantities import MEAN_ERROR, Case, Quantity, case_of
from ppbench.metrics.references import Normalizer
from ppbench.metrics.without_labels import FLIP_RATE, has_labels, has_normalizer, plain_of, quantities_of, wording
from ppbench.report.stopped import as_labelled_now, is_waited_for, stopping_notes
from ppbench.run import UNKNOWN, Protocol, Run, Stopping
from ppbench.tables.numbers import decimals, reason_notes
from ppbench.tables.sheet import NOT_AVAILABLE
from ppbench.vocabulary import SEVERITIES, family_of

if TYPE_CHECKING:
    # Only the bits need numpy: `ppbench show` starts faster without it.
    import numpy as np
    from numpy.typing import NDArray

    from ppbench.metrics.covariance import RunIntervals
    from ppbench.run import Predictions, Trials


_PLAIN = (MEAN_ERROR.name, FLIP_RATE.name, FLIP_PROBABILITY.name, STREAM_ERROR.name)

_PRECISIONS = {"fp32": None, "unknown": "predictions made elsewhere"}
"""Precisions whose text in headings is not their name."""


@dataclass(frozen=True)
class SummaryRow:
    """The results over one corruption, or over several of them."""

    name: str
    """A corruption, a family, or ``mean`` for the headline corruptions."""
    corruptions: tuple[str, ...]
    errors: Mapping[int, Metric]
    """Mean error by severity."""
    metrics: Mapping[str, Metric]
    """The metrics that are given by corruption, by the name of the quantity."""

    @property
    def mean_error(self) -> Metric:
        """Mean error over corruptions and severities; the flip rate without labels, or the flip probability."""
        return next(metric for name, metric in self.metrics.items() if name in _PLAIN)

    @property
    def accuracies(self) -> dict[int, float | None]:
        """Mean accuracy, or agreement, by severity, fractions; None if a cell is missing."""
        values = {severity: metric.value for severity, metric in self.errors.items()}
        return {severity: None if value is None else 1 - value / 100 for severity, value in values.items()}

    @property
    def accuracy_intervals(self) -> dict[int, Interval | None]:
        """Intervals of the accuracies, fractions; None if there is none."""
        return {severity: accuracy_interval(metric) for severity, metric in self.errors.items()}


@dataclass(frozen=True)
class RunSummary:
    """All numbers and notes of one run's report."""

    cell_errors: CellErrors
    normalizer: str
    """Name, or ``none``."""
    baseline: str | None
    metrics: tuple[Metric, ...]
    """The headline metrics."""
    corruptions: tuple[SummaryRow, ...]
    families: tuple[SummaryRow, ...]
    """A row for each family with a corruption in the run; ``other`` has corruptions outside the published sets."""
    overall: SummaryRow
    """Over the headline corruptions."""
    severities: Mapping[int, Metric]
    """Mean error over the headline corruptions by severity."""
    worst_cell: WorstCell | None
    calibration: tuple[Metric, ...]
    """Empty for a CSV, which has no counts, and without labels."""
    confidence: float | None
    """Confidence of the intervals; None if there are none."""
    interval_notes: tuple[str, ...]
    """Notes that explain the intervals, or why there are none."""
    stopping: Stopping | None
    """How an evaluation that was to stop early ended; None for any other."""

    def family(self, name: str) -> list[SummaryRow]:
        """The corruptions of a family."""
        return [row for row in self.corruptions if family_of(row.name) == name]

    @property
    def heading(self) -> str:
        """``resnet50 · imagenet-c · 200 classes · 500 of 2000 images · published · bf16 · normaliser alexnet``."""
        return " · ".join([self.cell_errors.source, *self.conditions])

    @property
    def conditions(self) -> list[str]:
        """The conditions of the run besides the model, in words."""
        errors, protocol = self.cell_errors, self.cell_errors.protocol
        parts: list[str | None] = []
        if protocol is not None:
            lost = f", {errors.unreadable:,} could not be read" if protocol.unreadable else ""
            images = f"{protocol.images_in_words}{lost}"
            precision = _PRECISIONS.get(protocol.precision, protocol.precision)
            frames = str(protocol.sequences or "")
            parts += [protocol.dataset, errors.classes, images, _origin(protocol), frames, precision, errors.passes]
        own = stream_in_words(protocol) or "labels: its own clean predictions"
        parts.append(f"normaliser {self.normalizer}" if has_normalizer(protocol) else own)
        if self.baseline is not None:
            parts.append(f"baseline {self.baseline}")
        if errors.interrupted:
            parts.append("interrupted: cells are missing")
        return [part for part in parts if part]

    @property
    def worst_cell_text(self) -> str:
        """``fog at severity 5, accuracy 12.3 %``; ``n/a`` if no corrupted cell was measured."""
        if self.worst_cell is None:
            return NOT_AVAILABLE
        corruption, level, accuracy = self.worst_cell
        words = wording(self.cell_errors.protocol)
        kept, lost = f"{words.kept} {decimals(100 * accuracy, 1)}", f"{words.lost} {decimals(100 - 100 * accuracy, 2)}"
        return f"{corruption} at {words.level} {level}, {lost if words.shows_lost else kept} %"


def _origin(protocol: Protocol) -> str:
    """The origin of the corrupted images, such as ``generated by ppbench corruptions 1, recipe cifar-c``."""
    if protocol.source == "published":
        return "published"
    if protocol.engine == UNKNOWN:
        return "corrupted elsewhere by unknown software"
    # A package's own recipe is already in the engine's name.
    recipe = "" if protocol.engine.startswith(protocol.recipe) else f", recipe {protocol.recipe}"
    jpeg = ", saved as JPEG 85" if protocol.source == "generated-jpeg85" else ""
    return f"generated by {protocol.engine}{recipe}{jpeg}"


def accuracy_interval(error: Metric) -> Interval | None:
    """Convert the interval of an error in percent to that of the accuracy, a fraction."""
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
    predictions: Predictions | None = None,
    trials: Trials | None = None,
    confidence: float = 0.95,
    no_bits: str | None = None,
) -> RunSummary:
    """Compute the report of a run.

    Args:
        results: A run, or errors alone (which have no calibration).
        normalizer: The denominators of CE; without one, CE and mCE have no value.
        baseline: The model that R_net compares with.
        bits: The run's correctness bits (`ppbench.run.read_bits`), for intervals. The normaliser and the baseline hold
            their own bits (`CellErrors.from_run`).
        predictions: The run's predictions, for intervals of the confidence lost by images without labels.
        trials: The run's trials, for intervals where images have several.
        confidence: Confidence of the intervals.
        no_bits: Why there are no bits, for a note; None for no note.
    """
    errors = CellErrors.from_run(results, bits, predictions, trials) if isinstance(results, Run) else results
    if not has_normalizer(errors.protocol):
        normalizer = baseline = None
    intervals = _intervals(errors, normalizer, baseline, confidence)
    if isinstance(results, Run) and results.stopping is not None:
        results = results.model_copy(update={"stopping": as_labelled_now(results.stopping, errors.headline)})
    stopping = results.stopping if isinstance(results, Run) else None
    names, headline = errors.corruptions, errors.headline
    figures = _Figures(errors, normalizer, baseline, intervals, stopping)
    notes = _interval_notes(intervals, case_of(errors, normalizer), no_bits)
    known = intervals.confidence if intervals else None
    if isinstance(results, Run) and results.stopping is not None:
        notes += stopping_notes(results, known)
    return RunSummary(
        cell_errors=errors,
        normalizer=normalizer.source if normalizer else "none",
        baseline=baseline.source if baseline else None,
        metrics=tuple(figures.of_all(quantity) for quantity in quantities_of(errors.protocol).values()),
        corruptions=tuple(figures.row(name, (name,)) for name in names),
        # groupby works because members of a family are neighbours in canonical order.
        families=tuple(figures.row(family, tuple(members)) for family, members in groupby(names, family_of)),
        overall=figures.row("mean", headline),
        severities={s: figures.mean_error(headline, s) for s in errors.severities},
        worst_cell=errors.worst_cell(),
        calibration=_calibration(results),
        confidence=known,
        interval_notes=tuple(notes),
        stopping=stopping,
    )


def _calibration(results: CellErrors | Run) -> tuple[Metric, ...]:
    """The calibration of a run whose images have labels and one prediction each."""
    if not isinstance(results, Run) or not has_labels(results.protocol) or results.protocol.has_trials:
        return ()
    return calibration_metrics(results)


def _intervals(
    errors: CellErrors, normalizer: Normalizer | None, baseline: CellErrors | None, confidence: float
) -> RunIntervals | None:
    """The source of intervals; None without bits, or with those of a single image."""
    images = errors.per_image
    if images is None or images.n < 2:
        return None
    from ppbench.metrics.covariance import RunIntervals

    return RunIntervals(errors, images, normalizer, baseline, confidence)


def _interval_notes(intervals: RunIntervals | None, case: Case, no_bits: str | None) -> list[str]:
    if intervals is None:
        no_bits = too_few(case) or no_bits
        return [f"No intervals: {no_bits}."] if no_bits else []
    sample = sample_in_words(case.model.protocol, intervals.n)
    notes = [f"± or [low, high]: {100 * intervals.confidence:g} % interval, {sample}."]
    images = intervals.paired["normalizer"]
    if isinstance(case.normalizer, CellErrors) and images is None:
        notes.append(exact_note(case.normalizer.source, flips=case.model.flips))
    if images is not None:
        from ppbench.metrics.covariance import rough_ratios

        notes += rough_ratios(images, case)
    return notes


def exact_note(normalizer: str, *, flips: bool) -> str:
    """The note on intervals of ratios to a measured model whose results of each image are not used."""
    ratios, what = ("FR and T5D", "flips") if flips else ("CE", "errors")
    return f"The intervals of {ratios} treat the {what} of {normalizer} as exact."


@dataclass(frozen=True)
class _Figures:
    """Computes the figures of one summary, with their intervals."""

    cell_errors: CellErrors
    normalizer: Normalizer | None
    baseline: CellErrors | None
    intervals: RunIntervals | None
    stopping: Stopping | None

    def of(
        self,
        quantity: Quantity,
        corruptions: tuple[str, ...] | None = None,
        severities: tuple[int, ...] | None = None,
        name: str | None = None,
    ) -> Metric:
        """A metric over these cells, by default the headline's, with its interval if it has one."""
        case = case_of(self.cell_errors, self.normalizer, self.baseline, corruptions, severities)
        metric = quantity.metric(case, name)
        if self.intervals is None or metric.value is None:
            return metric
        if self.stopping is None or not is_waited_for(self.stopping, metric):
            return self.intervals.with_interval(quantity, case, metric)
        # This interval ended the evaluation, so only the one that holds at every look is valid. At a higher confidence
        # than the evaluation waited for, there is none.
        if self.intervals.confidence > self.stopping.confidence:
            return metric
        return replace(metric, interval=SequenceInterval(metric.value, self.stopping.low, self.stopping.high))

    def of_all(self, quantity: Quantity) -> Metric:
        """A headline metric, with its spread over the passes of a stochastic model."""
        metric = self.of(quantity)
        if self.cell_errors.right_by_pass is None:
            return metric
        return with_spread(metric, quantity, case_of(self.cell_errors, self.normalizer, self.baseline))

    def row(self, name: str, corruptions: tuple[str, ...]) -> SummaryRow:
        """The row of one corruption, or of several under another name."""
        of = quantities_of(self.cell_errors.protocol)
        given = [quantity for quantity in of.values() if quantity.name_of_one or quantity.is_plain]
        is_one = corruptions == (name,)
        return SummaryRow(
            name=name,
            corruptions=corruptions,
            errors={severity: self.mean_error(corruptions, severity) for severity in _columns(self.cell_errors)},
            metrics={q.name: self.of(q, corruptions, name=q.name_of_one if is_one else None) for q in given},
        )

    def mean_error(self, corruptions: tuple[str, ...], severity: int) -> Metric:
        """The mean error, or flip rate, over corruptions at one severity."""
        return self.of(plain_of(self.cell_errors.protocol), corruptions, (severity,))


def _columns(errors: CellErrors) -> list[int]:
    """Severities of any cell. Extra corruptions may have more than the headline ones."""
    present = {severity for _, severity in errors.errors} | set(errors.severities)
    return [severity for severity in SEVERITIES if severity in present]


def absence_notes(summaries: Sequence[RunSummary]) -> list[str]:
    """Notes on why metrics have no value."""
    return reason_notes((metric.name, metric.reason) for summary in summaries for metric in summary.metrics)


def trial_notes(summary: RunSummary) -> list[str]:
    """Notes on runs whose images have several trials: what is compared in sequences, or what spreads over passes."""
    errors = summary.cell_errors
    spread = any(metric.spread is not None for metric in summary.metrics)
    if errors.passes is not None and (spread or errors.shares_draws):
        return [passes_note(errors, spread=spread)]
    if errors.protocol is None or errors.protocol.sequences is None:
        return []
    notes = ["Noisy frames are compared with the first one, which is clean, and others with the frame before."]
    if max(errors.severities, default=1) > 1:
        notes = [f"{notes[0][:-1]} (at difficulty 2 and 3, with the one two and three before)."]
    if errors.protocol.sequences.encoding == "h264":
        notes.append("The frames are of videos, whose encoder changes them: compare with other videos alone.")
    if (few := errors.competing) is not None and few <= FEW_CLASSES and errors.distances is not None:
        notes.append(f"With {few} classes the top-5 distance says little: five places are half of them or more.")
    return notes


def training_notes(results: Sequence[CellErrors]) -> list[str]:
    """Notes on conversions from a plain network, and on test corruptions that overlap with training augmentations.

    With several results, each note begins with the model's name.
    """
    notes = []
    for one in results:
        found = [] if one.conversion is None else [one.conversion]
        if one.trained_on:
            found.append(f"trained on augmentations that overlap with: {', '.join(one.trained_on)}")
        several = len(results) > 1
        notes += [f"{one.source}: {words}." if several else f"{words[0].upper()}{words[1:]}." for words in found]
    return notes
