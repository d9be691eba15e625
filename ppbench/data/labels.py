"""Image files whose labels are not folders: photographs without labels, and labels in a CSV. Free of torch."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppbench.data.folder import LabelledFiles
from ppbench.data.image_file import endings
from ppbench.data.walk import FoundImages, describe_left_out, find_images
from ppbench.errors import DataError
from ppbench.files import LARGEST_LONG_TEXT, read_text
from ppbench.lookup import counted

_HEADERS = frozenset({"path", "file", "filename", "file_name", "image", "id", "name"})
"""First cells of a first line that is a header, unless an image has this name."""

_NUMBER = re.compile(r"[0-9]{1,5}")

_FORM = "Each line is `path,label`: a path below --data, and the name or the number of a class."
_VALUES = (
    "`--labels predicted` takes the model's own predictions, `--labels FILE.csv` an existing file of `path,label`."
)


def list_photographs(root: Path) -> LabelledFiles:
    """List the images at any depth below ``root``, without labels.

    Raises:
        DataError: If there are none, or ``root`` or a folder in it cannot be read.
    """
    found = _images_in(root)
    labels = np.zeros(len(found.names), np.int64)
    return LabelledFiles((), found.names, found.names, labels, _left_out(root, found))


def _images_in(root: Path) -> FoundImages:
    try:
        found = find_images(root)
    except OSError as error:
        raise DataError(
            f"cannot read {error.filename}: {error.strerror}", "Give a folder with `--data DIR`."
        ) from error
    if not found.names:
        there = f": it has {describe_left_out(found.left_out)}" if found.left_out else ""
        wanted = ", ".join(sorted(endings()))
        raise DataError(f"no images in {root}{there}", f"Give a folder with {wanted} files, at any depth.")
    return found


def _left_out(root: Path, found: FoundImages) -> tuple[str, ...]:
    return (f"left out in {root}: {describe_left_out(found.left_out)}",) if found.left_out else ()


class _Row(NamedTuple):
    line: int
    path: str
    label: str


def list_labelled(root: Path, file: Path) -> LabelledFiles:
    """List the images below ``root`` that a CSV has a label for.

    Args:
        root: The folder.
        file: Lines of ``path,label``, with or without a header. Paths are relative to ``root``. If all labels are
            numbers, they are places among the model's outputs, from 0; otherwise they are names of classes.

    Raises:
        DataError: If the file cannot be read, has a line of another form, an image that is not there, or one twice.
    """
    found = _images_in(root)
    there = set(found.names)
    label_of: dict[str, _Row] = {}
    unknown: _Row | None = None
    others = 0  # further rows of images that are not there, which may be any number
    for row in _rows(file, there):
        if row.path not in there:
            unknown, others = unknown or row, others + (unknown is not None)
            continue
        if row.path in label_of:
            first = label_of[row.path].line
            raise DataError(
                f"{file}, line {row.line}: {_shown(row.path)} is in line {first} already", "Give each image one label."
            )
        label_of[row.path] = row
    if unknown is not None:
        more = f" ({counted(others, 'other')} neither)" if others else ""
        raise DataError(
            f"{file}, line {unknown.line}: there is no image {_shown(unknown.path)} in {root}{more}",
            f"Paths are relative to --data, such as {found.names[0]}.",
        )
    if not label_of:
        raise DataError(f"{file} has no labels", _FORM)
    names = [name for name in found.names if name in label_of]
    notes = _left_out(root, found)
    if len(names) < len(found.names):
        without = [name for name in found.names if name not in label_of]
        notes += (f"left out: {counted(len(without), 'image')} without a line in {file}, {without[0]} first",)
    return _labelled(names, [label_of[name].label for name in names], notes)


def _shown(path: str) -> str:
    """A path in one line."""
    return path if path.isprintable() else repr(path)


def _labelled(names: list[str], labels: list[str], notes: tuple[str, ...]) -> LabelledFiles:
    are_numbered = all(_NUMBER.fullmatch(label) for label in labels)
    if are_numbered:
        labels = [str(int(label)) for label in labels]
    classes = sorted(set(labels), key=int) if are_numbered else sorted(set(labels))
    number = {name: place for place, name in enumerate(classes)}
    numbers = np.array([number[label] for label in labels], np.int64)
    return LabelledFiles(tuple(classes), names, names, numbers, notes, are_numbered)


def _rows(file: Path, images: set[str]) -> Iterator[_Row]:
    """The lines of a CSV, without its header and its empty lines."""
    for place, (line, cells) in enumerate(filter(lambda row: any(row[1]), _lines_of(file))):
        if place == 0 and cells[0].lower() in _HEADERS and cells[0] not in images:
            continue
        if len(cells) != 2 or not all(cells):
            empty = "" if all(cells) else f" ({cells.count('')} empty)"
            raise DataError(f"{file}, line {line}: it has {counted(len(cells), 'cell')}{empty}, not two values", _FORM)
        path = cells[0].removeprefix("./")
        yield _Row(line, path if path in images else path.replace("\\", "/"), cells[1])


def _lines_of(file: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        # Not `splitlines`: it also splits at characters that file names may have, such as U+2028.
        reader = csv.reader(io.StringIO(read_text(file, LARGEST_LONG_TEXT), newline=""), strict=True)
        for cells in reader:
            yield reader.line_num, [cell.strip() for cell in cells]
    except OSError as error:
        raise DataError(f"cannot read the labels {file}: {error.strerror}", _VALUES) from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"{file} is not a table of labels: {error}", _FORM) from error
