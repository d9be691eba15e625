"""Small real data for tests: photographs in class folders, published-style trees, Fashion-MNIST files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.arrays import embedded_images

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def photographs(size: int, count: int) -> list[NDArray[np.uint8]]:
    """``count`` different square cuts ``(size, size, 3)`` of real photographs."""
    cuts = []
    for number in range(count):
        whole = getattr(skimage.data, PHOTOGRAPHS[number % len(PHOTOGRAPHS)])()
        start = 20 + 7 * (number // len(PHOTOGRAPHS))
        side = 3 * size
        cut = Image.fromarray(whole[start : start + side, start : start + side]).resize((size, size))
        cuts.append(np.asarray(cut))
    return cuts


def write_class_folders(root: Path, classes: int = 2, per_class: int = 3, size: int = 40) -> Path:
    """``root/<class>/<n>.png`` with photographs; returns ``root``."""
    for number, image in enumerate(photographs(size, classes * per_class)):
        path = root / f"n{number % classes:08d}" / f"img{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return root


def write_published(root: Path, corruptions: tuple[str, ...], severities: tuple[int, ...], size: int = 32) -> Path:
    """``root/<corruption>/<severity>/<class>/<n>.png``, each cell with images of its own; returns ``root``."""
    for place, corruption in enumerate(corruptions):
        for severity in severities:
            cell = write_class_folders(root / corruption / str(severity), size=size)
            for path in cell.rglob("*.png"):
                darker = np.asarray(Image.open(path)) // (1 + place + severity)
                Image.fromarray(darker).save(path)
    return root


def write_fashion_mnist(root: Path, train: int = 300, test: int = 100) -> Path:
    """The four IDX files, with real images of the embedded slice; returns ``root``."""
    images = embedded_images()
    root.mkdir(parents=True, exist_ok=True)
    for prefix, first, count in (("train", 0, train), ("t10k", train, test)):
        part = slice(first, first + count)
        _write_idx(root / f"{prefix}-images-idx3-ubyte.gz", images.images[part, ..., 0])
        _write_idx(root / f"{prefix}-labels-idx1-ubyte.gz", images.labels[part].astype(np.uint8))
    return root


def _write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + values.tobytes()))
