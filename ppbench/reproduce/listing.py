"""The rows of a table, with what is published of them. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence

from ppbench.reproduce.tables import Row, Table
from ppbench.tables.escapes import to_json
from ppbench.tables.rows import csv_of_rows
from ppbench.tables.sheet import MISSING, Line, Sheet
from ppbench.tables.text import to_latex, to_markdown


def sheet(table: Table, rows: Sequence[Row]) -> Sheet:
    """Ids, what they are, and the published figures, if there are any."""
    labels = [label for label in table.metrics if any(label in row.published for row in rows)]
    lines = tuple(Line((row.id, row.label, row.model, _augment(row), *_published(row, labels))) for row in rows)
    notes = (f"Published, in percent: {table.source}." if labels else table.source, *table.protocol_differences)
    return Sheet(table.title, ("row", "label", "model", "augment", *labels), lines, (0, 1, 2, 3), notes)


def as_json(table: Table, rows: Sequence[Row]) -> str:
    """The table as its file has it, with these rows."""
    content = table.model_dump(mode="json")
    return to_json({**content, "rows": [row.model_dump(mode="json") for row in rows]})


def write_sheet(sheet: Sheet, form: str) -> str:
    """Write as ``csv``, ``markdown`` or ``latex``."""
    if form == "csv":
        return csv_of_rows(sheet.header, (line.cells for line in sheet.lines))
    return {"markdown": to_markdown, "latex": to_latex}[form](sheet)


def _augment(row: Row) -> str:
    return (row.augment or "") + (" + JSD" if row.jsd else "")


def _published(row: Row, labels: Sequence[str]) -> list[str]:
    return [f"{row.published[label]:.2f}" if label in row.published else MISSING for label in labels]
