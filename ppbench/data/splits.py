"""Which files of a dataset are its parts for training and testing, by their names. Free of torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ppbench.data.cells import is_image, visible
from ppbench.data.walk import is_system
from ppbench.errors import DataError

_NUMBERED = re.compile(r"-\d{3,}-of-\d{3,}(-[0-9a-f]+)?$")
"""Ending of a shard's name, as Hugging Face's libraries write it: ``test-00000-of-00005-1a2b…``."""

_TO_TRAIN = ("train", "training")

_TO_EVALUATE = ("test", "validation", "valid", "val", "dev")
"""Splits in the order in which they are taken if none is chosen."""


def splits(names: Iterable[str]) -> dict[str, list[str]]:
    """Group Parquet files by split: ``test``, or ``<configuration>/test`` where there are configurations.

    Args:
        names: Paths relative to the dataset's folder, with slashes, such as ``data/test-00000-of-00001.parquet`` or
            ``default/test/0000.parquet``.
    """
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        path = PurePosixPath(name)
        folders = [part for part in path.parts[:-1] if part != "data"]
        stem = _NUMBERED.sub("", path.stem)
        # Numbers alone: the folder is named like the split.
        parts = folders if stem.isdigit() else [*folders, stem]
        found.setdefault("/".join(parts), []).append(name)
    return found


def choose_split(found: dict[str, list[str]], wanted: str, where: str, how: str) -> str:
    """The name of the split to evaluate.

    Args:
        found: As `splits` gives it.
        wanted: ``test``, or ``<configuration>/test``; empty: the usual one.
        where: What has them, for messages.
        how: How to choose one, with ``{}`` in the place of its name.

    Raises:
        DataError: If there is none of this name, or several, or none that is usual.
    """
    last = {name: name.rpartition("/")[2] for name in found}
    for split in (wanted,) if wanted else _TO_EVALUATE:
        fitting = [split] if split in found else [name for name in found if last[name] == split]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise DataError(f"{where} has {len(fitting)} parts of this name: {_few(fitting)}", _one(how, fitting[0]))
    if not wanted and len(found) == 1:
        return next(iter(found))
    lacks = f"no part {wanted!r}" if wanted else "no part that is usual for an evaluation"
    raise DataError(f"{where} has {lacks}; it has {_few(list(found))}", _one(how, next(iter(found))))


def _few(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f", … ({len(names)} in all)" if len(names) > 8 else "")


def _one(how: str, name: str) -> str:
    return f"Choose one: {how.format(name)}."


_MARK = b"PAR1"
"""First and last bytes of a Parquet file."""

_METADATA = "metadata.parquet"
"""Hugging Face's name for a table about images that are files beside it."""

_FOLDERS = 50
"""A folder with more folders than this contains classes, in which no Parquet files are looked for."""


def is_parquet(path: Path) -> bool:
    """Whether a file is named or begins like a Parquet file."""
    if path.suffix == ".parquet":
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False


def find_parquet(root: Path, folders: list[str], files: list[str]) -> list[Path]:
    """The Parquet files of one split in a folder, or in folders in it, as datasets of the hub have them.

    Args:
        root: The folder.
        folders: Names of the folders in it.
        files: Names of the files in it.

    Raises:
        DataError: If there are several splits; the message says how to choose one.
    """
    names = [name for name in files if name.endswith(".parquet") and name != _METADATA]
    waiting = [(name, 1) for name in sorted(folders, reverse=True)] if not names and len(folders) <= _FOLDERS else []
    while waiting:
        folder, depth = waiting.pop()
        if is_system(root / folder):
            continue
        inner, here = visible(root / folder)
        if any(map(is_image, here)):
            return []  # class folders
        names += [f"{folder}/{name}" for name in here if name.endswith(".parquet")]
        if depth < 3 and len(inner) <= _FOLDERS:
            waiting += [(f"{folder}/{name}", depth + 1) for name in inner]
    found = splits(names)
    last = {name.rpartition("/")[2] for name in found}
    if len(found) < 2 or last.isdisjoint((*_TO_EVALUATE, *_TO_TRAIN)):
        return [root / name for name in sorted(names)]
    usual = [name for split in _TO_EVALUATE for name in found if name.rpartition("/")[2] == split]
    raise DataError(
        f"{root} has {len(found)} parts: {_few(list(found))}",
        f"Choose one by its files: `--data '{root / _pattern(found[(usual or list(found))[0]])}'`.",
    )


def _pattern(files: list[str]) -> str:
    """A pattern that stands for the files of one split."""
    if len(files) == 1:
        return files[0]
    path = PurePosixPath(files[0])
    start = _NUMBERED.sub("-", path.stem)
    return str(path.with_name("*.parquet" if start.rstrip("-").isdigit() else f"{start}*.parquet"))
