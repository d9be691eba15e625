"""The arrays beside a run file, read without trusting anything they say of themselves. Free of torch.

One array of correctness bits, and behind it in the same file, where it was written with them, one of the images' keys.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ppbench.errors import DataError
from ppbench.files import read_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAGIC = b"\x93NUMPY"
_LENGTHS = {1: 2, 2: 4}
"""By format version of ``.npy``: bytes of the length that stands before the header."""
_HEADER = re.compile(
    r"\{'descr': '(?P<type>[<>|][a-zA-Z]\d{1,2})', 'fortran_order': False, 'shape': \((?P<shape>[\d, ]{0,99})\), \}\s*"
)
"""As NumPy writes it; read as text, for NumPy's own reader evaluates it."""
_RESTORE = "Evaluate again, or restore the file."


class Arrays(NamedTuple):
    """What a file of bits holds."""

    file: Path
    packed: NDArray[np.uint8]
    keys: NDArray[np.uint64] | None


class _Header(NamedTuple):
    type: str
    shape: tuple[int, ...]
    begin: int

    def words(self, dtype: np.dtype[np.generic]) -> str:
        return f"shape {self.shape} and type {dtype}"


def is_file_name(name: str) -> bool:
    """Whether a text can only be a file in the same folder: no path, no drive, nothing longer than a name may be."""
    return Path(name).name == name not in ("", "..") and "\0" not in name and len(name.encode()) <= 255


def beside(run_file: Path, name: str) -> Path:
    """The file of this name in the folder of a run file; names in run files are UTF-8 whatever the locale."""
    return run_file.with_name(os.fsdecode(name.encode()))


def as_utf8(name: str) -> str:
    """A name from the command line or a folder as run files have it; bytes that are not UTF-8 are replaced."""
    try:
        return os.fsencode(name).decode("utf-8", "replace")
    except UnicodeEncodeError:  # not from there, or not of this locale
        return name.encode("utf-8", "replace").decode()


def read_arrays(run_file: Path, name: str, sha256: str, shape: tuple[int, int], images: int) -> Arrays:
    """Read the arrays from beside a run file.

    Args:
        run_file: The run file.
        name: Of the other one.
        sha256: Its hash, as the run file has it.
        shape: What the bits are to have: cells, and bytes for the images.
        images: How many keys there are to be.

    Raises:
        DataError: If the file is missing, is not a file of that folder, is another one, or has other arrays.
    """
    file = beside(run_file, name)
    _check_place(run_file, file)
    try:
        content = read_whole(file, most=2 * (shape[0] * shape[1] + 8 * images) + 2**20)
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}", f"It belongs beside {run_file}.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{file} is not the file {run_file} was written with", "Keep the two together.")
    packed, end = _take(file, content, 0, shape, "|u1", "it has")
    if end == len(content):
        return Arrays(file, packed, None)
    return Arrays(file, packed, _take(file, content, end, (images,), "<u8", "its images' keys have")[0])


def _check_place(run_file: Path, file: Path) -> None:
    """Refuse a link that leads out of the folder: a run file from elsewhere would choose what is read."""
    if file.is_symlink() and file.resolve().parent not in (run_file.parent.resolve(), run_file.resolve().parent):
        raise DataError(f"{file} is a link that leaves its folder", "Put the file itself beside the run file.")
    try:
        is_file = stat.S_ISREG(file.stat().st_mode)
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}", f"It belongs beside {run_file}.") from error
    if not is_file:
        raise DataError(f"cannot read {file}: it is not a file", f"It belongs beside {run_file}.")


def _take(
    file: Path, content: bytes, start: int, shape: tuple[int, ...], kind: str, found: str
) -> tuple[NDArray[Any], int]:
    """One array and where it ends; nothing is made of it before its shape and type are as they have to be."""
    import numpy as np

    header, wanted = _header(content, start), np.dtype(kind)
    if header is None:
        raise DataError(f"{file} is damaged: {found} no array that this ppbench reads", _RESTORE)
    try:
        dtype = np.dtype(header.type)
    except TypeError:
        raise DataError(f"{file} is damaged: {found} the type {header.type}", _RESTORE) from None
    if header.shape != shape or dtype.newbyteorder("=") != wanted.newbyteorder("="):
        found = f"{found} {header.words(dtype)}, not {shape} and {wanted}"
        raise DataError(f"{file} is damaged: {found}", _RESTORE)
    count = int(np.prod(shape, dtype=object))
    end = header.begin + count * dtype.itemsize
    if end > len(content):
        raise DataError(f"{file} is damaged: {found} no array: it ends early", _RESTORE)
    return np.frombuffer(content, dtype, count, header.begin).reshape(shape), end


def _header(content: bytes, start: int) -> _Header | None:
    """What is said of the array that begins at ``start``; None if that is none, or of an unknown format."""
    begin = start + len(_MAGIC) + 2
    if len(content) < begin or content[start : begin - 2] != _MAGIC:
        return None
    width = _LENGTHS.get(content[begin - 2])
    if width is None:
        return None
    length = int.from_bytes(content[begin : begin + width], "little")
    begin += width
    text = content[begin : begin + min(length, 4096)].decode("latin-1")
    match = _HEADER.fullmatch(text)
    if match is None:
        return None
    shape = tuple(int(part) for part in match["shape"].split(",") if part.strip())
    return _Header(match["type"], shape, begin + length)
