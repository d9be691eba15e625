"""The report of one run as JSON and as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ppbench.metrics.intervals import Interval
from ppbench.metrics.metric import Metric
from ppbench.metrics.without_labels import Wording, wording
from ppbench.report.summary import RunSummary, SummaryRow, accuracy_interval
from ppbench.run import Protocol
from ppbench.tables.rows import low_and_high, rounded
from ppbench.vocabulary import CLEAN, family_of

RUN_COLUMNS = (
    "metric", "family", "corruption", "severity", "value", "unit", "label", "reason", "low", "high", "confidence",
)  # fmt: skip
"""Family, corruption and severity are empty if the value is a mean over them; docs/metrics.md explains."""


def run_columns(summary: RunSummary) -> tuple[str, ...]:
    """`RUN_COLUMNS` in the words of the run: perturbation and difficulty of sequences."""
    words = wording(summary.cell_errors.protocol)
    return tuple({"corruption": words.what, "severity": words.level}.get(column, column) for column in RUN_COLUMNS)


def run_dict(summary: RunSummary) -> dict[str, Any]:
    """The JSON object of one run. Accuracies and agreement are fractions, errors and flip rates are in percent."""
    errors, protocol, worst = summary.cell_errors, summary.cell_errors.protocol, summary.worst_cell
    words, labels = wording(protocol), {"labels": protocol.labels} if protocol and protocol.labels else {}
    return {
        "source": errors.source,
        "dataset": protocol.dataset if protocol else None,
        **labels,
        "images": protocol and _images(protocol),
        "classes": protocol and protocol.classes and protocol.classes.model_dump(),
        "precision": protocol and protocol.precision,
        **({"head_precision": protocol.head_precision} if protocol and protocol.head_precision else {}),
        **({"decoder": protocol.decoder} if protocol and protocol.decoder else {}),
        **({"adaptation": protocol.adaptation.model_dump()} if protocol and protocol.adaptation else {}),
        **({"sequences": protocol.sequences.model_dump()} if protocol and protocol.sequences else {}),
        **({"stream": protocol.stream.model_dump()} if protocol and protocol.stream else {}),
        **({"passes": protocol.passes} if protocol and protocol.passes else {}),
        "interrupted": errors.interrupted,
        "normalizer": summary.normalizer,
        "baseline": summary.baseline,
        "confidence": summary.confidence,
        "stopping": summary.stopping and summary.stopping.model_dump(),
        "metrics": [_metric_dict(metric) for metric in summary.metrics],
        f"{words.what}s": [
            {words.what: row.name, "family": family_of(row.name), **_row_dict(row, words)}
            for row in summary.corruptions
        ],
        "families": [
            {"family": row.name, f"{words.what}s": list(row.corruptions), **_row_dict(row, words)}
            for row in summary.families
        ],
        words.levels: [
            {words.level: severity, **_bare_numbers({metric.name: metric})}
            for severity, metric in summary.severities.items()
        ],
        "worst_cell": worst
        and {
            words.what: worst.corruption,
            words.level: worst.severity,
            _share_name(words): rounded(1 - worst.accuracy if words.shows_lost else worst.accuracy),
        },
        "calibration": [_metric_dict(metric) for metric in summary.calibration] or None,
    }


def _share_name(words: Wording) -> str:
    """What a cell's number is called: ``accuracy``, ``flip_probability``."""
    return (words.lost if words.shows_lost else words.kept).replace(" ", "_")


def _images(protocol: Protocol) -> dict[str, Any]:
    """Facts about the images, with the ids of those that could not be read, if any."""
    facts = {key: getattr(protocol, key) for key in ("n", "total", "source", "recipe", "engine")}
    return facts if protocol.unreadable is None else {**facts, "unreadable": list(protocol.unreadable)}


def _metric_dict(metric: Metric) -> dict[str, Any]:
    content = {"name": metric.name, "label": metric.label, "value": rounded(metric.value), "unit": metric.unit}
    if metric.reason is not None:
        return {**content, "reason": metric.reason}
    if metric.spread is not None:
        content["spread_over_passes"] = rounded(metric.spread)
    return {**content, **low_and_high(metric.interval)} if metric.interval else content


def _row_dict(row: SummaryRow, words: Wording) -> dict[str, Any]:
    metrics = {metric.name: metric for metric in row.metrics.values()}
    shares = {str(severity): rounded(value) for severity, value in _shares(row, words).items()}
    return {words.levels: shares, **_bare_numbers(metrics, row, words)}


def _shares(row: SummaryRow, words: Wording) -> dict[int, float | None]:
    """What the cells of a row show, fractions: accuracy, or the flip probability."""
    kept = row.accuracies
    return {s: None if v is None else 1 - v for s, v in kept.items()} if words.shows_lost else kept


def _share_intervals(row: SummaryRow, words: Wording) -> dict[int, Interval | None]:
    if not words.shows_lost:
        return row.accuracy_intervals
    return {s: metric.interval and metric.interval.scaled(0.01) for s, metric in row.errors.items()}


def _bare_numbers(
    metrics: Mapping[str, Metric], row: SummaryRow | None = None, words: Wording | None = None
) -> dict[str, Any]:
    """Metrics as bare numbers, with a reason for each null and the intervals that exist.

    In ``reasons`` and ``intervals``, ``s3`` is the accuracy at severity 3 of the row.
    """
    letter = words.letter if words else "s"
    errors = {f"{letter}{severity}": metric for severity, metric in row.errors.items()} if row else {}
    reasons = {key: m.reason for key, m in {**errors, **metrics}.items() if m.reason is not None}
    of_cells = _share_intervals(row, words) if row and words else {}
    found = {f"{letter}{s}": interval for s, interval in of_cells.items()}
    found |= {key: metric.interval for key, metric in metrics.items()}
    intervals = {key: low_and_high(interval) for key, interval in found.items() if interval}
    numbers = {key: rounded(metric.value) for key, metric in metrics.items()}
    return {**numbers, "reasons": reasons, "intervals": intervals}


def tidy_rows(summary: RunSummary) -> Iterator[tuple[Any, ...]]:
    """Rows of `RUN_COLUMNS`."""
    for row in _rows_without_confidence(summary):
        yield *row, summary.confidence if row[-1] is not None else None


def _rows_without_confidence(summary: RunSummary) -> Iterator[tuple[Any, ...]]:
    """All numbers, from means over many cells to single cells."""
    for metric in (*summary.metrics, *summary.calibration):
        yield _tidy_row(metric)
        if metric.spread is not None:
            name = f"{metric.name}_spread_over_passes"
            yield _tidy_row(replace(metric, name=name, value=metric.spread, interval=None))
    for severity, metric in summary.severities.items():
        yield _tidy_row(metric, severity=severity)
    for row in summary.families:
        for metric in row.metrics.values():
            yield _tidy_row(metric, row.name)
        for severity, metric in row.errors.items():
            yield _tidy_row(metric, row.name, severity=severity)
    for row in summary.corruptions:
        for metric in row.metrics.values():
            yield _tidy_row(metric, family_of(row.name), row.name)
    yield from _accuracy_rows(summary)


def _tidy_row(metric: Metric, family: str = "", corruption: str = "", severity: int | str = "") -> tuple[Any, ...]:
    value, reason, ends = rounded(metric.value), metric.reason or "", low_and_high(metric.interval).values()
    return metric.name, family, corruption, severity, value, metric.unit, metric.label, reason, *ends


def _accuracy_rows(summary: RunSummary) -> Iterator[tuple[Any, ...]]:
    """The worst cell, then every cell."""

    def row(
        name: str, corruption: str, severity: int, accuracy: float | None, reason: str, interval: Interval | None
    ) -> tuple[Any, ...]:
        family = "" if corruption == CLEAN else family_of(corruption)
        ends = low_and_high(interval).values()
        return name, family, corruption, severity, rounded(accuracy), "fraction", name, reason, *ends

    worst = summary.worst_cell
    if worst is not None:
        # The worst of many cells is selected for being low, so no interval for a single cell is valid for it.
        lowest = 1 - worst.accuracy if wording(summary.cell_errors.protocol).shows_lost else worst.accuracy
        yield row("worst_cell", worst.corruption, worst.severity, lowest, "", None)
    words = wording(summary.cell_errors.protocol)
    shown = _share_name(words)
    if summary.cell_errors.clean is not None:
        yield row(shown, CLEAN, 0, 1 - summary.cell_errors.clean, "", accuracy_interval(summary.metrics[0]))
    for of in summary.corruptions:
        intervals = _share_intervals(of, words)
        for severity, share in _shares(of, words).items():
            yield row(shown, of.name, severity, share, of.errors[severity].reason or "", intervals[severity])
