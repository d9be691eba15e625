"""Documents as JSON, CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ppbench.metrics.corruption_error import FORMULAS
from ppbench.metrics.intervals import Interval
from ppbench.metrics.metric import Metric
from ppbench.report.sheets import sheets
from ppbench.report.summary import Row, RunSummary, accuracy_interval
from ppbench.run import Protocol
from ppbench.tables import escapes
from ppbench.tables.rows import csv_of_rows, rounded
from ppbench.tables.sheet import Sheet
from ppbench.tables.text import to_latex, to_markdown
from ppbench.vocabulary import CLEAN, family_of

CSV_COLUMNS = (
    "metric", "family", "corruption", "severity", "value", "unit", "label", "reason", "low", "high", "confidence",
)  # fmt: skip
"""Of family, corruption and severity those are empty that the value is a mean over; docs/metrics.md explains."""


def export(documents: Sequence[RunSummary], form: str, *, formulas: bool = False, intervals: bool = False) -> str:
    """Write documents as text.

    Args:
        documents: One, or several runs to stand side by side.
        form: ``json``, ``csv``, ``markdown`` or ``latex``.
        formulas: Add the definitions of the metrics (CSV has no place for them).
        intervals: Of every figure in Markdown and LaTeX; JSON and CSV have them always.
    """

    def drawn(write: Callable[[Sheet], str]) -> str:
        return "\n\n".join(map(write, sheets(documents, formulas=formulas, intervals=intervals)))

    writers: dict[str, Callable[[], str]] = {
        "json": lambda: to_json(documents, formulas=formulas),
        "csv": lambda: to_csv(documents),
        "markdown": lambda: drawn(to_markdown),
        "latex": lambda: drawn(to_latex),
    }
    return writers[form]()


def to_json(documents: Sequence[RunSummary], *, formulas: bool = False) -> str:
    """One document as an object; several as ``{"runs": [object, …]}``."""
    objects = [{**as_dict(document), **({"formulas": FORMULAS} if formulas else {})} for document in documents]
    content = objects[0] if len(objects) == 1 else {"runs": objects}
    return escapes.to_json(content)


def as_dict(document: RunSummary) -> dict[str, Any]:
    """The document as lists, dicts, texts and numbers; accuracies are fractions, errors are in percent."""
    accuracies, protocol = document.accuracies, document.accuracies.protocol
    worst = document.worst_cell
    return {
        "source": accuracies.source,
        "dataset": protocol.dataset if protocol else None,
        "images": protocol and _images(protocol),
        "classes": protocol and protocol.classes and protocol.classes.model_dump(),
        "precision": protocol and protocol.precision,
        "interrupted": accuracies.interrupted,
        "normalizer": document.normalizer,
        "baseline": document.baseline,
        "confidence": document.confidence,
        "stopping": document.stopping and document.stopping.model_dump(),
        "metrics": [_metric_dict(metric) for metric in document.metrics],
        "corruptions": [_corruption_dict(row) for row in document.corruptions],
        "families": [_family_dict(row) for row in document.families],
        "severities": [_severity_dict(s, metric) for s, metric in document.severities.items()],
        "worst_cell": worst and {**worst._asdict(), "accuracy": rounded(worst.accuracy)},
        "calibration": [_metric_dict(metric) for metric in document.calibration] or None,
    }


def _images(protocol: Protocol) -> dict[str, Any]:
    """What the images are; with the ids of those that could not be read, if there are any."""
    told = {key: getattr(protocol, key) for key in ("n", "total", "source", "recipe", "engine")}
    return told if protocol.unreadable is None else {**told, "unreadable": list(protocol.unreadable)}


def to_csv(documents: Sequence[RunSummary]) -> str:
    """One tidy table of metrics and accuracies; with several runs a first column has their names."""
    if len(documents) == 1:
        return csv_of_rows(CSV_COLUMNS, _tidy_rows(documents[0]))
    rows = ((document.accuracies.source, *row) for document in documents for row in _tidy_rows(document))
    return csv_of_rows(("run", *CSV_COLUMNS), rows)


def _metric_dict(metric: Metric) -> dict[str, Any]:
    content = {"name": metric.name, "label": metric.label, "value": _value(metric), "unit": metric.unit}
    if metric.reason is not None:
        return {**content, "reason": metric.reason}
    return {**content, **_ends(metric.interval)} if metric.interval else content


def _ends(interval: Interval) -> dict[str, float | None]:
    return {"low": rounded(interval.low), "high": rounded(interval.high)}


def _corruption_dict(row: Row) -> dict[str, Any]:
    return {
        "corruption": row.name,
        "family": family_of(row.name),
        "severities": {str(s): rounded(value) for s, value in row.accuracies.items()},
        **_plain({"mean_error": row.mean_error, "CE": row.ce, "relative_CE": row.relative_ce}, row),
    }


def _family_dict(row: Row) -> dict[str, Any]:
    return {
        "family": row.name,
        "corruptions": list(row.corruptions),
        "severities": {str(s): rounded(value) for s, value in row.accuracies.items()},
        **_plain({"mean_error": row.mean_error, "mCE": row.ce, "relative_mCE": row.relative_ce}, row),
    }


def _severity_dict(severity: int, metric: Metric) -> dict[str, Any]:
    return {"severity": severity, **_plain({"mean_error": metric})}


def _plain(metrics: Mapping[str, Metric], row: Row | None = None) -> dict[str, Any]:
    """Metrics as bare numbers; ``reasons`` says of each null why, ``s3`` in it of the accuracy at severity 3.

    ``intervals`` has the ends of each number's interval, of those that have one, by the same keys.
    """
    errors = {f"s{severity}": metric for severity, metric in row.errors.items()} if row else {}
    reasons = {key: m.reason for key, m in {**errors, **metrics}.items() if m.reason is not None}
    found = {f"s{s}": interval for s, interval in row.accuracy_intervals.items()} if row else {}
    found |= {key: metric.interval for key, metric in metrics.items()}
    intervals = {key: _ends(interval) for key, interval in found.items() if interval}
    return {**{key: _value(metric) for key, metric in metrics.items()}, "reasons": reasons, "intervals": intervals}


def _tidy_rows(document: RunSummary) -> Iterator[tuple[Any, ...]]:
    """Rows of `CSV_COLUMNS`."""
    for row in _bare_rows(document):
        yield *row, document.confidence if row[-1] is not None else None


def _bare_rows(document: RunSummary) -> Iterator[tuple[Any, ...]]:
    """Rows of all but the last of `CSV_COLUMNS`, from means over much to single cells."""
    for metric in (*document.metrics, *document.calibration):
        yield _tidy_row(metric)
    for severity, metric in document.severities.items():
        yield _tidy_row(metric, severity=severity)
    for row in document.families:
        for metric in (row.mean_error, row.ce, row.relative_ce):
            yield _tidy_row(metric, row.name)
        for severity, metric in row.errors.items():
            yield _tidy_row(metric, row.name, severity=severity)
    for row in document.corruptions:
        for metric in (row.mean_error, row.ce, row.relative_ce):
            yield _tidy_row(metric, family_of(row.name), row.name)
    yield from _accuracy_rows(document)


def _tidy_row(metric: Metric, family: str = "", corruption: str = "", severity: int | str = "") -> tuple[Any, ...]:
    value, reason = _value(metric), metric.reason or ""
    return metric.name, family, corruption, severity, value, metric.unit, metric.label, reason, *_two(metric.interval)


def _two(interval: Interval | None) -> tuple[float | None, float | None]:
    """The ends as two fields, empty without an interval."""
    return (rounded(interval.low), rounded(interval.high)) if interval else (None, None)


def _accuracy_rows(document: RunSummary) -> Iterator[tuple[Any, ...]]:
    """The worst cell, then every cell."""
    worst = document.worst_cell
    if worst is not None:
        # The worst of many is lower than it will be again: no interval is right about it.
        place = (family_of(worst.corruption), worst.corruption, worst.severity)
        yield "worst_cell", *place, rounded(worst.accuracy), "fraction", "worst_cell", "", *_two(None)
    clean = document.accuracies.clean
    if clean is not None:
        ends = _two(accuracy_interval(document.metrics[0]))
        yield "accuracy", "", CLEAN, 0, rounded(1 - clean), "fraction", "accuracy", "", *ends
    for row in document.corruptions:
        for severity, accuracy in row.accuracies.items():
            place = (family_of(row.name), row.name, severity)
            reason = row.errors[severity].reason or ""
            ends = _two(row.accuracy_intervals[severity])
            yield "accuracy", *place, rounded(accuracy), "fraction", "accuracy", reason, *ends


def _value(metric: Metric) -> float | None:
    return rounded(metric.value)
