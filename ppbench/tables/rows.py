"""Numbers and rows as JSON and CSV have them, whatever they are of."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from ppbench.metrics.intervals import Interval
from ppbench.tables.escapes import for_csv

_DECIMALS = 10
"""Far finer than any measurement, and free of the last bits' noise."""


def rounded(value: float | None) -> float | None:
    """A number as JSON and CSV have it, with no minus before a zero; None stays."""
    # Adding 0.0 turns -0.0 into 0.0: of a sum that is nothing but rounding, the sign differs between CPUs.
    return None if value is None else round(value, _DECIMALS) + 0.0


def low_and_high(interval: Interval | None) -> dict[str, float | None]:
    """The ends of an interval, rounded; None where there is none."""
    if interval is None:
        return {"low": None, "high": None}
    return {"low": rounded(interval.low), "high": rounded(interval.high)}


def csv_of_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A header and rows, None as an empty field, lines ending in a newline alone."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([for_csv(value) for value in row] for row in rows)
    return buffer.getvalue()
