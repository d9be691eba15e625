"""Clean images as files, one folder per class. Free of torch."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.cut import Cut, describe_cut
from ppbench.data.decode import decode_rgb, is_rgb_jpeg, open_rgb, read_content
from ppbench.data.image_file import endings
from ppbench.data.photographs import look_at_photographs
from ppbench.data.source import Broken, Encoded, Loaded
from ppbench.data.stamps import FileStamps, stamps_of
from ppbench.data.walk import (
    NO_UTF8,
    OUTPUT,
    STRAY,
    LeftOut,
    describe_left_out,
    ending,
    find_images,
    is_folder,
    is_output,
    is_utf8,
    kind_of,
)
from ppbench.errors import DataError

_NAMED = 3
"""Empty classes that are named; the others are counted."""

_PEEKED = 100
"""Images whose headers are read before the start."""

EXIF_APPLIED = "EXIF orientation and colour profile applied, "


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


class FolderImages:
    """Images in files, decoded when they are loaded.

    Args:
        root: The dataset's folder.
        cut: How they are cut.
        listing: The files and their labels; None: ``root/<class>/…``, labelled by the sorted names of class folders.
        exif: Whether EXIF orientation and colour profiles are applied. If not, a note counts the images that have them.

    Raises:
        DataError: If the folder is missing, or has no class folders with images.
    """

    is_slow = True
    channels: Literal[1, 3] = 3

    def __init__(self, root: Path, cut: Cut, listing: LabelledFiles | None = None, *, exif: bool = False) -> None:
        self.root, self.size, self.cut = root, cut.size, EXIF_APPLIED * exif + describe_cut(cut)
        self._cut, self._exif = cut, exif
        found = listing or list_classes(root)
        self.class_names, self.ids, self._files, self.labels, self.notes, self.are_numbered = found
        if not exif:
            # Evenly spread images: classes may come from different cameras.
            note = look_at_photographs(root / name for name in self._files[:: len(self._files) // _PEEKED + 1]).note()
            self.notes += (note,) if note else ()

    def fingerprint(self) -> str:
        """SHA-256 of ids, sizes in bytes and labels (not of the pixels: that would take hours)."""
        return fingerprint_of_files(self.ids, self._sizes(), self.labels)

    def mean_bytes(self) -> float:
        """Mean size of a file."""
        return float(np.mean(self._sizes()))

    def stamps(self, rows: NDArray[np.int64]) -> FileStamps:
        """The stamps of the files at ``rows``."""
        return stamps_of(self.root / self._files[row] for row in rows)

    def load(self, rows: NDArray[np.int64]) -> Loaded:
        """Load and cut the images at ``rows``; `Broken.place` is an index into ``rows``."""
        pixels = np.zeros((len(rows), self.size, self.size, self.channels), np.uint8)
        broken = []
        for place, row in enumerate(rows):
            try:
                pixels[place] = decode_rgb(self.root / self._files[row], self._cut, exif=self._exif)
            except DataError as error:
                broken.append(Broken(place, error.message, error.hint))
        return Loaded(pixels, tuple(broken))

    def read(self, rows: NDArray[np.int64]) -> Iterator[Image.Image | DataError]:
        """Yield the images at ``rows``, not cut, or why one cannot be read."""
        for row in rows:
            path = self.root / self._files[row]
            try:
                yield open_rgb(path, str(path), exif=self._exif)
            except DataError as error:
                yield error

    @property
    def encoded_cut(self) -> Cut | None:
        """The cut, if a GPU may decode the files: it knows nothing of EXIF data and colour profiles."""
        return None if self._exif else self._cut

    def encoded(self, rows: NDArray[np.int64]) -> Encoded:
        """Read the files at ``rows``, and decode those that are not JPEG files of three colours."""
        jpegs, decoded, broken = [], [], []
        for place, row in enumerate(rows):
            path = self.root / self._files[row]
            try:
                content = read_content(path)
                if is_rgb_jpeg(content):
                    jpegs.append((place, str(path), content))
                else:
                    decoded.append((place, decode_rgb(io.BytesIO(content), self._cut, str(path))))
            except DataError as error:
                broken.append(Broken(place, error.message, error.hint))
        return Encoded(len(rows), tuple(jpegs), tuple(decoded), tuple(broken))

    def _sizes(self) -> NDArray[np.int64]:
        return np.array([file_size(self.root / name) for name in self._files], np.int64)


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
        notes.append(
            f"{len(empty):,} class folder{'s' * (len(empty) > 1)} without images, which count as classes: "
            f"{', '.join(empty[:_NAMED])}{more}"
        )
    return tuple(notes)


def class_folders(root: Path) -> list[str]:
    """Sorted names of the class folders in ``root``; see `look_for_classes`.

    Raises:
        DataError: If ``root`` is missing, no folder, or not readable.
    """
    return look_for_classes(root)[0]


def look_for_classes(root: Path) -> tuple[list[str], LeftOut]:
    """Sorted names of the class folders in ``root``, and a count of everything else there.

    Hidden entries are ignored. Folders that ``ppbench corrupt`` wrote, or whose names are not UTF-8, are left out and
    counted.

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
