"""Numbers of a model from a CSV: accuracies by corruption and severity, or flips by perturbation and difficulty."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ppbench.errors import DataError
from ppbench.files import read_text
from ppbench.lookup import did_you_mean
from ppbench.run import LARGEST_DISTANCE
from ppbench.vocabulary import CLEAN, KNOWN, P_SETS, SEVERITIES, Cell

_COLUMNS = ("corruption", "severity", "accuracy")
_EXAMPLE = "A CSV has the columns corruption,severity,accuracy and rows like `fog,3,0.4583`."

_FLIP_COLUMNS = ("perturbation", "difficulty", "flip_probability")
_DISTANCE = "top5_distance"
_FLIP_EXAMPLE = "It has the columns perturbation,difficulty,flip_probability and rows like `rotate,1,0.1297`."


class Flips(NamedTuple):
    """Numbers of perturbation sequences by (perturbation, difficulty)."""

    probabilities: dict[Cell, float]
    """Fractions."""
    distances: dict[Cell, float] | None
    """Top-5 distances, 0 to 15; None if there is no such column."""


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


def has_flips(path: Path) -> bool:
    """Whether a CSV has the header of `read_flips`.

    Raises:
        DataError: If the file cannot be read.
    """
    _, header = next(_read_lines(path), (0, []))
    return "perturbation" in (name.lower() for name in header)


def read_flips(path: Path) -> Flips:
    """Read flip probabilities and, from a column ``top5_distance`` if there is one, distances; others are ignored.

    Raises:
        DataError: If the file cannot be read or a row is wrong; the message has the line.
    """
    names = [name.lower() for name in next(_read_lines(path))[1]]
    columns = (*_FLIP_COLUMNS, *([_DISTANCE] if _DISTANCE in names else []))
    probabilities: dict[Cell, float] = {}
    distances: dict[Cell, float] = {}
    for line, row in _csv_rows(path, columns, _FLIP_EXAMPLE):
        key = _parse_flip_key(path, line, row["perturbation"], row["difficulty"])
        if key in probabilities:
            raise _bad_row(path, line, f"{key[0]} at difficulty {key[1]} is given twice", "Keep one of the rows.")
        hint = "Flip probabilities are fractions from 0 to 1: 9.44 % is written 0.0944."
        probabilities[key] = _parse_number(path, line, "flip_probability", row["flip_probability"], 1, hint)
        if _DISTANCE in row:
            hint = f"Top-5 distances are from 0 to {LARGEST_DISTANCE}."
            distances[key] = _parse_number(path, line, _DISTANCE, row[_DISTANCE], LARGEST_DISTANCE, hint)
    return Flips(probabilities, distances or None)


def _csv_rows(
    path: Path, columns: Sequence[str] = _COLUMNS, example: str = _EXAMPLE
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows of a CSV as texts, with their line numbers; blank lines are left out."""
    lines = _read_lines(path)
    _, header = next(lines, (0, None))
    if header is None:
        raise DataError(f"{path} is empty", example)
    names = [name.lower() for name in header]
    missing = [column for column in columns if column not in names]
    if missing:
        first = [repr(name if len(name) <= 40 else f"{name[:40]}…") for name in names[:6]]
        more = ", …" if len(names) > 6 else ""
        raise DataError(f"{path} has no column {missing[0]!r}, only {', '.join(first)}{more}", example)
    number = 0
    for number, fields in lines:
        if len(fields) != len(names):
            raise _bad_row(path, number, f"{len(fields)} fields under {len(names)} columns", example)
        row = dict(zip(names, fields, strict=True))
        yield number, {column: row[column] for column in columns}
    if not number:
        raise DataError(f"{path} has a header but no rows", example)


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


def _parse_flip_key(path: Path, line: int, perturbation: str, difficulty: str) -> Cell:
    name, known = perturbation.lower(), P_SETS["p14"]
    if name not in known:
        hint = f"{did_you_mean(name, list(known))}Perturbations are {', '.join(known)}."
        raise _bad_row(path, line, f"unknown perturbation {perturbation!r}", hint)
    number = difficulty.removesuffix(".0")
    if number not in ("1", "2", "3"):
        raise _bad_row(path, line, f"difficulty {difficulty!r} of {name} is not allowed", "Difficulties are 1 to 3.")
    return name, int(number)


def _parse_number(path: Path, line: int, column: str, text: str, most: float, hint: str) -> float:
    """A number from 0 to ``most``."""
    try:
        number = float(text)
    except ValueError:
        raise _bad_row(path, line, f"{column} {text!r} is not a number", _FLIP_EXAMPLE) from None
    if not 0 <= number <= most:
        raise _bad_row(path, line, f"{column} {text} is not allowed", hint)
    return number
