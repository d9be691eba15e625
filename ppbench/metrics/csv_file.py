"""Accuracies from a CSV with the columns corruption, severity, accuracy."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from ppbench.errors import DataError
from ppbench.files import read_text
from ppbench.lookup import did_you_mean
from ppbench.vocabulary import CLEAN, KNOWN, SEVERITIES, Cell

_COLUMNS = ("corruption", "severity", "accuracy")
_EXAMPLE = "A CSV has the columns corruption,severity,accuracy and rows like `fog,3,0.4583`."


def read_csv(path: Path) -> dict[Cell, float]:
    """Read errors by (corruption, severity), ``("clean", 0)`` among them; other columns are ignored.

    Raises:
        DataError: If the file cannot be read or a row is wrong; the message has the line.
    """
    errors: dict[Cell, float] = {}
    for line, row in _csv_rows(path):
        key = _parse_key(path, line, row["corruption"], row["severity"])
        if key in errors:
            raise _bad_row(path, line, f"{key[0]} at severity {key[1]} is given twice", "Keep one of the rows.")
        errors[key] = 1 - _parse_accuracy(path, line, row["accuracy"])
    return errors


def _bad_row(path: Path, line: int, what: str, hint: str) -> DataError:
    return DataError(f"{path}, line {line}: {what}", hint)


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows of a CSV as texts, with their line numbers; blank lines are left out."""
    lines = _read_lines(path)
    _, header = next(lines, (0, None))
    if header is None:
        raise DataError(f"{path} is empty", _EXAMPLE)
    names = [name.lower() for name in header]
    missing = [column for column in _COLUMNS if column not in names]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}, only {', '.join(map(repr, names))}", _EXAMPLE)
    number = 0
    for number, fields in lines:
        if len(fields) != len(names):
            raise _bad_row(path, number, f"{len(fields)} fields under {len(names)} columns", _EXAMPLE)
        row = dict(zip(names, fields, strict=True))
        yield number, {column: row[column] for column in _COLUMNS}
    if not number:
        raise DataError(f"{path} has a header but no rows", _EXAMPLE)


def _read_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV that are not blank, with their numbers, as lists of stripped texts."""
    # Not pandas: its import alone takes longer than `ppbench show` may.
    try:
        reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
        for fields in reader:
            if any(field.strip() for field in fields):
                yield reader.line_num, [field.strip() for field in fields]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", _EXAMPLE) from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV: {error}", _EXAMPLE) from error


def _parse_key(path: Path, line: int, corruption: str, severity: str) -> Cell:
    """(corruption, severity), ``("clean", 0)`` among them."""
    name = corruption.lower()
    if name not in (CLEAN, *KNOWN):
        hint = f"{did_you_mean(name, [CLEAN, *KNOWN])}`ppbench list corruptions` lists all {len(KNOWN)}."
        raise _bad_row(path, line, f"unknown corruption {corruption!r}", hint)
    allowed = (0,) if name == CLEAN else SEVERITIES
    number = severity.removesuffix(".0")  # how integers are written where a column was once of floats
    if number not in map(str, allowed):
        hint = "Severities are 1 to 5; the uncorrupted images are `clean` at severity 0."
        raise _bad_row(path, line, f"severity {severity!r} of {name} is not allowed", hint)
    return name, int(number)


def _parse_accuracy(path: Path, line: int, text: str) -> float:
    """A fraction in [0, 1]."""
    try:
        accuracy = float(text)
    except ValueError:
        raise _bad_row(path, line, f"accuracy {text!r} is not a number", _EXAMPLE) from None
    if not 0 <= accuracy <= 1:
        hint = "Accuracies are fractions from 0 to 1: 76.13 % is written 0.7613."
        raise _bad_row(path, line, f"accuracy {text} is not allowed", hint)
    return accuracy
