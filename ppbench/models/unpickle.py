"""Read the tensors of a ``torch.save`` file of any origin without running anything that it names.

`ppbench.pickles` reads the pickle; it runs nothing and limits time and memory. This module defines the few names that
tensors need, and checks the sizes: no tensor may be larger than its storage, no storage larger than the file.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppbench.errors import DataError
from ppbench.models.limits import MAX_DIMENSIONS, MAX_DIRECTORY, MAX_TENSORS, has_long_directory
from ppbench.pickled import UNKNOWN_CONSTRUCTOR, Constructor, Skipped, make_dict
from ppbench.pickles import load_pickle

_DTYPES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}  # fmt: skip

_LEGACY_MAGIC, _LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""The first two pickles of a file in the format of torch before 1.6 (torch/serialization.py)."""

_MAX_SIZE = 1 << 63

ReadStorage = Callable[[str, torch.dtype, int], Tensor]
"""Given the name of a storage, its element type and count, returns its elements as a flat tensor."""


class _Storage(NamedTuple):
    """A flat tensor. The tensors in the file are views of it, never copies."""

    flat: Tensor

    def view(self, offset: int, size: Sequence[int], stride: Sequence[int]) -> Tensor:
        # Checked with Python's integers: torch's own check could overflow on sizes crafted for that.
        if len(size) > MAX_DIMENSIONS or not all(abs(n) < _MAX_SIZE for n in (offset, *size, *stride)):
            raise UnpicklingError("a tensor reaches beyond its storage")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        count = math.prod(size)
        if min(offset, *size, *stride, 0) < 0 or count > len(self.flat) or (count and last >= len(self.flat)):
            raise UnpicklingError("a tensor reaches beyond its storage")
        return self.flat.as_strided(size, stride, offset) if count else self.flat.new_empty(size)


class _Names:
    """Resolves the names in one file, and counts the tensors that they make."""

    def __init__(self) -> None:
        self._tensors = 0
        tensor, same = Constructor(self._rebuild_tensor), Constructor(lambda data, *_: data)
        self._allowed = {
            ("collections", "OrderedDict"): Constructor(make_dict),
            ("torch._utils", "_rebuild_tensor"): tensor,
            ("torch._utils", "_rebuild_tensor_v2"): tensor,
            ("torch._utils", "_rebuild_parameter"): same,
            ("torch._utils", "_rebuild_parameter_with_state"): same,
        }

    def __call__(self, module: str, name: str) -> Any:
        known = _DTYPES.get(name) if module == "torch" else self._allowed.get((module, name))
        return UNKNOWN_CONSTRUCTOR if known is None else known

    def _rebuild_tensor(self, storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Any:
        if not isinstance(storage, _Storage):
            return Skipped()
        self._tensors += 1
        if self._tensors > MAX_TENSORS:
            raise UnpicklingError(f"it has more than {MAX_TENSORS:,} tensors, as no network has")
        return storage.view(offset, tuple(size), tuple(stride))


def _storages(read: ReadStorage) -> Callable[[Any], Any]:
    """Return a function that resolves torch's persistent ids to storages."""
    known: dict[str, _Storage] = {}

    def find(identity: Any) -> Any:
        kind, dtype, key, _, count = identity[:5]
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            return Skipped()
        if not isinstance(key, str) or not isinstance(count, int):
            raise UnpicklingError("a storage without name or size")
        if key not in known:
            if len(known) == MAX_TENSORS:
                raise UnpicklingError(f"it has more than {MAX_TENSORS:,} storages, as no network has")
            known[key] = _Storage(read(key, dtype, count))
        return known[key]

    return find


def read_torch_file(path: Path) -> Any:
    """Read a file written by ``torch.save``: containers, numbers, strings and tensors (on the CPU).

    Tensors may share memory. Objects of any other class are returned as `Skipped`. Nothing that the file names is
    imported or run. A file that would take more than about a second, or a few hundred megabytes besides its tensors, is
    refused.

    Raises:
        DataError: If the file is of another kind, truncated or damaged.
    """
    try:
        with path.open("rb") as file:
            return _read_zip(file) if zipfile.is_zipfile(file) else _read_legacy(file)
    except Exception as error:  # a damaged or hostile pickle may raise anything
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise DataError(
            f"{path} is not a readable checkpoint ({reason})",
            "It is damaged or of another kind. Download or copy it again, and compare its size and hash.",
        ) from error


def _read_zip(file: BinaryIO) -> Any:
    if has_long_directory(file):
        raise UnpicklingError(f"its directory is larger than {MAX_DIRECTORY >> 20} MB")
    with zipfile.ZipFile(file) as archive:
        # torch does not compress, so entries that unpack to more than the file's size are a bomb.
        if sum(entry.file_size for entry in archive.infolist()) > os.fstat(file.fileno()).st_size:
            raise UnpicklingError("its entries are larger than the file")
        # Other methods of compression may need gigabytes to unpack one byte.
        if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in archive.infolist()):
            raise UnpicklingError("its entries are compressed in a way that torch does not know")
        names = set(archive.namelist())
        index = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if index is None:
            raise UnpicklingError("the archive holds no data.pkl")
        folder = index.removesuffix("data.pkl")
        if f"{folder}byteorder" in names and _read_entry(archive, f"{folder}byteorder") != b"little":
            raise UnpicklingError("its numbers are big-endian")

        def read_storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
            data = _read_entry(archive, f"{folder}data/{key}")
            # `torch.frombuffer` refuses an empty buffer.
            return torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)

        return load_pickle(_read_entry(archive, index), _Names(), _storages(read_storage))[0]


def _read_entry(archive: zipfile.ZipFile, name: str) -> bytearray:
    """Return the bytes of an entry, in memory that a tensor can use without a copy."""
    data = bytearray(archive.getinfo(name).file_size)
    with memoryview(data) as view, archive.open(name) as entry:
        at = 0
        while at < len(view):
            chunk = entry.read(min(1 << 20, len(view) - at))
            if not chunk:
                raise UnpicklingError(f"its entry {name} is cut short")
            view[at : at + len(chunk)] = chunk
            at += len(chunk)
        entry.read(1)  # zipfile compares the checksum when it reaches the end
    return data


def _read_legacy(file: BinaryIO) -> Any:
    """Read the format before torch 1.6: pickles of magic, protocol, system, content, storage names; then the data."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as program:
        if program[:2] != b"\x80\x02":
            tar = " it is an archive: unpack it" if program[257:262] == b"ustar" else ""
            raise UnpicklingError(f"it was not written by torch.save, or is cut short{tar and ';'}{tar}")
        return _read_pickles(program)


def _read_pickles(program: mmap.mmap) -> Any:
    names, storages, left = _Names(), dict[str, Tensor](), len(program)

    def make_storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
        nonlocal left
        # Before any memory is taken: a small file may claim storages of gigabytes.
        left -= count * dtype.itemsize
        if count < 0 or left < 0:
            raise UnpicklingError("its storages are larger than the file")
        storages[key] = torch.zeros(count, dtype=dtype)
        return storages[key]

    magic, at = load_pickle(program, names)
    if magic != _LEGACY_MAGIC:
        raise UnpicklingError("a pickle, but not of torch.save")
    protocol, at = load_pickle(program, names, begin=at)
    system, at = load_pickle(program, names, begin=at)
    if protocol != _LEGACY_PROTOCOL or not system["little_endian"]:
        raise UnpicklingError("an unknown version of the legacy format, or big-endian")
    content, at = load_pickle(program, names, _storages(make_storage), begin=at)
    keys, at = load_pickle(program, names, begin=at)
    for key in keys:
        if not isinstance(key, str) or key not in storages:
            raise UnpicklingError("it has data that no tensor names")
        at = _fill_storage(storages.pop(key), program, at)
    if storages:
        raise UnpicklingError(f"the data of {len(storages)} tensors is missing")
    return content


def _fill_storage(flat: Tensor, program: mmap.mmap, at: int) -> int:
    """Copy the data of a storage, which begin with their count, into ``flat``; return the position of their end."""
    begin, end = at + 8, at + 8 + flat.nbytes
    if end > len(program) or struct.unpack("<q", program[at:begin]) != (len(flat),):
        raise UnpicklingError("it is cut short, or the sizes in it contradict each other")
    if flat.nbytes:
        flat.view(torch.uint8).numpy()[:] = np.frombuffer(program, np.uint8, flat.nbytes, begin)
    return end
