"""Numbers and rows in JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from ppbench.metrics.intervals import Interval
from ppbench.tables.escapes import for_csv

_DECIMALS = 10
"""Decimals of a number: far finer than any measurement, but without the noise of the last bits."""


def rounded(value: float | None) -> float | None:
    """Round a number for JSON and CSV, without a minus sign before zero; None stays None."""
    # Adding 0.0 turns -0.0 into 0.0. If a sum is only rounding error, its sign differs between CPUs.
    return None if value is None else round(value, _DECIMALS) + 0.0


def low_and_high(interval: Interval | None) -> dict[str, float | None]:
    """The rounded ends of an interval; both None without an interval."""
    if interval is None:
        return {"low": None, "high": None}
    return {"low": rounded(interval.low), "high": rounded(interval.high)}


def csv_of_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV with a header, empty fields for None, and lines that end in a newline without a carriage return."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([for_csv(value) for value in row] for row in rows)
    return buffer.getvalue()
