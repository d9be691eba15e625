"""The correctness bits that belong to a run, and the keys of its images. Free of torch.

One file holds the array of correctness bits and, in newer files, a second array with the images' keys.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ppbench.errors import DataError
from ppbench.run.attached import read_attached
from ppbench.run.npy import RESTORE, take_array
from ppbench.vocabulary import Cell, cell_in_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ppbench.run.schema import Run


class _Arrays(NamedTuple):
    file: Path
    packed: NDArray[np.uint8]
    keys: NDArray[np.uint64] | None


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


def bits_content(run: Run, bits: Mapping[Cell, NDArray[np.bool_]], keys: NDArray[np.uint64] | None) -> bytes:
    """Return the content of the file of bits.

    Args:
        run: The run, whose cells give the order.
        bits: ``(n,)`` booleans per cell of the run.
        keys: ``(n,)``, keys of the images (`image_keys`), if they are known.
    """
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, np.stack([np.packbits(bits[cell.key]) for cell in run.cells]), allow_pickle=False)
    if keys is not None:
        np.save(buffer, keys.astype("<u8"), allow_pickle=False)
    return buffer.getvalue()


def read_arrays(path: Path | str, run: Run) -> tuple[dict[Cell, NDArray[np.bool_]], NDArray[np.uint64] | None]:
    """Read the correctness bits and the images' keys (`image_keys`) that belong to the run file at ``path``.

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
            raise DataError(f"{arrays.file} is damaged: {fault}", RESTORE)
    return found


def _checked_keys(arrays: _Arrays) -> NDArray[np.uint64] | None:
    import numpy as np

    if arrays.keys is not None and len(np.unique(arrays.keys)) < len(arrays.keys):
        raise DataError(f"{arrays.file} is damaged: its images' keys have one key twice", RESTORE)
    return arrays.keys


def _read_arrays(path: Path | str, run: Run) -> _Arrays:
    if run.bits is None:
        raise DataError(f"{path} has no correctness bits", "Evaluate again to get them.")
    images, shape = run.protocol.n, (len(run.cells), -(-run.protocol.n // 8))
    # The run says how large the file can be; twice that leaves room for the headers.
    most = 2 * (shape[0] * shape[1] + 8 * images) + 2**20
    file, content = read_attached(Path(path), run.bits.file, run.bits.sha256, most)
    packed, end = take_array(file, content, 0, shape, "|u1", "it has")
    if end == len(content):
        return _Arrays(file, packed, None)
    return _Arrays(file, packed, take_array(file, content, end, (images,), "<u8", "its images' keys have")[0])
