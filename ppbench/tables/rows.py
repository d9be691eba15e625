"""How numbers and rows are written in JSON and CSV, whatever they are of."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ppbench.tables.escapes import for_csv

DIGITS = 10
"""Decimals kept in JSON and CSV: far finer than any measurement, and free of the last bits' noise."""


def rounded(value: float | None) -> float | None:
    """A number to `DIGITS` decimals, with no minus before a zero; None stays."""
    # Adding 0.0 turns -0.0 into 0.0: of a sum that is nothing but rounding, the sign differs between CPUs.
    return None if value is None else round(value, DIGITS) + 0.0


def csv_of_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A header and rows, None as an empty field, lines ending in a newline alone."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([for_csv(value) for value in row] for row in rows)
    return buffer.getvalue()


def csv_of_records(columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> str:
    """The same of records, which have these columns, each by its name."""
    return csv_of_rows(columns, ([record[column] for column in columns] for record in records))
