"""A reproduced table as JSON, CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ppbench.metrics.intervals import Interval
from ppbench.reproduce.figures import Against, Figure, Results, RowFigures
from ppbench.reproduce.networks import Given
from ppbench.reproduce.sheets import sheets
from ppbench.tables.escapes import to_json
from ppbench.tables.rows import csv_of_rows, rounded
from ppbench.tables.text import to_latex, to_markdown

CSV_COLUMNS = ("row", "what", "label", "seed", "value", "unit", "low", "high", "p", "reason")


def export(results: Results, form: str) -> str:
    """Write as ``json``, ``csv``, ``markdown`` or ``latex``."""
    if form == "json":
        return to_json(as_dict(results))
    if form == "csv":
        return csv_of_rows(CSV_COLUMNS, (line for row in results.rows for line in _tidy(row)))
    draw = {"markdown": to_markdown, "latex": to_latex}[form]
    return "\n\n".join(map(draw, sheets(results)))


def as_dict(results: Results) -> dict[str, Any]:
    """All of it, in percent and percentage points."""
    table, run = results.table, results.run
    return {
        "table": table.name,
        "title": table.title,
        "source": table.source,
        "baseline": table.baseline,
        "metrics": list(table.metrics),
        "confidence": results.confidence,
        "protocol": run and run.protocol.model_dump(mode="json"),
        "training": table.training.model_dump(mode="json"),
        "protocol_differences": list(table.protocol_differences),
        "rows": [_row_dict(row) for row in results.rows],
    }


def _row_dict(row: RowFigures) -> dict[str, Any]:
    return {
        "row": row.row.id,
        "label": row.row.label,
        "model": row.row.model,
        "augment": row.row.augment,
        "jsd": row.row.jsd,
        "seeds": list(row.seeds),
        "published": dict(row.row.published),
        "measured": [_figure_dict(figure) for figure in row.figures],
        "against_baseline": [_against_dict(against) for against in row.against],
        "trained_on_corruptions": list(row.trained_on),
        "given": [_given_dict(given) for given in row.given],
        "failures": {name: str(error) for name, error in row.failures.items()},
    }


def _given_dict(given: Given) -> dict[str, Any]:
    return {"seed": given.seed, "checkpoint": str(given.path), "differences": list(given.differences)}


def _figure_dict(figure: Figure) -> dict[str, Any]:
    metric = figure.metric
    return {
        "column": figure.column.label,
        "label": metric.label,
        "value": rounded(metric.value),
        "unit": metric.unit,
        "reason": metric.reason,
        **_ends(metric.interval),
        "by_seed": _rounded(figure.by_seed),
        "range_over_seeds": rounded(figure.range),
    }


def _against_dict(against: Against) -> dict[str, Any]:
    return {
        "name": against.name,
        "points": rounded(against.points.value),
        **_ends(against.points),
        "p": against.p,
        "by_seed": _rounded(against.by_seed),
    }


def _tidy(row: RowFigures) -> Iterator[tuple[Any, ...]]:
    """Rows of `CSV_COLUMNS`; an empty seed is the mean over seeds."""
    name = row.row.id
    for given in row.given:
        yield name, "given", str(given.path), given.seed, "", "", "", "", "", "; ".join(given.differences)
    for label, value in row.row.published.items():
        yield name, "published", label, "", value, "%", "", "", "", ""
    for figure in row.figures:
        metric = figure.metric
        ends = _ends(metric.interval)
        yield name, "measured", metric.label, "", rounded(metric.value), metric.unit, *ends.values(), "", metric.reason
        for seed, value in figure.by_seed.items():
            yield name, "measured", metric.label, seed, rounded(value), metric.unit, "", "", "", ""
    for against in row.against:
        ends = _ends(against.points)
        yield (
            name,
            "difference",
            against.name,
            "",
            rounded(against.points.value),
            "points",
            *ends.values(),
            against.p,
            "",
        )
        for seed, value in against.by_seed.items():
            yield name, "difference", against.name, seed, rounded(value), "points", "", "", "", ""


def _ends(interval: Interval | None) -> dict[str, float | None]:
    if interval is None:
        return {"low": None, "high": None}
    return {"low": rounded(interval.low), "high": rounded(interval.high)}


def _rounded(values: Mapping[int, float]) -> dict[str, float | None]:
    return {str(seed): rounded(value) for seed, value in values.items()}
