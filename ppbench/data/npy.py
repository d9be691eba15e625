"""Arrays in .npy files that are too large for memory, alone or inside an uncompressed tar."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ppbench.errors import DataError
from ppbench.files import open_regular

_MOST_AXES = 32
"""Axes that any version of numpy allows. Headers may claim more."""


class Header(NamedTuple):
    """Shape and type of an array, and the byte in the file at which its data begin."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    begin: int


class ArrayFile(NamedTuple):
    """An .npy file."""

    path: Path
    """The file, or the archive that contains it."""
    where: str
    """The place of the array, for messages."""
    offset: int
    """Byte in ``path`` at which it begins."""
    length: int
    """Its bytes."""

    def header(self, *, whole: bool = True) -> Header:
        """Read the header, and check that the file has all its data.

        Args:
            whole: Whether this is checked.

        Raises:
            DataError: If it is not an array of numbers, is empty, or ends early.
        """
        try:
            # Read by numpy's parts, since `np.load` cannot map an array inside an archive.
            with open_regular(self.path) as file:
                file.seek(self.offset)
                read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(file)]
                shape, fortran, dtype = read(file)
                begin = file.tell()
        except Exception as error:  # numpy reads the header as Python, and raises whatever Python does
            raise DataError(f"{self.where} is not an array file ({_reason(error)})", "Download it again.") from error
        if dtype.kind not in "biufc" or fortran or len(shape) > _MOST_AXES:
            raise DataError(f"{self.where} is not an array of numbers in row-major order", "Download it again.")
        if any(type(side) is not int or side < 1 for side in shape):
            raise DataError(f"{self.where} has the shape {shape}, which holds nothing", "Download it again.")
        expected = begin - self.offset + math.prod(shape) * dtype.itemsize
        if whole and (self.length < expected or self.path.stat().st_size < self.offset + expected):
            raise DataError(
                f"{self.where} ends early: it has {self.length:,} of {expected:,} bytes",
                "Its download was interrupted, or the disk was full: download and unpack it again.",
            )
        return Header(shape, dtype, begin)

    def take(self, rows: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """Read rows (None: all). The file is mapped only while reading: a mapping that is kept would fill the memory.

        Raises:
            DataError: As in `header`.
        """
        header = _header_once(self)
        if self.path.stat().st_size < header.begin + math.prod(header.shape) * header.dtype.itemsize:
            self.header()  # the file became shorter: raise the error that says so
        # `np.array` copies the rows, so nothing refers to the mapping afterwards.
        mapped = np.memmap(self.path, header.dtype, "r", header.begin, header.shape)
        return np.array(mapped if rows is None else mapped[rows])


@lru_cache(maxsize=64)
def _header_once(file: ArrayFile) -> Header:
    """Read a header once: it takes as long as reading fifty images."""
    return file.header()


def map_array(path: Path) -> NDArray[Any]:
    """Map a user's ``.npy`` file, of any type and order, into memory.

    Raises:
        DataError: If it is damaged, contains Python objects, or is an archive of arrays.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy reads the header as Python, and raises whatever Python does
        raise DataError(f"cannot read the array {path}: {_reason(error)}", "Write it with `np.save`.") from error
    if not isinstance(found, np.ndarray):
        found.close()
        raise DataError(f"{path} holds several arrays", "Write each with `np.save`, in a file of its own.")
    return found


def _reason(error: Exception) -> str:
    """What numpy says, in a short line."""
    return " ".join(str(error).split())[:160] or type(error).__name__


def array_file(path: Path) -> ArrayFile:
    """The .npy file at ``path``."""
    return ArrayFile(path, str(path), 0, path.stat().st_size)


def is_sequences(array: ArrayFile) -> bool:
    """Whether a file is an array of sequences ``(images, frames, S, S, C)``, all of it or only its beginning."""
    try:
        return len(array.header(whole=False).shape) == 5
    except DataError:
        return False
