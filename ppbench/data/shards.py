"""A dataset in several files: patterns of their names, and where an image is in them. Free of torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from glob import glob
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import DataError

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_CHOICE = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MOST = 1_000_000
"""Largest number of names that a pattern may stand for."""


def is_pattern(path: Path) -> bool:
    """Whether a path that does not exist is a pattern of names: ``*``, ``?``, ``[…]``, ``{a,b}``, ``{0000..0009}``."""
    return any(sign in str(path) for sign in "*?[{") and not path.exists()


def matching(pattern: Path) -> list[Path]:
    """The files that a pattern stands for: those of a range in braces in its order, all others sorted.

    Raises:
        DataError: If there are none, or one that braces name is missing.
    """
    found: list[Path] = []
    for name in _without_braces(str(pattern)):
        if Path(name).is_file():
            found.append(Path(name))
            continue
        files = [Path(path) for path in sorted(glob(name)) if Path(path).is_file()]  # noqa: PTH207
        if not files:
            raise DataError(f"no file is named {name}", "Give a file, a folder, or a pattern in quotes: 'DIR/*.tar'.")
        found += files
    return list(dict.fromkeys(found))


def _without_braces(pattern: str) -> list[str]:
    names = [pattern]
    while names and (match := _RANGE.search(names[0]) or _CHOICE.search(names[0])):
        if match.re is _RANGE:
            first, last = match.groups()
            low, high = int(first), int(last)
            if not low <= high < low + _MOST:
                raise DataError(f"{match[0]} is not a range of file numbers", "Write it as {0000..0009}.")
            inner = [str(number).zfill(len(first)) for number in range(low, high + 1)]
        else:
            inner = match[1].split(",")
        if len(names) * len(inner) > _MOST:
            raise DataError(f"{pattern} stands for more than {_MOST:,} files", "Give a smaller range.")
        # All names have the same braces, at the same place: what comes before differs in digits or choices alone.
        names = [_once(name, match.re, part) for name in names for part in inner]
    return names


def _once(name: str, braces: re.Pattern[str], part: str) -> str:
    return braces.sub(lambda match: part, name, count=1)


def starts_of(sizes: Sequence[int]) -> NDArray[np.int64]:
    """``(parts + 1,)``: the row at which each part begins, and behind the last one the number of rows."""
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)


def place_of(row: int, starts: NDArray[np.int64]) -> tuple[int, int]:
    """The part that a row is in, and its row there."""
    part = int(np.searchsorted(starts, row, "right")) - 1
    return part, row - int(starts[part])
