"""Runs beside published results: a column for every label, so that no two definitions stand in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ppbench.errors import NotComparableError
from ppbench.lookup import unknown_name
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.corruption_error import clean_error, mean_corruption_error
from ppbench.metrics.metric import Metric
from ppbench.metrics.published import MCE, PUBLISHED
from ppbench.metrics.references import ALEXNET
from ppbench.run import Run
from ppbench.tables.escapes import to_json
from ppbench.tables.rows import csv_of_records, rounded
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE, Line, Sheet
from ppbench.tables.text import to_latex, to_markdown

Row = tuple[str, dict[str, Metric], str]
"""Name, metrics by label, source."""


class Beside(NamedTuple):
    """Published results with the user's runs."""

    name: str
    labels: tuple[str, ...]
    """Columns: the published ones, then those that only runs have."""
    rows: tuple[Row, ...]


def beside_published(runs: Sequence[tuple[str, Run]], name: str) -> Beside:
    """Set runs beside published results.

    Args:
        runs: Names and runs.
        name: One of `PUBLISHED`.

    Raises:
        UsageError: If there are no such results.
        NotComparableError: If a run is of another dataset.
    """
    if name not in PUBLISHED:
        raise unknown_name("set of published results", name, list(PUBLISHED), "ppbench compare --help")
    dataset, published = PUBLISHED[name]
    rows: list[Row] = [
        (
            entry.name,
            {label: Metric(label.partition("[")[0], label, v, "%") for label, v in entry.values.items()},
            entry.source,
        )
        for entry in published
    ]
    for called, run in runs:
        if run.protocol.dataset != dataset:
            raise NotComparableError(
                f"{called} is of {run.protocol.dataset}, {name} of {dataset}",
                f"Evaluate on {dataset}: `ppbench eval --dataset {dataset}`.",
            )
        accuracies = CellErrors.from_run(run)
        own = (mean_corruption_error(accuracies, ALEXNET), clean_error(accuracies))
        rows.append((called, {metric.label: metric for metric in own}, "this run"))
    labels = dict.fromkeys(label for _, metrics, _ in rows for label in metrics)
    return Beside(name, tuple(labels), tuple(rows))


def sheet(beside: Beside) -> Sheet:
    """The table, with a note where a run's numbers stand in columns of their own."""
    lines = tuple(Line((name, *_cells(metrics, beside.labels), source)) for name, metrics, source in beside.rows)
    header = ("model", *(f"{label} %" for label in beside.labels), "source")
    return Sheet(f"Published results: {beside.name}", header, lines, (0, len(header) - 1), tuple(_notes(beside)))


def export(beside: Beside, form: str) -> str:
    """Write as ``json``, ``csv``, ``markdown`` or ``latex``."""
    if form in ("markdown", "latex"):
        return {"markdown": to_markdown, "latex": to_latex}[form](sheet(beside))
    records = [
        {"model": name, "label": label, "value": rounded(m.value),
         "unit": m.unit, "source": source, "reason": m.reason}
        for name, metrics, source in beside.rows
        for label, m in metrics.items()
    ]  # fmt: skip
    if form == "json":
        return to_json({"published": beside.name, "results": records})
    return csv_of_records(list(records[0]), records)


def _cells(metrics: dict[str, Metric], labels: Sequence[str]) -> list[str]:
    return [_cell(metrics[label]) if label in metrics else MISSING for label in labels]


def _cell(metric: Metric) -> str:
    return NOT_AVAILABLE if metric.value is None else f"{round(metric.value, 10):.1f}"


def _notes(beside: Beside) -> list[str]:
    notes = [
        "Published figures are of all 50,000 images, from the READMEs of these repositories on GitHub or the paper."
    ]
    for name, metrics, source in beside.rows:
        if source == "this run" and MCE not in metrics:
            label = next(iter(metrics))
            notes.append(f"{name}: {label} is not {MCE}, so it stands in a column of its own: do not rank the two.")
        notes += [f"{name}: {NOT_AVAILABLE}: {m.label}: {m.reason}." for m in metrics.values() if m.reason]
    return notes
