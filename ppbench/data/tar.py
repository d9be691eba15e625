"""Uncompressed tar archives of published sets, read in place: their headers once, then single images."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.cells import CellFiles, Names, is_image, is_number
from ppbench.data.npy import ArrayFile
from ppbench.data.stamps import FileStamps, stamp_of
from ppbench.errors import DataError

_BLOCK = 512
"""Headers and files in a tar are multiples of this many bytes."""


class TarCell(CellFiles):
    """A cell inside a tar.

    Args:
        tar: The archive.
        prefix: The cell's folder in the archive.
        names: The images.
        offsets: ``(n,)`` bytes at which their contents begin.
        sizes: ``(n,)`` bytes.
        whole: Whether the archive is complete.
    """

    def __init__(
        self, tar: Path, prefix: str, names: Names, offsets: NDArray[np.int64], sizes: NDArray[np.int64], whole: bool
    ) -> None:
        self._tar, self._names, self._offsets, self._sizes = tar, names, offsets, sizes
        self.where = f"{tar}: {prefix}"
        self.hint = "Download the archive again." if whole else f"{tar} ends early: resume the download with `wget -c`."

    def classes(self) -> frozenset[str]:
        return self._names.classes

    def names(self) -> list[str]:
        return self._names.ids

    def read(self, names: Sequence[str]) -> Iterator[bytes | OSError]:
        try:
            file = os.open(self._tar, os.O_RDONLY)
        except OSError as error:
            yield from [error] * len(names)
            return
        try:
            for name in names:
                yield self._read_one(file, name)
        finally:
            os.close(file)

    def _read_one(self, file: int, name: str) -> bytes | OSError:
        place = self._names.places.get(name)
        if place is None:
            return FileNotFoundError("it is not in the archive")
        try:
            # `pread` needs no seek between two images, and one descriptor serves all.
            return os.pread(file, int(self._sizes[place]), int(self._offsets[place]))
        except OSError as error:
            return error

    def sizes(self, names: Sequence[str]) -> NDArray[np.int64]:
        places = [self._names.places.get(name, -1) for name in names]
        return np.array([self._sizes[place] if place >= 0 else -1 for place in places], np.int64)

    def stamps(self, names: Sequence[str]) -> FileStamps:
        """The archive's stamp for every image, ``(n,)``."""
        return np.full(len(names), stamp_of(self._tar), np.uint64)


class TarContent(NamedTuple):
    """Content of an archive."""

    cells: dict[str, dict[str, TarCell]]
    """By corruption, then by the name of the severity's folder."""
    arrays: dict[str, ArrayFile]
    """By name without ``.npy``."""


def read_tar(path: Path) -> TarContent:
    """Read the headers of an archive.

    Args:
        path: Archive with images ``[…/]<corruption>/<severity>/<class>/<image>``; if the corruption is missing, the
            archive's own name is used. Links are left out. If a name occurs twice, the last one counts, as when
            unpacking.

    Raises:
        DataError: If it is not an uncompressed tar.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    packed = _Packer(path)
    arrays: dict[str, ArrayFile] = {}
    last = ""
    for name, offset, size in members(path):
        parts = [path.stem, *(part for part in name.split("/") if part not in ("", "."))]
        if parts[-1].startswith("."):
            continue
        if parts[-1].endswith(".npy"):
            arrays[parts[-1].removesuffix(".npy")] = ArrayFile(path, f"{path}: {name}", offset, size)
        elif is_image(parts[-1]) and len(parts) > 3 and is_number(parts[-3]):
            cell = "/".join(parts[-4:-2])
            if cell != last:  # archives store one cell after another: all but the current one can be packed
                packed.add(found)
                last = cell
            found.setdefault(cell, {})[f"{parts[-2]}/{parts[-1]}"] = (offset, size)
    packed.add(found)
    return TarContent(packed.cells(), arrays)


def members(path: Path) -> Iterator[tuple[str, int, int]]:
    """Yield name, offset and size of every file, except one that is cut off by the end of the archive.

    Raises:
        DataError: If it is not an uncompressed tar, or a header in it is damaged.
    """
    length, end = path.stat().st_size, 0
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # otherwise it would keep them all
                # A length below zero leads back, to the same header for ever.
                if tar.offset <= end:
                    raise _damaged(path, end)
                end = tar.offset
                if member.isreg() and member.offset_data + member.size <= length:
                    yield member.name, member.offset_data, member.size
    except DataError:
        raise
    except tarfile.ReadError as error:
        # An interrupted download ends here too. What it has is read; only what never was a tar is refused.
        if length < 2 * _BLOCK or not _starts_as_tar(path):
            raise DataError(
                f"{path} is not an uncompressed tar archive ({error})",
                f"Download it again; if it is compressed: `mv {path.name} {path.name}.gz && gunzip {path.name}.gz`.",
            ) from error
    except Exception as error:  # numbers and names of a damaged header can raise anything
        raise _damaged(path, end) from error
    # At a header that it cannot read, `tarfile` stops without a word.
    if is_whole(path) and any(_read(path, end)):
        raise _damaged(path, end)


def _damaged(path: Path, offset: int) -> DataError:
    return DataError(f"{path} is damaged: there is no header at byte {offset:,}", "Download it, or write it, again.")


def _read(path: Path, offset: int) -> bytes:
    """The block at an offset; shorter, or empty, at the end of the file."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(_BLOCK)


def _starts_as_tar(path: Path) -> bool:
    """Whether a file begins like a tar, even if it ends early."""
    with path.open("rb") as file:
        try:
            tarfile.TarInfo.frombuf(file.read(_BLOCK), "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return False
    return True


def is_whole(path: Path) -> bool:
    """Whether an archive is complete: it ends with two blocks of zeros."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2 * _BLOCK))
        return not any(file.read())


class _Packer:
    """Collects cells as arrays: the index of a whole archive stays small, 16 bytes per image."""

    def __init__(self, tar: Path) -> None:
        self._tar = tar
        self._whole = is_whole(tar)
        self._cells: dict[str, TarCell] = {}
        self._lists: dict[tuple[int, int], list[Names]] = {}

    def add(self, found: dict[str, dict[str, tuple[int, int]]]) -> None:
        """Pack cells, or parts of them, and empty ``found``."""
        for cell, files in found.items():
            # The images of a cell may be in several places of an archive; the later of two equal names counts.
            if cell in self._cells:
                files = self._unpacked(self._cells[cell]) | files
            ids = sorted(files, key=lambda name: name.split("/"))
            offsets, sizes = np.array([files[name] for name in ids], np.int64).T.copy()
            self._cells[cell] = TarCell(self._tar, cell, self._shared(ids), offsets, sizes, self._whole)
        found.clear()

    def cells(self) -> dict[str, dict[str, TarCell]]:
        """By corruption and severity."""
        tree: dict[str, dict[str, TarCell]] = {}
        for name, cell in self._cells.items():
            corruption, severity = name.split("/")
            tree.setdefault(corruption, {})[severity] = cell
        return tree

    def _shared(self, ids: list[str]) -> Names:
        """Reuse an equal list, if there is one."""
        # Whole lists are compared only if their lengths and last names agree.
        alike = self._lists.setdefault((len(ids), hash(ids[-1])), [])
        names = next((names for names in alike if names.ids == ids), None)
        if names is None:
            names = Names(ids)
            alike.append(names)
        return names

    @staticmethod
    def _unpacked(cell: TarCell) -> dict[str, tuple[int, int]]:
        pairs = zip(cell._offsets.tolist(), cell._sizes.tolist(), strict=True)
        return dict(zip(cell.names(), pairs, strict=True))
