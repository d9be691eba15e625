"""The arrays beside a run file, read without trusting what they claim about themselves. Free of torch.

One file holds the array of correctness bits and, in newer files, a second array with the images' keys.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ppbench.errors import DataError
from ppbench.files import read_whole
from ppbench.vocabulary import Cell, cell_in_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ppbench.run.schema import Run

_MAGIC = b"\x93NUMPY"
_LENGTHS = {1: 2, 2: 4}
"""Bytes of the header's length, which precedes the header, by format version of ``.npy``."""
_HEADER = re.compile(
    r"\{'descr': '(?P<type>[<>|][a-zA-Z]\d{1,2})', 'fortran_order': False, 'shape': \((?P<shape>[\d, ]{0,99})\), \}\s*"
)
"""The header as NumPy writes it. It is matched as text, since NumPy's own reader evaluates it as Python."""
_RESTORE = "Evaluate again, or restore the file."


class _Arrays(NamedTuple):
    file: Path
    packed: NDArray[np.uint8]
    keys: NDArray[np.uint64] | None


class _Header(NamedTuple):
    type: str
    shape: tuple[int, ...]
    begin: int

    def words(self, dtype: np.dtype[np.generic]) -> str:
        return f"shape {self.shape} and type {dtype}"


def beside(run_file: Path, name: str) -> Path:
    """Return the file of this name in the folder of a run file. Names in run files are UTF-8 whatever the locale."""
    return run_file.with_name(os.fsdecode(name.encode()))


def image_keys(ids: Sequence[str]) -> NDArray[np.uint64] | None:
    """Compute a key for each image, the same in every run: the first 8 bytes of the id's BLAKE2b hash, low byte first.

    Returns:
        ``(n,)`` uint64; None if two images have the same key, so that keys would not distinguish them.
    """
    import numpy as np

    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids)
    keys = np.frombuffer(digests, "<u8").astype(np.uint64)
    return keys if len(np.unique(keys)) == len(keys) else None


def bits_file(path: Path) -> Path:
    """Return the path of the bits that belong to a run file, beside it."""
    return path.with_name(f"{path.name.removesuffix('.json')}.bits.npy")


def read_arrays(path: Path | str, run: Run) -> tuple[dict[Cell, NDArray[np.bool_]], NDArray[np.uint64] | None]:
    """Read the correctness bits and the images' keys (`image_keys`) beside the run file at ``path``.

    Returns:
        ``(n,)`` booleans per cell, and ``(n,)`` keys in the same order. The keys are None if the file was written
        without them, as files of earlier versions were.

    Raises:
        DataError: If there are no bits, the file is not the one the run was written with, its bits contradict the run,
            or its keys are malformed or contain a key twice.
    """
    arrays = _read_arrays(path, run)
    return _unpacked(arrays, run), _checked_keys(arrays)


def read_bits(path: Path | str, run: Run) -> dict[Cell, NDArray[np.bool_]]:
    """Read the correctness bits as `read_arrays` does, without checking the keys."""
    return _unpacked(_read_arrays(path, run), run)


def read_image_keys(path: Path | str, run: Run) -> NDArray[np.uint64] | None:
    """Read the images' keys as `read_arrays` does, without checking the bits."""
    return _checked_keys(_read_arrays(path, run))


def _unpacked(arrays: _Arrays, run: Run) -> dict[Cell, NDArray[np.bool_]]:
    import numpy as np

    found = {}
    for cell, row in zip(run.cells, arrays.packed, strict=True):
        found[cell.key] = np.unpackbits(row, count=cell.n).astype(bool)
        if np.count_nonzero(found[cell.key]) != cell.top1:
            fault = f"its bits of {cell_in_words(cell.key)} are not the {cell.top1} right images of the run file"
            raise DataError(f"{arrays.file} is damaged: {fault}", _RESTORE)
    return found


def _checked_keys(arrays: _Arrays) -> NDArray[np.uint64] | None:
    import numpy as np

    if arrays.keys is not None and len(np.unique(arrays.keys)) < len(arrays.keys):
        raise DataError(f"{arrays.file} is damaged: its images' keys have one key twice", _RESTORE)
    return arrays.keys


def _read_arrays(path: Path | str, run: Run) -> _Arrays:
    if run.bits is None:
        raise DataError(f"{path} has no correctness bits", "Evaluate again to get them.")
    run_file = Path(path)
    file = beside(run_file, run.bits.file)
    images, shape = run.protocol.n, (len(run.cells), -(-run.protocol.n // 8))
    _check_place(run_file, file)
    try:
        # The run says how large the file can be; twice that leaves room for the headers.
        content = read_whole(file, most=2 * (shape[0] * shape[1] + 8 * images) + 2**20)
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}", f"It belongs beside {run_file}.") from error
    if hashlib.sha256(content).hexdigest() != run.bits.sha256:
        raise DataError(f"{file} is not the file {run_file} was written with", "Keep the two together.")
    packed, end = _take(file, content, 0, shape, "|u1", "it has")
    if end == len(content):
        return _Arrays(file, packed, None)
    return _Arrays(file, packed, _take(file, content, end, (images,), "<u8", "its images' keys have")[0])


def _check_place(run_file: Path, file: Path) -> None:
    """Refuse a link that leads out of the folder: a stranger's run file could choose which file is read."""
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
    """Return one array and where it ends. Its shape and type are checked before memory is allocated."""
    import numpy as np

    header, wanted = _header(content, start), np.dtype(kind)
    if header is None:
        raise DataError(f"{file} is damaged: {found} no array that this ppbench reads", _RESTORE)
    try:
        dtype = np.dtype(header.type)
    except TypeError:
        raise DataError(f"{file} is damaged: {found} the type {header.type}", _RESTORE) from None
    # Either order of bytes is allowed: numpy reads both.
    if header.shape != shape or dtype.newbyteorder("=") != wanted.newbyteorder("="):
        found = f"{found} {header.words(dtype)}, not {shape} and {wanted}"
        raise DataError(f"{file} is damaged: {found}", _RESTORE)
    # In Python's integers: a product of crafted sides could overflow 64 bits and seem small.
    count = int(np.prod(shape, dtype=object))
    end = header.begin + count * dtype.itemsize
    if end > len(content):
        raise DataError(f"{file} is damaged: {found} no array: it ends early", _RESTORE)
    return np.frombuffer(content, dtype, count, header.begin).reshape(shape), end


def _header(content: bytes, start: int) -> _Header | None:
    """Read the header of the array that begins at ``start``; None if there is none, or its format is unknown."""
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
