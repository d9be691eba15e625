"""Labelled image files, listed by class folders. Free of torch."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.image_file import endings
from ppbench.data.walk import (
    NO_UTF8,
    OUTPUT,
    RING,
    STRAY,
    SYSTEM,
    LeftOut,
    describe_left_out,
    ending,
    find_images,
    is_folder,
    is_output,
    is_system,
    is_utf8,
    kind_of,
)
from ppbench.errors import DataError

EMPTY = "without images, which count as classes"
"""What the note about empty class folders says of them."""

_NAMED = 3
"""Empty classes that are named; the others are counted."""


class LabelledFiles(NamedTuple):
    """Labelled image files. Without labels there are no classes, and all labels are 0."""

    class_names: tuple[str, ...]
    ids: list[str]
    files: list[str]
    """Paths relative to the dataset's folder, one per id."""
    labels: NDArray[np.int64]
    """``(N,)`` indices into ``class_names``."""
    notes: tuple[str, ...] = ()
    """Notes for the user, one line each: files left out, empty classes."""
    are_numbered: bool = False
    """Whether the names of the classes are places among a model's outputs."""


def list_classes(root: Path) -> LabelledFiles:
    """List the images at any depth below ``root/<class>``, sorted by class and path.

    Raises:
        DataError: If there are none, or ``root`` or a folder in it cannot be read.
    """
    class_names, left_out = look_for_classes(root)
    names: list[list[str]] = []
    for name in class_names:
        try:
            found = find_images(root / name)
        except OSError as error:
            raise DataError(
                f"cannot read {error.filename}: {error.strerror}", "Make it readable, or remove it."
            ) from error
        names.append([f"{name}/{file}" for file in found.names])
        left_out += found.left_out
    ids = [name for of_class in names for name in of_class]
    if not ids:
        there = f": it has {describe_left_out(left_out)}" if left_out else ""
        raise DataError(
            f"no images in {root}{there}",
            f"Expected {root}/<class>/<image>, with {', '.join(sorted(endings()))} files.",
        )
    counts = [len(of_class) for of_class in names]
    labels = np.repeat(np.arange(len(names)), counts)
    empty = [name for name, count in zip(class_names, counts, strict=True) if not count]
    return LabelledFiles(tuple(class_names), ids, ids, labels.astype(np.int64), _notes(root, left_out, empty))


def _notes(root: Path, left_out: LeftOut, empty: list[str]) -> tuple[str, ...]:
    notes = [f"left out in {root}: {describe_left_out(left_out)}"] if left_out else []
    if empty:
        more = f", and {len(empty) - _NAMED:,} more" if len(empty) > _NAMED else ""
        notes.append(f"{len(empty):,} class folder{'s' * (len(empty) > 1)} {EMPTY}: {', '.join(empty[:_NAMED])}{more}")
    return tuple(notes)


def class_folders(root: Path) -> list[str]:
    """Sorted names of the class folders in ``root``; see `look_for_classes`.

    Raises:
        DataError: If ``root`` is missing, no folder, or not readable.
    """
    return look_for_classes(root)[0]


def look_for_classes(root: Path) -> tuple[list[str], LeftOut]:
    """Sorted names of the class folders in ``root``, and a count of everything else there.

    Hidden entries are ignored. Folders that ``ppbench corrupt`` wrote, or whose names are not UTF-8, and links to the
    system's folders, to ``root`` and to what is above it are left out and counted.

    Raises:
        DataError: If ``root`` is missing, no folder, or not readable.
    """
    names: list[str] = []
    left_out: LeftOut = Counter()
    try:
        entries = [entry for entry in root.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"cannot read {root}: {error.strerror}", "Give an existing folder with `--data DIR`."
        ) from error
    for entry in entries:
        if not is_folder(entry):
            left_out[STRAY if ending(entry.name) in endings() else kind_of(entry.name)] += 1
        elif not is_utf8(entry.name):
            left_out[NO_UTF8] += 1
        elif is_system(entry):
            left_out[SYSTEM] += 1
        elif entry.is_symlink() and root.resolve().is_relative_to(entry.resolve()):
            left_out[RING] += 1  # as a class, it would have the images of all others
        elif is_output(entry):
            left_out[OUTPUT] += 1
        else:
            names.append(entry.name)
    return sorted(names), left_out


def file_size(path: Path) -> int:
    """Size in bytes; -1 for a missing file, which reading will report."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def fingerprint_of_files(ids: list[str], sizes: NDArray[np.int64], labels: NDArray[np.int64]) -> str:
    """SHA-256 (hex) of ids, sizes in bytes and labels."""
    lines = (f"{name} {size} {label}" for name, size, label in zip(ids, sizes, labels, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
