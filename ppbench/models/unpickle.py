"""Reading the tensors of a ``torch.save`` file of any origin without running anything it names.

A pickle is a program that may import and call whatever it likes. Here every name in it is looked up in one small
table of inert constructors; any other name becomes a `Skipped` object that remembers the name and does nothing.
So files holding objects of classes that exist on no other machine can be read, and hostile ones are harmless.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor

from ppbench.errors import DataError

_DTYPES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip


class Skipped(dict[Any, Any]):
    """Stands for an object of a class that is not known here. Its items and state are kept as data, nothing runs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __call__(self, *args: Any, **kwargs: Any) -> Skipped:
        return Skipped(*args)

    def append(self, item: Any) -> None:
        """Pickle's list protocol; the item is dropped."""

    def extend(self, items: Any) -> None:
        """Pickle's list protocol; the items are dropped."""

    add = append


class _Storage(NamedTuple):
    dtype: torch.dtype
    data: bytes

    def view(self, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        """A copy of the tensor at that place; torch refuses sizes that reach beyond the storage."""
        if not self.data:
            return torch.empty(size, dtype=self.dtype)
        flat = torch.frombuffer(bytearray(self.data), dtype=self.dtype)
        return flat.as_strided(size, stride, offset).clone()


def _rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without storage")
    return storage.view(offset, tuple(size), tuple(stride))


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


def _ordered_dict(*args: Any) -> OrderedDict[Any, Any]:
    return OrderedDict(*args)


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


class _InertUnpickler(pickle.Unpickler):
    """Builds plain containers, numbers, strings and tensors; everything else is `Skipped`."""

    def __init__(self, file: io.BytesIO, read_storage: Callable[[str], bytes]) -> None:
        super().__init__(file)
        self._read_storage = read_storage

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        known = _ALLOWED.get((module, name))
        # A fresh object each time: a pickle may set attributes on what it is given, and must not alter ours.
        return (lambda *args: known(*args)) if known else type("Skipped", (Skipped,), {})

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, key = pid[:3]
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            return Skipped()
        return _Storage(dtype, self._read_storage(str(key)))


def read_torch_file(path: Path) -> Any:
    """Read a file written by ``torch.save``: containers, numbers, strings and tensors (on the CPU).

    Objects of any other class come back as `Skipped`. Nothing the file names is imported or run.

    Raises:
        DataError: If the file is not such a file, is truncated, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_zip(archive)
    except zipfile.BadZipFile:
        return _read_legacy(path)
    except Exception as error:  # a damaged or hostile pickle can raise anything at all
        _refuse(path, error)


def _read_zip(archive: zipfile.ZipFile) -> Any:
    index = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
    if index is None:
        raise pickle.UnpicklingError("the archive holds no data.pkl")
    prefix = index.removesuffix("data.pkl")
    storages: dict[str, bytes] = {}

    def read_storage(key: str) -> bytes:
        if key not in storages:
            storages[key] = archive.read(f"{prefix}data/{key}")
        return storages[key]

    return _InertUnpickler(io.BytesIO(archive.read(index)), read_storage).load()


def _read_legacy(path: Path) -> Any:
    """The format before torch 1.6, read by torch itself in its weights-only mode, which runs nothing either."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # likewise
        _refuse(path, error)


def _refuse(path: Path, error: Exception) -> NoReturn:
    reason = " ".join(str(error).split())[:160]
    raise DataError(
        f"{path} is not a readable checkpoint ({reason})",
        "It is damaged or something else; fetch or copy it again and compare its size and hash.",
    ) from error
