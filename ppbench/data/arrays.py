"""Images held in memory: the embedded set and Fashion-MNIST."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ppbench.data.fashion_mnist import read_fashion_mnist
from ppbench.data.source import Pixels

EMBEDDED_FILE = "fashion-mnist-2k.npz"


class ArrayImages:
    """Clean images in memory.

    Args:
        images: ``(N, H, W, C)`` uint8.
        labels: ``(N,)`` class numbers.
        ids: One per image, unique.
        num_classes: Classes of the dataset.
    """

    resizes = False
    is_slow = False

    def __init__(self, images: Pixels, labels: NDArray[np.int64], ids: Sequence[str], num_classes: int) -> None:
        self.images, self.labels, self.ids, self.num_classes = images, labels, list(ids), num_classes
        self.channels: Literal[1, 3] = 1 if images.shape[-1] == 1 else 3
        self.size = images.shape[1]

    def fingerprint(self) -> str:
        """SHA-256 of shape, pixels and labels."""
        digest = hashlib.sha256(f"{self.images.shape}".encode())
        digest.update(self.images.tobytes())
        digest.update(self.labels.tobytes())
        return digest.hexdigest()

    def take(self, places: NDArray[np.int64]) -> ArrayImages:
        """The images at ``places`` as a set of their own."""
        ids = [self.ids[i] for i in places]
        return ArrayImages(self.images[places], self.labels[places], ids, self.num_classes)

    def load(self, places: NDArray[np.int64]) -> Pixels:
        """The images at ``places``."""
        return self.images[places]


def embedded_images() -> ArrayImages:
    """The 2,000 Fashion-MNIST test images that come with ppbench, 200 of each class (MIT licence)."""
    with (
        (files("ppbench") / "assets" / EMBEDDED_FILE).open("rb") as file,
        np.load(file, allow_pickle=False) as content,
    ):
        images, labels, index = content["images"], content["labels"], content["index"]
    return ArrayImages(images[..., None], labels.astype(np.int64), fashion_mnist_ids(index), 10)


def fashion_mnist_images(folder: Path) -> ArrayImages:
    """The 10,000 test images of Fashion-MNIST.

    Raises:
        DataError: If the files are missing or damaged.
    """
    images, labels = read_fashion_mnist(folder, "test")
    return ArrayImages(images, labels, fashion_mnist_ids(np.arange(len(images))), 10)


def fashion_mnist_ids(places: NDArray[np.integer]) -> list[str]:
    """The ids of test images by their place in the test set; the embedded slice keeps them."""
    return [f"test/{int(i):05d}" for i in places]
