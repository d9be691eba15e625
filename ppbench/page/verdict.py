"""The first sentence of a report: what was found, how sure that is, and what would decide it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from ppbench.compare.comparison import Comparison
from ppbench.compare.difference import Difference
from ppbench.compare.measured import vary_together
from ppbench.compare.verdict import parts_text, same_results
from ppbench.figures.content import as_metric
from ppbench.metrics.intervals import Interval, quantile
from ppbench.metrics.metric import Metric
from ppbench.metrics.of_sequences import FLIP_PROBABILITY
from ppbench.metrics.of_streams import STREAM_ERROR
from ppbench.metrics.paired import POWER, images_needed
from ppbench.metrics.quantities import MEAN_ERROR
from ppbench.metrics.without_labels import FLIP_RATE, has_labels, wording
from ppbench.page.html_table import metric_data
from ppbench.report.summary import RunSummary
from ppbench.tables.numbers import decimals, ends, percent, signed
from ppbench.vocabulary import cell_in_words

MOST_CELLS = 3
"""Most single cells that a verdict names."""

Finding = Literal["better", "worse", "undecided", "result"]


@dataclass(frozen=True)
class PageVerdict:
    """One finding in words."""

    finding: Finding
    sentence: str
    details: tuple[str, ...] = ()
    metric: Metric | None = None
    """The number that the sentence is about."""

    @property
    def data(self) -> Markup:
        """The number, as attributes."""
        return metric_data(self.metric)


def run_verdict(name: str, summary: RunSummary) -> PageVerdict:
    """How many corrupted images a run gets wrong, and its mCE if it has one."""
    found = {metric.name: metric for metric in summary.metrics}
    if summary.cell_errors.flips:
        return _sequence_verdict(name, summary, found[FLIP_PROBABILITY.name], found["mFR"])
    if STREAM_ERROR.name in found:
        return _stream_verdict(name, summary, found["stream_accuracy"])
    if not has_labels(summary.cell_errors.protocol):
        return _flip_verdict(name, summary, found[FLIP_RATE.name], found["confidence_lost"])
    mean, clean, mce = found[MEAN_ERROR.name], found["clean_error"], found["mCE"]
    if mean.value is None:
        return PageVerdict("undecided", f"The mean error of {name} is not known: {mean.reason}.", metric=mean)
    of_clean = "" if clean.value is None else f", and {decimals(clean.value, 1)} % of the clean ones"
    sentence = f"{name} gets {_sure(mean, summary.confidence, '%')} of the corrupted images wrong{of_clean}."
    details = []
    # Against its own errors a model has an mCE of 100, which says nothing.
    if mce.value is not None and summary.normalizer != summary.cell_errors.source:
        details.append(f"{mce.label}: {_sure(mce, summary.confidence, '%')}.")
    details += _hardest(summary, "of its images are wrong")
    return PageVerdict("result", sentence, tuple(details), mean)


def _flip_verdict(name: str, summary: RunSummary, rate: Metric, lost: Metric) -> PageVerdict:
    """On how many corrupted images a run without labels changes its prediction, and how much confidence it loses."""
    if rate.value is None:
        return PageVerdict("undecided", f"The flip rate of {name} is not known: {rate.reason}.", metric=rate)
    sentence = f"{name} changes its prediction on {_sure(rate, summary.confidence, '%')} of the corrupted images."
    details = []
    if lost.value is not None:
        word = "more" if lost.value < 0 else "less"
        points = _sure(lost, summary.confidence, "points")
        details.append(f"It gives its clean predictions {word} probability on corrupted images: {points} are lost.")
    details += _hardest(summary, "of its images get another prediction")
    details.append("The images have no labels, so this says how steady the model is and not how good.")
    return PageVerdict("result", sentence, tuple(details), rate)


def _sequence_verdict(name: str, summary: RunSummary, mean: Metric, rate: Metric) -> PageVerdict:
    """How often the prediction flips from frame to frame, and the mFR if there is one."""
    if mean.value is None:
        return PageVerdict("undecided", f"The flip probability of {name} is not known: {mean.reason}.", metric=mean)
    sentence = f"{name} flips its prediction in {_sure(mean, summary.confidence, '%')} of the compared frames."
    details = []
    if rate.value is not None and summary.normalizer != summary.cell_errors.source:
        details.append(f"{rate.label}: {_sure(rate, summary.confidence, '%')}.")
    details += _hardest(summary, "of the compared frames flip")
    details.append("Flips need no labels, so this says how steady the model is and not how good.")
    return PageVerdict("result", sentence, tuple(details), mean)


def _stream_verdict(name: str, summary: RunSummary, accuracy: Metric) -> PageVerdict:
    """How many frames of a stream a run gets right, and what the interval is about."""
    if accuracy.value is None:
        return PageVerdict("undecided", f"The accuracy of {name} is not known: {accuracy.reason}.", metric=accuracy)
    sentence = f"{name} gets {_sure(accuracy, summary.confidence, '%')} of the frames right."
    details = (
        "Frames of one point of the walk count together, and the interval is as if points were drawn again. Other "
        "walks, or other images, may differ by more than it says.",
    )
    return PageVerdict("result", sentence, details, accuracy)


def _hardest(summary: RunSummary, are: str) -> list[str]:
    """The family with the highest mean error or flip rate; empty for a single family."""
    hardest = max((row for row in summary.families if row.mean_error.value is not None),
                  key=lambda row: row.mean_error.value or 0.0, default=None)  # fmt: skip
    if hardest is None or len(summary.families) < 2:
        return []
    hard = _sure(hardest.mean_error, summary.confidence, "%")
    what = wording(summary.cell_errors.protocol).what
    return [f"The hardest family of {what}s is {hardest.name}: {hard} {are}."]


def _sure(metric: Metric, confidence: float | None, unit: str) -> str:
    """``41.2 % (95 % interval 40.3 to 42.1)``."""
    text = f"{decimals(metric.value, 1)} {unit}"
    if metric.interval is None or confidence is None:
        return text
    low, high = (decimals(end, 1) for end in (metric.interval.low, metric.interval.high))
    return f"{text} ({percent(confidence)} interval {low} to {high})"


def pair_verdict(comparison: Comparison) -> PageVerdict:
    """Whether a run is better or worse than its reference, or how many images would decide that."""
    mean, protocol = comparison.plain, comparison.reference.run.protocol
    are_errors, words = has_labels(protocol) or protocol.stream is not None, wording(protocol)
    name, reference = comparison.other.name, comparison.reference.name
    details = (
        parts_text(comparison),
        *_cells(comparison),
        *(f"{remark[0].upper()}{remark[1:]}." for remark in comparison.remarks),
    )
    metric = as_metric(mean)
    if mean.points is None:
        sentence = f"Nobody can say whether {name} is better or worse than {reference}: {mean.reason}."
        return PageVerdict("undecided", sentence, details, metric)
    if comparison.is_alike:
        sentence = f"{name} and {reference} {same_results(protocol)}."
        return PageVerdict("undecided", sentence, details, metric)
    interval = f"{percent(comparison.confidence)} interval {ends(mean.points)}"
    size = decimals(abs(mean.points.value), 1)
    if mean.is_shown(comparison.alpha):
        fewer = mean.points.value < 0
        word = "fewer" if fewer else "more"
        sentence = (
            f"{name} is {'better' if fewer else 'worse'} than {reference}: it gets {size} points {word} of the "
            f"{words.shown} wrong ({interval})."
            if are_errors
            else f"{name} is {'steadier' if fewer else 'less steady'} than {reference}: it changes its prediction on "
            f"{size} points {word} of the {words.shown} ({interval})."
        )
        return PageVerdict("better" if fewer else "worse", sentence, details, metric)
    what = "better or worse" if are_errors else "steadier or less steady"
    sentence = (
        f"Whether {name} is {what} than {reference} cannot be told from these images. Its "
        f"{words.mean} is {_direction(mean.points.value)} ({interval}), which "
        "chance can explain."
    )
    return PageVerdict("undecided", sentence, (_would_decide(comparison, mean, mean.points), *details), metric)


def _direction(change: float) -> str:
    """``0.5 points higher``; a change that reads 0.0 has a second decimal."""
    size = decimals(abs(change), 1 if abs(change) >= 0.05 else 2)
    if float(size) == 0:
        return "the same"
    return f"{size} points {'lower' if change < 0 else 'higher'}"


def _cells(comparison: Comparison) -> list[str]:
    """The largest differences in single cells that a test finds, in one sentence; empty if it finds none."""
    tested, words = comparison.group("cell"), wording(comparison.reference.run.protocol)
    shown = [(cell.points.value, cell.name) for cell in tested if cell.is_shown(comparison.alpha) and cell.points]
    if not shown:
        return []
    largest = sorted(shown, key=lambda one: -abs(one[0]))[:MOST_CELLS]
    named = []
    for change, name in largest:
        corruption, _, severity = name.rpartition("/")
        named.append(f"{cell_in_words((corruption, int(severity)), words.level)} ({signed(change)} points)")
    few = len(shown) > len(largest)
    return [
        f"Of {len(tested)} pairs of {words.what} and {words.level}, a test finds a difference in {len(shown)} "
        f"(Holm){'; the largest are' if few else ''}: {', '.join(named)}."
    ]


def _would_decide(comparison: Comparison, mean: Difference, points: Interval) -> str:
    """How many images would find a difference of the size that was seen."""
    protocol = comparison.reference.run.protocol
    least = None if mean.detectable is None else decimals(mean.detectable, 1)
    could = f"have shown a difference of {least} points" if least else "not have shown any difference"
    shown = f"These {protocol.n:,} images could {could}."
    deviation = points.margin * math.sqrt(protocol.n) / quantile(comparison.confidence)
    if abs(points.value) < 0.005:
        return f"{shown} No number of images decides between models that differ by nothing."
    if vary_together(comparison.reference, comparison.other) is not None:
        return f"{shown} A part of the variance is between passes: more images do not lower it, more passes do."
    needed = max(images_needed(deviation, abs(points.value), POWER, comparison.alpha), protocol.n + 1)
    has = "" if needed <= protocol.total else f", more than the {protocol.total:,} that the dataset has"
    return (
        f"About {_two_figures(needed):,} images would decide a difference as small as this one "
        f"with {percent(POWER)} probability{has}. {shown}"
    )


def _two_figures(number: int) -> int:
    """Round up to two figures: the number is an estimate."""
    step = 10 ** max(0, len(str(number)) - 2)
    return -(-number // step) * step


def unpaired_verdict(name: str, summary: RunSummary, reference: RunSummary, reason: str) -> PageVerdict:
    """What two means alone say: a difference of which nobody knows whether it is chance."""
    ours, theirs = summary.overall.mean_error, reference.overall.mean_error
    of = reference.cell_errors.source
    if ours.value is None or theirs.value is None:
        sentence = f"Nobody can say whether {name} is better or worse than {of}: {ours.reason or theirs.reason}."
        return PageVerdict("undecided", sentence, (reason,))
    change = ours.value - theirs.value
    word, words = "fewer" if change < 0 else "more", wording(summary.cell_errors.protocol)
    points = f"{decimals(abs(change), 1)} points {word} of the {words.shown}"
    are_errors = has_labels(summary.cell_errors.protocol) or STREAM_ERROR.name in summary.overall.metrics
    done = f"gets {points} wrong" if are_errors else f"changes its prediction on {points}"
    sentence = f"{name} {done} than {of}, but nobody can tell from these files whether that is chance."
    return PageVerdict("undecided", sentence, (reason,), ours)
