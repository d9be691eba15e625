"""Calibrations: how accurate one network is under two corruptions at once, at all severities. Free of torch.

A calibration is a CSV with the columns first, second, first_severity, second_severity, accuracy. Severities are
multiples of 0.25 from 0 to 5, accuracies are fractions. Lines that begin with # are comments. The rows of a pair, in
the order in which its corruptions are applied, are all 441 combinations; or ``second`` is empty, and the rows are those
of a single corruption. Where pairs are missing, an accuracy is approximated by the product of the single ones.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import DataError
from ppbench.files import LARGEST_LONG_TEXT, atomic_write, read_text
from ppbench.lookup import counted

COLUMNS = ("first", "second", "first_severity", "second_severity", "accuracy")

PairTable = NDArray[np.float64]
"""``(21, 21)``: accuracy, a fraction, by the severities of the first and the second corruption in quarters."""

Single = NDArray[np.float64]
"""``(21,)``: accuracy of one corruption alone."""

_MOST = 4000
"""Pairs of corruptions, and single ones, that a file may have; 15 corruptions have 225."""

_MAKE = "Make one: `ppbench calibrate --model NAME --data DIR -o FILE.csv` (docs/streams.md)."


@dataclass(frozen=True, eq=False)
class Calibration:
    """Accuracies of one network; NaN where they are not known."""

    pairs: Mapping[tuple[str, str], PairTable] = field(default_factory=dict)
    singles: Mapping[str, Single] = field(default_factory=dict)
    source: str = "the calibration"
    """Where it came from, for messages."""

    def sha256(self, corruptions: Sequence[str]) -> str:
        """SHA-256 of what it says of some corruptions, whatever the order of its rows."""
        lines = sorted(
            f"{first},{second},{','.join(f'{value:.9g}' for value in self.table(first, second).ravel())}"
            for first, second in permutations(corruptions, 2)
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def is_of_products(self, corruptions: Sequence[str]) -> bool:
        """Whether accuracies of some of these pairs are products of single ones."""
        return any(not _is_whole(self.pairs.get(pair)) for pair in permutations(corruptions, 2))

    def check_has(self, corruptions: Sequence[str]) -> None:
        """Raise `DataError` if an ordered pair has neither its accuracies nor those of both corruptions alone."""
        lacking = [
            (first, second)
            for first, second in permutations(corruptions, 2)
            if not _is_whole(self.pairs.get((first, second)))
            and not all(_is_whole(self.singles.get(name)) for name in (first, second))
        ]
        if lacking:
            (first, second), more = lacking[0], len(lacking) - 1
            others = f", and {counted(more, 'other pair')}" if more else ""
            raise DataError(
                f"{self.source} lacks accuracies of {first} with {second}{others}",
                f"A pair has 441 rows, or each of its corruptions 21 rows alone. {_MAKE}",
            )

    def table(self, first: str, second: str) -> PairTable:
        """The accuracies of an ordered pair, measured or approximated."""
        known = self.pairs.get((first, second))
        if known is not None and _is_whole(known):
            return known
        one, other = self.singles[first], self.singles[second]
        # As if the two took their shares independently of each other.
        return np.outer(one, other) / max(float(one[0]), 1e-9)


def _is_whole(table: NDArray[np.float64] | None) -> bool:
    return table is not None and not bool(np.isnan(table).any())


def read_calibration(path: Path) -> Calibration:
    """Read a calibration.

    Raises:
        DataError: If it cannot be read, or a row is not allowed.
    """
    try:
        text = read_text(path, LARGEST_LONG_TEXT)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read the calibration {path}: {reason}", _MAKE) from error
    rows = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    pairs: dict[tuple[str, str], PairTable] = {}
    singles: dict[str, Single] = {}
    try:
        if tuple(next(rows, ())) != COLUMNS:
            raise DataError(f"{path} is no calibration", f"Its first line is `{','.join(COLUMNS)}`. {_MAKE}")
        for row in filter(None, rows):
            _add_row(row, pairs, singles, path)
    except csv.Error as error:
        raise DataError(f"{path} is no calibration: {error}", _MAKE) from error
    return Calibration(pairs, singles, str(path))


def _add_row(
    row: Sequence[str], pairs: dict[tuple[str, str], PairTable], singles: dict[str, Single], path: Path
) -> None:
    try:
        _add(row, pairs, singles)
        if len(pairs) + len(singles) > _MOST:  # each takes memory, however few rows it has
            raise ValueError(f"it is of more than {_MOST:,} pairs of corruptions")
    except ValueError as error:
        raise DataError(
            f"the row `{','.join(row)[:80]}` of {path} is not allowed: {error}",
            "A row is `fog,snow,0.25,1.5,0.43`; with an empty second corruption `fog,,0.25,,0.6`.",
        ) from error


def _add(row: Sequence[str], pairs: dict[tuple[str, str], PairTable], singles: dict[str, Single]) -> None:
    """Add a row to the accuracies. It raises `ValueError` if it is not allowed, or if they have one of its place."""
    first, second, one, other, accuracy = row
    value = float(accuracy)
    if not 0 <= value <= 1 or not first:
        raise ValueError(f"{accuracy} is not an accuracy from 0 to 1")
    table: NDArray[np.float64]
    if second:
        table = pairs.setdefault((first, second), np.full((21, 21), np.nan))
        place: tuple[int, ...] = (_quarters(one), _quarters(other))
    else:
        table, place = singles.setdefault(first, np.full(21, np.nan)), (_quarters(one),)
    if not np.isnan(table[place]):
        raise ValueError("a row before it has the same corruptions and severities")
    table[place] = value


def write_calibration(path: Path, calibration: Calibration, comment: str) -> None:
    """Write a calibration, sorted, below a line that says what it is of.

    Raises:
        DataError: If it cannot be written.
    """
    lines = [f"# {' '.join(comment.split())}", *(",".join(row) for row in (COLUMNS, *_rows(calibration)))]
    atomic_write(path, "".join(f"{line}\n" for line in lines))


def _rows(calibration: Calibration) -> Iterable[tuple[str, ...]]:
    for name, single in sorted(calibration.singles.items()):
        for place, value in enumerate(single.tolist()):
            if value == value:
                yield name, "", f"{place / 4:g}", "", repr(value)
    for (first, second), table in sorted(calibration.pairs.items()):
        for (one, other), value in np.ndenumerate(table):
            if not np.isnan(value):
                yield first, second, f"{one / 4:g}", f"{other / 4:g}", repr(float(value))


def _quarters(text: str) -> int:
    """A severity in quarters."""
    quarters = 4 * float(text)
    if not 0 <= quarters <= 20 or quarters != int(quarters):
        raise ValueError(f"{text} is not a multiple of 0.25 from 0 to 5")
    return int(quarters)
