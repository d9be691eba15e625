"""Arrays in the format of ``.npy``, read without trusting what they claim about themselves. Free of torch."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ppbench.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESTORE = "Evaluate again, or restore the file."
"""Hint about a damaged file."""
_MAGIC = b"\x93NUMPY"
_LENGTHS = {1: 2, 2: 4}
"""Bytes of the header's length, which precedes the header, by format version of ``.npy``."""
_HEADER = re.compile(
    r"\{'descr': '(?P<type>[<>|][a-zA-Z]\d{1,2})', 'fortran_order': False, 'shape': \((?P<shape>[\d, ]{0,99})\), \}\s*"
)
"""The header as NumPy writes it. It is matched as text, since NumPy's own reader evaluates it as Python."""

_GZIP = 16 + zlib.MAX_WBITS
"""zlib's number for a gzip stream."""

LARGEST_ARRAYS = 256 << 20
"""Largest size of unpacked arrays in bytes, enough for 95 cells of 900,000 images."""

_PIECE = 1 << 22


def gzip_of_arrays(arrays: Iterable[NDArray[Any]]) -> bytes:
    """Pack arrays one after the other into a gzip stream, which any tool can read. Equal arrays give equal bytes."""
    import numpy as np

    buffer = io.BytesIO()
    for array in arrays:
        np.save(buffer, array, allow_pickle=False)
    # zlib writes no time and no name into the header, as gzip would.
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    return packer.compress(buffer.getvalue()) + packer.flush()


def inflated(packed: bytes | bytearray, form: int, most: int) -> bytearray:
    """Unpack a stream, at most ``most`` bytes of it.

    Args:
        packed: The stream.
        form: zlib's number for its form.
        most: Bytes.

    Raises:
        zlib.error: If it is damaged.
    """
    unpacker, content = zlib.decompressobj(form), bytearray()
    # Piece by piece: at once, the result would take its memory twice.
    while packed and len(content) < most:
        content += unpacker.decompress(packed, min(_PIECE, most - len(content)))
        packed = unpacker.unconsumed_tail
    return content


def bytes_of_gzip(file: Path, packed: bytes | bytearray, most: int) -> bytearray:
    """Unpack a gzip stream, at most ``most`` bytes of it.

    Raises:
        DataError: If it is none, or has more than `LARGEST_ARRAYS` bytes; the message has the file.
    """
    try:
        content = inflated(packed, _GZIP, min(most, LARGEST_ARRAYS + 1))
    except zlib.error as error:
        raise DataError(f"{file} is damaged: it is not a gzip stream ({error})", RESTORE) from error
    if len(content) > LARGEST_ARRAYS:  # the run file, which says how much there may be, came with this file
        raise DataError(f"{file} is damaged: it unpacks to more than {LARGEST_ARRAYS >> 20} MB", RESTORE)
    return content


class _Header(NamedTuple):
    type: str
    shape: tuple[int, ...]
    begin: int

    def words(self, dtype: np.dtype[np.generic]) -> str:
        return f"shape {self.shape} and type {dtype}"


def take_array(
    file: Path, content: bytes | bytearray, start: int, shape: tuple[int, ...], kind: str, found: str
) -> tuple[NDArray[Any], int]:
    """Read one of the arrays that a file consists of. Its shape and type are checked before memory is allocated.

    Args:
        file: The file, for messages.
        content: All bytes of the file.
        start: Where the array begins.
        shape: The shape that it must have.
        kind: The type that it must have, in either byte order.
        found: The beginning of a message about it, such as ``its images' keys have``.

    Returns:
        The array, and where it ends.

    Raises:
        DataError: If there is no such array, or it has another shape or type.
    """
    import numpy as np

    header, wanted = _header(content, start), np.dtype(kind)
    if header is None:
        raise DataError(f"{file} is damaged: {found} no array that this ppbench reads", RESTORE)
    try:
        dtype = np.dtype(header.type)
    except TypeError:
        raise DataError(f"{file} is damaged: {found} the type {header.type}", RESTORE) from None
    # Either order of bytes is allowed: numpy reads both.
    if header.shape != shape or dtype.newbyteorder("=") != wanted.newbyteorder("="):
        found = f"{found} {header.words(dtype)}, not {shape} and {wanted}"
        raise DataError(f"{file} is damaged: {found}", RESTORE)
    # In Python's integers: a product of crafted sides could overflow 64 bits and seem small.
    count = int(np.prod(shape, dtype=object))
    end = header.begin + count * dtype.itemsize
    if end > len(content):
        raise DataError(f"{file} is damaged: {found} no array: it ends early", RESTORE)
    return np.frombuffer(content, dtype, count, header.begin).reshape(shape), end


def _header(content: bytes | bytearray, start: int) -> _Header | None:
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
