"""Fashion-MNIST in its own IDX files (Xiao, Rasul, Vollgraf 2017; MIT licence)."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import DataError

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

FASHION_MEAN, FASHION_STD = (0.2860,), (0.3530,)
"""Mean and standard deviation of the 60,000 training images, values in [0, 1]."""

_HOW_TO_GET = (
    "On Debian: `apt-get install dataset-fashion-mnist`, then `--data /usr/share/datasets/fashion-mnist`.\n"
    "Elsewhere: `python -c \"import torchvision; torchvision.datasets.FashionMNIST('data', download=True)\"`, "
    "then `--data data`."
)


_LARGEST = 2**26
"""Largest size of a file, unpacked; the larger one of the training images has 47 million bytes."""


class LabelledImages(NamedTuple):
    """Images ``(N, H, W, C)`` uint8 and labels ``(N,)`` int64."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def read_fashion_mnist(folder: Path, split: Literal["train", "test"]) -> LabelledImages:
    """Read a split: 60,000 (train) or 10,000 (test) grey images ``(N, 28, 28, 1)`` and labels 0 to 9.

    Args:
        folder: Folder of the four IDX files, gzipped or not, or torchvision's root folder above it.
        split: "train" or "test".

    Raises:
        DataError: If the files are missing or damaged.
    """
    prefix = {"train": "train", "test": "t10k"}[split]
    images = _read_idx(_find(folder, f"{prefix}-images-idx3-ubyte"))
    labels = _read_idx(_find(folder, f"{prefix}-labels-idx1-ubyte"))
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise DataError(f"the Fashion-MNIST files in {folder} do not belong together", _HOW_TO_GET)
    return LabelledImages(images[..., None], labels.astype(np.int64))


def _find(folder: Path, name: str) -> Path:
    for place in (folder, folder / "FashionMNIST" / "raw"):
        for candidate in (place / name, place / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise DataError(f"no Fashion-MNIST in {folder}: {name}[.gz] is missing", _HOW_TO_GET)


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """IDX: two zero bytes, the type (8 = uint8), the number of axes, their big-endian lengths, the data."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(_LARGEST)  # the rest of what unpacks to more does not fit the lengths
        axes = raw[3] if raw[:3] == b"\x00\x00\x08" else 0
        shape = tuple(np.frombuffer(raw, ">u4", axes, offset=4).tolist())
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error})", _HOW_TO_GET) from error
