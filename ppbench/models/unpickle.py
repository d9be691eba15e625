"""Reading the tensors of a ``torch.save`` file of any origin without running anything it names.

A pickle is a program that may import and call whatever it likes. Here every name in it is looked up in one
small table of inert constructors; any other name becomes a `Skipped` object, which only holds data. So files
with objects of classes that exist on no other machine can be read, and hostile ones are harmless. Nor can a
small file claim much memory: no tensor is larger than its storage, no storage larger than the file.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple

import torch
from torch import Tensor

from ppbench.errors import DataError

_DTYPES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}  # fmt: skip

_LEGACY_MAGIC, _LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""The first two pickles of a file in torch's format from before version 1.6 (torch/serialization.py)."""

ReadStorage = Callable[[str, torch.dtype, int], Tensor]
"""From the name of a storage, its element type and count to all its elements."""


class Skipped(dict[Any, Any]):
    """Stands for an object of a class that is not known here. Its items are kept as data, nothing runs."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # the object it stands for may be a key

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def __call__(self, *args: Any, **kwargs: Any) -> Skipped:
        return Skipped()

    def append(self, item: Any) -> None:
        """Pickle's list protocol; the item is dropped."""

    def extend(self, items: Any) -> None:
        """Pickle's list protocol; the items are dropped."""

    add = append


class _Storage(NamedTuple):
    """A flat tensor, of which the tensors in the file are views; it is never copied for them."""

    flat: Tensor

    def view(self, offset: int, size: Sequence[int], stride: Sequence[int]) -> Tensor:
        # Python's integers cannot overflow, as torch's own check could for sizes made up to that end.
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        count = math.prod(size)
        if min(offset, *size, *stride, 0) < 0 or count > len(self.flat) or (count and last >= len(self.flat)):
            raise pickle.UnpicklingError("a tensor reaches beyond its storage")
        return self.flat.as_strided(size, stride, offset) if count else self.flat.new_empty(size)


def _rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Any:
    return storage.view(offset, tuple(size), tuple(stride)) if isinstance(storage, _Storage) else Skipped()


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


# Python's own reading machine: the one in C can be made to fill the memory by one high memo index (gh-115952).
class _InertUnpickler(pickle._Unpickler):
    """Builds plain containers, numbers, strings and tensors; everything else is `Skipped`."""

    def __init__(self, file: BinaryIO, read_storage: ReadStorage | None = None) -> None:
        super().__init__(file)
        self._read_storage = read_storage

    def find_class(self, module: str, name: str) -> Any:
        return _DTYPES.get(name, Skipped) if module == "torch" else _ALLOWED.get((module, name), Skipped)

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, key, _, count = pid[:5]
        if kind != "storage" or not isinstance(dtype, torch.dtype) or self._read_storage is None:
            return Skipped()
        if not isinstance(key, str) or not isinstance(count, int):
            raise pickle.UnpicklingError("a storage without name or size")
        return _Storage(self._read_storage(key, dtype, count))

    def _drop_state(self) -> None:
        """For BUILD, which would set attributes: nothing that is wanted here has state."""
        self.stack.pop()  # type: ignore[attr-defined]

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: _drop_state,
    }


def read_torch_file(path: Path) -> Any:
    """Read a file written by ``torch.save``: containers, numbers, strings and tensors (on the CPU).

    Tensors may share memory. Objects of any other class come back as `Skipped`. Nothing the file names is
    imported or run.

    Raises:
        DataError: If the file is not such a file, is truncated, or is damaged.
    """
    try:
        with path.open("rb") as file:
            return _read_zip(file) if zipfile.is_zipfile(file) else _read_legacy(file)
    except Exception as error:  # a damaged or hostile pickle can raise anything at all
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise DataError(
            f"{path} is not a readable checkpoint ({reason})",
            "It is damaged or something else; fetch or copy it again and compare its size and hash.",
        ) from error


def _read_zip(file: BinaryIO) -> Any:
    with zipfile.ZipFile(file) as archive:
        # torch compresses nothing, so entries that unpack to more than the file are a trap.
        if sum(entry.file_size for entry in archive.infolist()) > _size(file):
            raise pickle.UnpicklingError("its entries are larger than the file")
        index = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if index is None:
            raise pickle.UnpicklingError("the archive holds no data.pkl")
        folder = index.removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise pickle.UnpicklingError("its numbers are big-endian")

        storages: dict[str, Tensor] = {}

        def read_storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
            if key not in storages:
                storages[key] = _flat_tensor(archive.read(f"{folder}data/{key}"), dtype)
            return storages[key]

        return _InertUnpickler(io.BytesIO(archive.read(index)), read_storage).load()


def _read_legacy(file: BinaryIO) -> Any:
    """The format before torch 1.6: magic, protocol, system, content, storage names as pickles; then the bytes."""
    file.seek(0)
    if file.read(2) != pickle.PROTO + b"\x02":
        raise pickle.UnpicklingError("it was not written by torch.save, or is cut short")
    file.seek(0)
    if _InertUnpickler(file).load() != _LEGACY_MAGIC:
        raise pickle.UnpicklingError("a pickle, but not of torch.save")
    if _InertUnpickler(file).load() != _LEGACY_PROTOCOL or not _InertUnpickler(file).load()["little_endian"]:
        raise pickle.UnpicklingError("an unknown version of the legacy format, or big-endian")
    storages: dict[str, Tensor] = {}

    def make_storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
        if key not in storages:
            if sum(flat.nbytes for flat in storages.values()) + count * dtype.itemsize > _size(file):
                raise pickle.UnpicklingError("its storages are larger than the file")
            storages[key] = torch.zeros(count, dtype=dtype)
        return storages[key]

    content = _InertUnpickler(file, make_storage).load()
    for key in _InertUnpickler(file).load():
        flat = storages.pop(key)
        count, data = struct.unpack("<q", file.read(8)), file.read(flat.nbytes)
        if count != (len(flat),) or len(data) != flat.nbytes:
            raise pickle.UnpicklingError("it is cut short, or the sizes in it contradict each other")
        flat.copy_(_flat_tensor(data, flat.dtype))
    if storages:
        raise pickle.UnpicklingError(f"the data of {len(storages)} tensors is missing")
    return content


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _flat_tensor(data: bytes, dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
