"""Comparisons as JSON, CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ppbench.compare.comparison import Comparison
from ppbench.compare.difference import Difference
from ppbench.compare.sheets import sheets
from ppbench.compare.verdict import verdict_text
from ppbench.tables.escapes import to_json
from ppbench.tables.rows import csv_of_records, rounded
from ppbench.tables.text import to_latex, to_markdown

CSV_COLUMNS = (
    "reference_run", "run", "group", "name", "reference", "value", "difference", "low", "high", "confidence", "p",
    "detectable", "label", "reason", "metric", "unit",
)  # fmt: skip
"""Values are in percent and differences in points, or both in nats."""


def export(
    comparisons: Sequence[Comparison], form: str, *, cells: bool = False, all_metrics: bool = False, pairs: bool = False
) -> str:
    """Write comparisons as text.

    Args:
        comparisons: Each of one model with the same reference.
        form: ``json``, ``csv``, ``markdown`` or ``latex``.
        cells: Add the cells to tables.
        all_metrics: Add CE, relative CE and calibration to tables.
        pairs: Add a table for each pair where there are several. JSON and CSV always have all of this.
    """
    if form == "json":
        content = {"comparisons": [as_dict(comparison) for comparison in comparisons]}
        return to_json(content)
    if form == "csv":
        return _to_csv(comparisons)
    write = {"markdown": to_markdown, "latex": to_latex}[form]
    return "\n\n".join(map(write, sheets(comparisons, cells=cells, all_metrics=all_metrics, pairs=pairs)))


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison as lists, dicts, texts and numbers; values in percent, differences in points (log loss: nats)."""
    protocol = comparison.reference.run.protocol
    return {
        "reference": comparison.reference.name,
        "run": comparison.other.name,
        "dataset": protocol.dataset,
        "n": protocol.n,
        "total": protocol.total,
        "normalizer": comparison.normalizer,
        "normalizer_is_exact": comparison.normalizer_is_exact,
        "confidence": comparison.confidence,
        "allowed": list(comparison.allowed),
        "remarks": list(comparison.remarks),
        "same_weights": comparison.same_weights,
        "verdict": verdict_text(comparison),
        "differences": [_difference_dict(difference) for difference in comparison.differences],
    }


def _difference_dict(difference: Difference) -> dict[str, Any]:
    interval = difference.points
    return {
        "group": difference.group,
        "name": difference.name,
        "label": difference.label,
        "reference": rounded(difference.reference),
        "value": rounded(difference.value),
        "difference": rounded(difference.change),
        "low": rounded(interval and interval.low),
        "high": rounded(interval and interval.high),
        "p": difference.p,
        "detectable": rounded(difference.detectable),
        "reason": difference.reason,
        "metric": difference.metric,
        "unit": difference.unit,
    }


def _to_csv(comparisons: Sequence[Comparison]) -> str:
    records = (
        {
            "reference_run": comparison.reference.name,
            "run": comparison.other.name,
            "confidence": comparison.confidence,
            **_difference_dict(difference),
        }
        for comparison in comparisons
        for difference in comparison.differences
    )
    return csv_of_records(CSV_COLUMNS, records)
