"""Check the content of manifests and journals: they name files that are kept, read and removed in their folder."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from ppbench.copies.places import STILLS, CopyPlaces
from ppbench.vocabulary import CLEAN, NAME_PATTERN

_CELL = re.compile(rf"{CLEAN}/0|(?!{CLEAN}/){NAME_PATTERN}/[1-5]")


def header(content: Any) -> dict[str, Any]:
    """``settings`` and ``made_with`` of a job, and ``own`` if it has corruptions of the user's own.

    Raises:
        ValueError: If they are not tables of single values.
    """
    parts = {
        name: _table(content[name], name)
        for name in ("settings", "made_with", "own")
        if name != "own" or name in content
    }
    for values in parts.values():
        for name, value in values.items():
            if not isinstance(value, str | int | float | None):
                raise ValueError(f"{name} is not a single value")
    return parts


def cells(content: Any) -> set[str]:
    """Cells such as ``fog/3`` or ``clean/0``.

    Raises:
        ValueError: If one of them is not a cell.
    """
    if not isinstance(content, list):
        raise ValueError("its cells are not a list")
    for cell in content:
        if not isinstance(cell, str) or not _CELL.fullmatch(cell):
            raise ValueError(f"{cell!r} is not a cell")
    return set(content)


def failures(content: Any) -> list[dict[str, str | None]]:
    """The list of failures.

    Raises:
        ValueError: If an entry is not as `ppbench.copies.records.Failure.entry` makes it.
    """
    if not isinstance(content, list):
        raise ValueError("its failures are not a list")
    for entry in content:
        texts = [_table(entry, "a failure").get(name) for name in ("source", "reason")]
        if not all(isinstance(text, str) for text in texts) or not isinstance(entry.get("cell"), str | None):
            raise ValueError("a failure lacks its source, cell or reason")
    return [dict(entry) for entry in content]


def record(content: Any, places: CopyPlaces = STILLS) -> dict[str, Any]:
    """The record of one source.

    Args:
        content: What the file says.
        places: Where its copies are.

    Raises:
        ValueError: If it is not as jobs write it, or a file is not in a cell's folder.
    """
    known = _table(content, "a source")
    if not isinstance(known.get("sha256"), str):
        raise ValueError("a source has no sha256")
    for name, file in _table(known.get("files"), "the files of a source").items():
        places.found(name)
        if not is_inside(name):
            raise ValueError(f"{name!r} is not a file in a cell's folder")
        if not isinstance(_table(file, "a file").get("bytes"), int) or not isinstance(file.get("sha256"), str):
            raise ValueError(f"{name!r} has no bytes or no sha256")
    return known


def outputs(content: Any) -> dict[str, str]:
    """Source -> the name of its file in each cell.

    Raises:
        ValueError: If a name leads out of the folder.
    """
    for name in _table(content, "what was begun").values():
        if not isinstance(name, str) or not is_inside(name):
            raise ValueError(f"{name!r} is not a file in a cell's folder")
    return dict(content)


def is_inside(name: str) -> bool:
    """Whether a path is relative and leads to a file below its folder, on any system."""
    windows, posix = PureWindowsPath(name), PurePosixPath(name)
    return bool(posix.parts) and not windows.anchor and not posix.is_absolute() and ".." not in posix.parts


def _table(content: Any, what: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError(f"{what} is not a table")
    return content
