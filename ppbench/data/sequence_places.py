"""Where the sequences of a perturbation are: in a folder, or as videos in an uncompressed tar, read in place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.data.cells import Names
from ppbench.data.folder import file_size
from ppbench.data.sequence_files import SequenceForm
from ppbench.data.stamps import FileStamps, stamps_of
from ppbench.data.tar import TarCell, is_whole, members
from ppbench.data.video import named_video
from ppbench.data.walk import ending


class SequencePlace(ABC):
    """The sequences of one perturbation. Can be pickled; holds no open file."""

    where: str
    """For messages."""

    @abstractmethod
    def names(self) -> list[str]:
        """All sequences, folder by folder."""

    @abstractmethod
    def read(self, name: str) -> NDArray[np.uint8]:
        """Read the frames ``(frames, H, W, 3)`` of a sequence.

        Raises:
            DataError: If it cannot be read; the message names it.
        """

    @abstractmethod
    def sizes(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Sizes ``(n,)`` in bytes; -1 for what is missing."""

    @abstractmethod
    def stamps(self, names: Sequence[str]) -> FileStamps:
        """Numbers ``(n,)``, one per sequence, that change when its files change."""


class InFolder(SequencePlace):
    """Sequences below a folder, stored in one form."""

    def __init__(self, form: SequenceForm, folder: Path) -> None:
        self._form, self.folder, self.where = form, folder, str(folder)

    def names(self) -> list[str]:
        return list(self._form.below(self.folder))

    def read(self, name: str) -> NDArray[np.uint8]:
        return self._form.read(self.folder / name)

    def sizes(self, names: Sequence[str]) -> NDArray[np.int64]:
        return np.array([sum(map(file_size, self._form.files(self.folder / name))) for name in names], np.int64)

    def stamps(self, names: Sequence[str]) -> FileStamps:
        each = (stamps_of(self._form.files(self.folder / name)) for name in names)
        return np.array([int(np.bitwise_xor.reduce(stamps)) for stamps in each], np.uint64)


class InTar(SequencePlace):
    """Videos in an archive."""

    def __init__(self, videos: TarCell) -> None:
        self._videos, self.where = videos, videos.where

    def names(self) -> list[str]:
        return self._videos.names()

    def read(self, name: str) -> NDArray[np.uint8]:
        return named_video(next(iter(self._videos.read([name]))), f"{self.where}/{name}")

    def sizes(self, names: Sequence[str]) -> NDArray[np.int64]:
        return self._videos.sizes(names)

    def stamps(self, names: Sequence[str]) -> FileStamps:
        return self._videos.stamps(names)


def place_of_sequences(form: SequenceForm, there: Path | TarCell) -> SequencePlace:
    """The sequences of a folder, or of an archive."""
    return InFolder(form, there) if isinstance(there, Path) else InTar(there)


def videos_in(tar: Path, folders: Collection[str]) -> dict[str, TarCell]:
    """Read the headers of an archive, and find the videos in it.

    Args:
        tar: Archive with videos ``[…/]<perturbation>/<class>/<image>.mp4``; if the perturbation is missing, the
            archive's own name is used. If a name occurs twice, the last one counts, as when unpacking.
        folders: Names of the folders of perturbations.

    Returns:
        The videos by folder; without any, it is another archive.

    Raises:
        DataError: If it is not an uncompressed tar.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for name, offset, size in members(tar):
        parts = [tar.stem, *(part for part in name.split("/") if part not in ("", "."))]
        tops = [place for place, part in enumerate(parts[:-1]) if part in folders]
        if tops and ending(parts[-1]) == ".mp4" and not parts[-1].startswith("."):
            found.setdefault(parts[tops[-1]], {})["/".join(parts[tops[-1] + 1 :])] = (offset, size)
    cells = {}
    for folder, videos in found.items():
        names = sorted(videos, key=lambda name: name.split("/"))
        offsets, sizes = np.array([videos[name] for name in names], np.int64).T.copy()
        cells[folder] = TarCell(tar, folder, Names(names), offsets, sizes, is_whole(tar))
    return cells
