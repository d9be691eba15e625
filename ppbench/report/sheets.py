"""Tables of text made from a document: Rich, Markdown and LaTeX draw the same sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ppbench.metrics.corruption_error import FORMULAS, MEANINGS
from ppbench.metrics.metric import Metric
from ppbench.report.document import Document, Row
from ppbench.vocabulary import SEVERITIES

MISSING = "–"
NOT_AVAILABLE = "n/a"

Kind = Literal["plain", "group", "total"]


@dataclass(frozen=True)
class Line:
    """One row of a sheet."""

    cells: tuple[str, ...]
    kind: Kind = "plain"
    """"group" heads the plain lines after it; "total" stands at the end."""
    worst: int | None = None
    """Column of the worst cell, if it is in this line."""


@dataclass(frozen=True)
class Sheet:
    """A table of text."""

    title: str
    header: tuple[str, ...]
    lines: tuple[Line, ...]
    text_columns: tuple[int, ...] = (0,)
    """Columns that are words and not numbers."""
    notes: tuple[str, ...] = ()
    """Sentences below the table."""


def heading(document: Document) -> str:
    """``resnet50 · imagenet-c · 500 of 2000 images · normaliser alexnet``."""
    protocol = document.accuracies.protocol
    parts = [document.accuracies.source]
    if protocol is not None:
        images = document.accuracies.subset or f"all {protocol.total}"
        parts += [protocol.dataset, f"{images} images"]
    parts.append(f"normaliser {document.normalizer}")
    if document.baseline is not None:
        parts.append(f"baseline {document.baseline}")
    if document.accuracies.interrupted:
        parts.append("interrupted: cells are missing")
    return " · ".join(parts)


def sheets(documents: Sequence[Document], *, formulas: bool = False) -> list[Sheet]:
    """The tables of one run, or the one that sets several side by side; then the formulas if wanted."""
    if len(documents) == 1:
        tables = [_headline_sheet(documents[0]), _corruption_sheet(documents[0])]
    else:
        tables = [_comparison_sheet(documents)]
    return [*tables, _formula_sheet()] if formulas else tables


def _comparison_sheet(documents: Sequence[Document]) -> Sheet:
    """The headline metrics and the mean errors per family and severity, one column per run.

    A metric whose label differs between runs (another baseline, say) is named by its labels, each once.
    """
    first = documents[0]
    lines = [_comparison_line([d.metrics[i] for d in documents]) for i in range(len(first.metrics))]
    families = _in_order([row.name for document in documents for row in document.families])
    lines.append(Line(("mean error by family",), "group"))
    for family in families:
        rows = [next((row.mean_error for row in d.families if row.name == family), None) for d in documents]
        lines.append(Line((f"  {family}", *map(_number, rows))))
    lines.append(Line(("mean error by severity",), "group"))
    for severity in (s for s in SEVERITIES if any(s in d.severities for d in documents)):
        lines.append(Line((f"  s{severity}", *(_number(d.severities.get(severity)) for d in documents))))
    header = ("%", *(document.accuracies.source for document in documents))
    return Sheet("Side by side", header, tuple(lines), notes=_comparison_notes(documents))


def _comparison_line(metrics: Sequence[Metric]) -> Line:
    """One metric of every run; runs without a value do not get a say in the label."""
    labels = [metric.label for metric in metrics if metric.value is not None] or [metrics[0].label]
    return Line((" / ".join(_in_order(labels)), *map(_number, metrics)))


def _comparison_notes(documents: Sequence[Document]) -> tuple[str, ...]:
    """The reasons of metrics without a value, each once, and every run's worst cell."""
    absent = [(m.name, m.reason) for d in documents for m in d.metrics if m.reason is not None]
    names = {reason: _in_order([name for name, other in absent if other == reason]) for _, reason in absent}
    worst = [f"Worst cell of {d.accuracies.source}: {_worst_words(d)}." for d in documents if d.worst_cell]
    return (*(f"n/a: {', '.join(of)}: {reason}." for reason, of in names.items()), *worst)


def _headline_sheet(document: Document) -> Sheet:
    lines = tuple(Line((m.label, _with_unit(m), m.reason or MEANINGS[m.name])) for m in document.metrics)
    return Sheet(heading(document), ("metric", "value", "what it is"), lines, text_columns=(0, 2))


def _formula_sheet() -> Sheet:
    lines = tuple(Line((name, formula)) for name, formula in FORMULAS.items())
    return Sheet("Definitions", ("metric", "formula"), lines, text_columns=(0, 1))


def _corruption_sheet(document: Document) -> Sheet:
    """Families with their corruptions, then the mean; CE only where there is a normaliser that gives one."""
    with_ce = any(row.ce.value is not None for row in (*document.corruptions, document.overall))
    severities = list(document.overall.accuracies)
    lines = []
    for family in document.families:
        lines.append(_line(family, document, with_ce, "group"))
        lines += [_line(row, document, with_ce, "plain") for row in document.family(family.name)]
    lines.append(_line(document.overall, document, with_ce, "total"))
    ce_columns = ("CE", "relative CE") if with_ce else ()
    header = ("corruption", *(f"s{severity}" for severity in severities), "mean error", *ce_columns)
    title = "Accuracy by severity (s1 mild … s5 severe) and errors over severities, %"
    return Sheet(title, header, tuple(lines), notes=_notes(document))


def _line(row: Row, document: Document, with_ce: bool, kind: Kind) -> Line:
    indent, names = {"plain": ("  ", row.name), "group": ("", row.name), "total": ("", _total_name(row))}[kind]
    accuracies = [MISSING if value is None else _decimals(100 * value, 1) for value in row.accuracies.values()]
    errors = [row.mean_error, row.ce, row.relative_ce] if with_ce else [row.mean_error]
    worst = None
    if document.worst_cell is not None and row.name == document.worst_cell.corruption:
        worst = 1 + list(row.accuracies).index(document.worst_cell.severity)
    return Line((f"{indent}{names}", *accuracies, *map(_number, errors)), kind, worst)


def _total_name(row: Row) -> str:
    return f"mean of {len(row.corruptions)}"


def _notes(document: Document) -> tuple[str, ...]:
    clean = document.metrics[0].value
    notes = [] if clean is None else [f"Clean accuracy: {_decimals(100 - clean, 2)} %."]
    if document.worst_cell is not None:
        notes.append(f"Worst cell: {_worst_words(document)}.")
    if document.calibration:
        notes.append(_calibration_note(document.calibration))
    return tuple(notes)


def _worst_words(document: Document) -> str:
    if document.worst_cell is None:
        return NOT_AVAILABLE
    corruption, severity, accuracy = document.worst_cell
    return f"{corruption} at severity {severity}, accuracy {_decimals(100 * accuracy, 1)} %"


def _calibration_note(metrics: Sequence[Metric]) -> str:
    """``Calibration, clean → c15,s1-5: log loss 0.31 nats → 1.22 nats, …``; the metrics come in such pairs."""
    pairs = list(zip(metrics[::2], metrics[1::2], strict=True))
    definitions = " → ".join(metric.label.partition("[")[2].removesuffix("]") for metric in pairs[0])
    values = [f"{a.name.replace('_', ' ')} {_with_unit(a)} → {_with_unit(b)}" for a, b in pairs]
    return f"Calibration, {definitions}: {', '.join(values)}."


def _number(metric: Metric | None) -> str:
    return NOT_AVAILABLE if metric is None or metric.value is None else _decimals(metric.value, 2)


def _with_unit(metric: Metric) -> str:
    return NOT_AVAILABLE if metric.value is None else f"{_decimals(metric.value, 2)} {metric.unit}"


def _decimals(value: float, digits: int) -> str:
    """Rounded as on paper: 1 - 0.6125 is 0.38749…96 in binary, and its percentage still reads 38.8."""
    return f"{round(value, 10):.{digits}f}"


def _in_order(values: Sequence[str]) -> list[str]:
    """Each value once, in the order of first appearance."""
    return list(dict.fromkeys(values))
