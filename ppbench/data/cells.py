"""The image files of a published set's cells, in folders or archives."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.data.folder import file_size
from ppbench.data.image_file import endings, read_regular
from ppbench.data.stamps import FileStamps, stamps_of
from ppbench.data.walk import ending, is_folder
from ppbench.errors import DataError

NESTING = "Expected <corruption>/<severity>/<class>/<image>: unpack the archive again into an empty folder."

_UNLABELLED = (
    "Labels come from class folders: <corruption>/<severity>/<class>/<image>. Sort your own images into class folders "
    "before `ppbench corrupt`; if the set is a published one, unpack its archive again into an empty folder."
)


class CellFiles(ABC):
    """The image files of one cell, named ``<class>/<image>``. Can be pickled; holds no open file."""

    where: str
    """The cell's folder, for messages."""
    hint: str
    """How to restore missing files."""

    @abstractmethod
    def classes(self) -> frozenset[str]:
        """Names of the class folders."""

    @abstractmethod
    def names(self) -> list[str]:
        """All images, by class and name.

        Raises:
            DataError: If images are not in class folders, or the folder cannot be read.
        """

    @abstractmethod
    def read(self, names: Sequence[str]) -> Iterator[bytes | OSError]:
        """Yield the content of each file, or the error that prevents reading it."""

    @abstractmethod
    def sizes(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Sizes ``(n,)`` in bytes; -1 for a missing file."""

    @abstractmethod
    def stamps(self, names: Sequence[str]) -> FileStamps:
        """Numbers ``(n,)``, one per image, that change when its file changes."""


class FolderCell(CellFiles):
    """A cell in a folder.

    Args:
        folder: Parent of the class folders.
    """

    hint = "Unpack its archive again."

    def __init__(self, folder: Path) -> None:
        self.folder, self.where = folder, str(folder)

    def classes(self) -> frozenset[str]:
        return frozenset(visible(self.folder)[0])

    def names(self) -> list[str]:
        folders, files = visible(self.folder)
        strays = [name for name in files if is_image(name)]
        if strays:
            raise DataError(f"{self.where} contains images without class folders ({strays[0]}, …)", _UNLABELLED)
        return [f"{name}/{file}" for name in folders for file in self._images(name)]

    def _images(self, name: str) -> list[str]:
        folders, files = visible(self.folder / name)
        if folders:
            raise DataError(f"{self.folder / name} contains a folder, {folders[0]}, where images should be", NESTING)
        return [file for file in files if is_image(file)]

    def read(self, names: Sequence[str]) -> Iterator[bytes | OSError]:
        for name in names:
            try:
                yield read_regular(self.folder / name)
            except OSError as error:
                yield error

    def sizes(self, names: Sequence[str]) -> NDArray[np.int64]:
        return np.array([file_size(self.folder / name) for name in names], np.int64)

    def stamps(self, names: Sequence[str]) -> FileStamps:
        return stamps_of(self.folder / name for name in names)


class Names:
    """Image names ``<class>/<image>`` in order. Cells with the same images share one list.

    Args:
        ids: Sorted by class and name.
    """

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids

    def __reduce__(self) -> tuple[type[Names], tuple[list[str]]]:
        return Names, (self.ids,)  # without the cached tables below: they can be rebuilt

    @cached_property
    def places(self) -> dict[str, int]:
        """Index of each image in ``ids``."""
        return {name: place for place, name in enumerate(self.ids)}

    @cached_property
    def classes(self) -> frozenset[str]:
        """Names of the class folders."""
        return frozenset(name.partition("/")[0] for name in self.ids)


def visible(folder: Path) -> tuple[list[str], list[str]]:
    """Sorted names of the folders and of the files in a folder, without hidden ones. No file is opened.

    Raises:
        DataError: If it cannot be read.
    """
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if is_folder(entry) else files).append(entry.name)
    except OSError as error:
        raise DataError(
            f"cannot read {folder}: {error.strerror}", "Give an existing folder with `--data DIR`."
        ) from error
    return sorted(folders), sorted(files)


def is_image(name: str) -> bool:
    """Whether a file name has the ending of an image."""
    return ending(name) in endings()


def is_number(name: str) -> bool:
    """Whether a folder is named like a severity: ``3``, ``2.35``."""
    return name.replace(".", "", 1).isdecimal() and name[0] != "." and name[-1] != "."


def number_severities(names: Sequence[str]) -> dict[int, str]:
    """Map the severities of a corruption to the names of their folders.

    Folders are named 1 to 5 or, as ImageNet-C-bar's script does, by five strengths in ascending order. With fewer
    than five strengths it is unknown which severities they are; the result is then empty.
    """
    if all(name in ("1", "2", "3", "4", "5") for name in names):
        return {int(name): name for name in sorted(names)}
    # As numbers: as text, 10 would come before 2.
    strengths = sorted(filter(is_number, names), key=float)
    return dict(enumerate(strengths, 1)) if len(strengths) == len(names) == 5 else {}
