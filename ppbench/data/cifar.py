"""CIFAR-10 and CIFAR-100 as their authors publish them, and a user's own arrays."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.arrays import ArrayImages, ids_of_test_set
from ppbench.data.npy import array_file
from ppbench.errors import DataError
from ppbench.pickled import Bulk, Constructor
from ppbench.pickles import load_pickle

CIFAR_ROW = 3 * 32 * 32
"""Bytes per image in the authors' files: a red, a green and a blue plane."""

_DOWNLOAD = "Download it again: https://www.cs.toronto.edu/~kriz/cifar.html"


def rows_to_images(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert rows of colour planes ``(N, 3072)`` to images ``(N, 32, 32, 3)``."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


class CifarFile(NamedTuple):
    """Test images found on disk."""

    path: Path
    num_classes: int | None
    """10 or 100; None: one more than the highest label."""
    read: Callable[[Path, int | None], tuple[NDArray[np.uint8], NDArray[np.int64]]]


def find_cifar(root: Path) -> list[CifarFile]:
    """Find all test sets in a folder, the binary form of each before the pickled one."""
    candidates = (
        ("cifar-10-batches-bin", "test_batch.bin", 10, _read_binary),
        ("cifar-10-batches-py", "test_batch", 10, _read_pickle),
        ("cifar-100-binary", "test.bin", 100, _read_binary),
        ("cifar-100-python", "test", 100, _read_pickle),
    )
    found = [
        CifarFile(path, classes, read)
        for folder, name, classes, read in candidates
        for path in (root / folder / name, root / name)
        if path.is_file()
    ]
    if (root / "images.npy").is_file() and (root / "labels.npy").is_file():
        found.append(CifarFile(root / "images.npy", None, _read_arrays))
    return found


def cifar_images(file: CifarFile, num_classes: int | None = None) -> ArrayImages:
    """Read test images.

    Args:
        file: One that `find_cifar` found.
        num_classes: The dataset's number of classes, for a file that does not say its own.

    Raises:
        DataError: If it is damaged.
    """
    images, labels = file.read(file.path, file.num_classes)
    classes = file.num_classes or num_classes or int(labels.max()) + 1
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"{file.path} does not have labels from 0 to {classes - 1}", "Is it of another dataset?")
    names = [str(number) for number in range(classes)]
    return ArrayImages(images, labels, ids_of_test_set(np.arange(len(labels))), names)


def read_cifar_training(root: Path, num_classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the 50,000 training images of CIFAR-10 or CIFAR-100, pickled or binary.

    Args:
        root: The unpacked folder of the archive, or the one above it.
        num_classes: 10 or 100.

    Returns:
        Images ``(N, 32, 32, 3)`` and labels ``(N,)``.

    Raises:
        DataError: If files are missing or damaged; the message names them.
    """
    batches = [f"data_batch_{number}" for number in range(1, 6)]
    forms = {
        10: (("cifar-10-batches-bin", [f"{name}.bin" for name in batches], _read_binary),
             ("cifar-10-batches-py", batches, _read_pickle)),
        100: (("cifar-100-binary", ["train.bin"], _read_binary), ("cifar-100-python", ["train"], _read_pickle)),
    }  # fmt: skip
    for folder, names, read in forms[num_classes]:
        for place in (root / folder, root):
            if all((place / name).is_file() for name in names):
                parts = [read(place / name, num_classes) for name in names]
                return np.concatenate([pixels for pixels, _ in parts]), np.concatenate([labels for _, labels in parts])
    raise DataError(
        f"no training images of CIFAR-{num_classes} in {root}: "
        + _what_is_missing(root, [(folder, names) for folder, names, _ in forms[num_classes]]),
        f"Unpack https://www.cs.toronto.edu/~kriz/cifar-{num_classes}-python.tar.gz and give its folder with `--data`.",
    )


def _what_is_missing(root: Path, forms: Sequence[tuple[str, Sequence[str]]]) -> str:
    """The missing files of a form that is partly there; if no form is, the first file of each."""
    for folder, names in forms:
        for place in (root / folder, root):
            missing = [name for name in names if not (place / name).is_file()]
            if len(missing) < len(names):
                return f"{place} lacks {', '.join(missing)}"
    return "neither " + " nor ".join(f"{folder}/{names[0]}" for folder, names in forms)


def _read_binary(path: Path, num_classes: int | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read records: one label (in CIFAR-100 two, the fine one last), then the pixels."""
    before = 2 if num_classes == 100 else 1
    content = np.frombuffer(path.read_bytes(), np.uint8)
    if len(content) == 0 or len(content) % (before + CIFAR_ROW):
        raise DataError(f"{path} is damaged: {len(content):,} bytes are not whole images", _DOWNLOAD)
    records = content.reshape(-1, before + CIFAR_ROW)
    return rows_to_images(records[:, before:]), records[:, before - 1].astype(np.int64)


def _read_pickle(path: Path, num_classes: int | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    data, labels = _unpickle(path, "fine_labels" if num_classes == 100 else "labels")
    if data.dtype != np.uint8 or data.shape != (len(labels), CIFAR_ROW) or labels.dtype.kind not in "iu":
        raise DataError(f"{path} is not a CIFAR file (images and labels do not match)", _DOWNLOAD)
    return rows_to_images(data), labels.astype(np.int64)


def _read_arrays(path: Path, num_classes: int | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images, labels = array_file(path).take(), array_file(path.with_name("labels.npy")).take()
    square = images.ndim == 4 and images.shape[1] == images.shape[2] and images.shape[3] in (1, 3)
    if not square or images.dtype != np.uint8 or labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path} has the shape {images.shape} of {images.dtype}, labels.npy {labels.shape} of {labels.dtype}",
            "Expected images (N, S, S, 3) or (N, S, S, 1) of uint8 and N integers.",
        )
    return images, labels.astype(np.int64)


class _Array:
    """A numpy array in a pickle. Its state is the version, shape, type, order and bytes."""

    def __init__(self, *_: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def set_state(self, state: Any) -> None:
        self.state = state

    def read(self, program: bytes) -> NDArray[Any]:
        _, shape, kind, fortran, data = self.state
        if kind not in ("u1", "i1", "i2", "i4", "i8") or fortran:
            raise ValueError("an array of another type than integers, row by row")
        return np.frombuffer(_as_bytes(data, program), f"<{kind}").reshape(shape)


class _Latin1(NamedTuple):
    """Long bytes that Python 3 wrote as text, for Python 2 to read."""

    text: Bulk


def _as_bytes(value: Any, program: bytes) -> bytes:
    if isinstance(value, Bulk):
        return program[value.begin : value.end]
    if not isinstance(value, _Latin1):
        return value if isinstance(value, bytes) else str(value).encode("latin1")  # text of Python 2
    # Decoded in pieces: the whole text could take four times its bytes.
    decoder, begin, end = codecs.getincrementaldecoder("utf-8")(), *value.text
    pieces = (program[at : min(at + (1 << 20), end)] for at in range(begin, end, 1 << 20))
    return b"".join(decoder.decode(piece).encode("latin1") for piece in pieces)


# All that CIFAR's pickles need. Nothing is imported, and no other name is accepted: a pickle can run any code.
_NAMES: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): Constructor(_Array, _Array.set_state),
    # The name of the same module since numpy 2.
    ("numpy._core.multiarray", "_reconstruct"): Constructor(_Array, _Array.set_state),
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): Constructor(lambda kind, *_: kind),
    ("_codecs", "encode"): Constructor(
        lambda text="", *_: _Latin1(text) if isinstance(text, Bulk) else str(text).encode("latin1")
    ),
}


def _look_up(module: str, name: str) -> Any:
    if (module, name) not in _NAMES:
        raise UnpicklingError(f"it names {module}.{name}, which no CIFAR file needs")
    return _NAMES[module, name]


def _unpickle(path: Path, label_name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read the arrays "data" and ``label_name``."""
    try:
        program = path.read_bytes()
        content, _ = load_pickle(program, _look_up, strings="latin1")
        # The keys are text or bytes, depending on the version of Python that wrote the file.
        data, labels = (content.get(name, content.get(name.encode())) for name in ("data", label_name))
        return data.read(program), labels.read(program) if isinstance(labels, _Array) else np.array(labels)
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"{path} is not a CIFAR file, or is damaged: {error}", _DOWNLOAD) from error
