"""Clean images as files, one folder per class. Free of torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.images import Cut, decode, describe
from ppbench.data.source import Broken, Loaded
from ppbench.data.stamps import Stamps, stamps_of
from ppbench.data.walk import ENDINGS, find_images
from ppbench.errors import DataError


class Listing(NamedTuple):
    """Labelled image files."""

    class_names: tuple[str, ...]
    ids: list[str]
    files: list[str]
    """Paths relative to the dataset's folder, one per id."""
    labels: NDArray[np.int64]
    """``(N,)`` places in ``class_names``."""


class FolderImages:
    """Images in files, decoded when asked for.

    Args:
        root: The folder they are below.
        cut: How they are cut.
        listing: What they are; None: ``root/<class>/…``, labelled by the sorted names of the class folders.

    Raises:
        DataError: If the folder is missing, or holds no class folders with images.
    """

    is_slow = True
    channels: Literal[1, 3] = 3

    def __init__(self, root: Path, cut: Cut, listing: Listing | None = None) -> None:
        self.root, self.size, self.cut = root, cut.size, describe(cut)
        self._cut = cut
        self.class_names, self.ids, self._files, self.labels = listing or list_classes(root)

    def fingerprint(self) -> str:
        """SHA-256 of ids, sizes in bytes and labels (not of the pixels: that would take hours)."""
        return fingerprint_of_files(self.ids, self._sizes(), self.labels)

    def mean_bytes(self) -> float:
        """Of a file."""
        return float(np.mean(self._sizes()))

    def stamps(self, rows: NDArray[np.int64]) -> Stamps:
        """Of the files of the images at ``rows``."""
        return stamps_of(self.root / self._files[row] for row in rows)

    def load(self, rows: NDArray[np.int64]) -> Loaded:
        """The images at ``rows``, cut; of broken ones the place in ``rows`` is told."""
        pixels = np.zeros((len(rows), self.size, self.size, self.channels), np.uint8)
        broken = []
        for place, row in enumerate(rows):
            try:
                pixels[place] = load_rgb(self.root / self._files[row], self._cut)
            except DataError as error:
                broken.append(Broken(place, error.message, error.hint))
        return Loaded(pixels, tuple(broken))

    def _sizes(self) -> NDArray[np.int64]:
        return np.array([file_size(self.root / name) for name in self._files], np.int64)


def load_rgb(path: Path, cut: Cut) -> NDArray[np.uint8]:
    """Decode one file to RGB ``(size, size, 3)`` uint8.

    Raises:
        DataError: If it is missing, truncated, no image, of more than 8 bits, or of a size that cannot be cut so.
    """
    return decode(path, str(path), cut)


def list_classes(root: Path) -> Listing:
    """The images at any depth below ``root/<class>``, by class and path.

    Raises:
        DataError: If there are none, or ``root`` cannot be read.
    """
    class_names = class_folders(root)
    names = [[f"{name}/{file}" for file in find_images(root / name).names] for name in class_names]
    ids = [name for of_class in names for name in of_class]
    if not ids:
        raise DataError(
            f"no images in {root}", f"Expected {root}/<class>/<image>, with {', '.join(sorted(ENDINGS))} files."
        )
    labels = np.repeat(np.arange(len(names)), [len(of_class) for of_class in names])
    return Listing(tuple(class_names), ids, ids, labels.astype(np.int64))


def class_folders(root: Path) -> list[str]:
    """Names of the folders in ``root``, sorted; hidden ones are left out.

    Raises:
        DataError: If ``root`` is missing, no folder, or not readable.
    """
    try:
        return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise DataError(
            f"cannot read {root}: {error.strerror}", "Give an existing folder with `--data DIR`."
        ) from error


def file_size(path: Path) -> int:
    """In bytes; -1 for one that is not there, so that it is told when it is read."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def fingerprint_of_files(ids: list[str], sizes: NDArray[np.int64], labels: NDArray[np.int64]) -> str:
    """SHA-256 (hex) of ids, sizes in bytes and labels."""
    lines = (f"{name} {size} {label}" for name, size, label in zip(ids, sizes, labels, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
