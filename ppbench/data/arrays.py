"""Clean images held in memory: the embedded set, Fashion-MNIST, CIFAR."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.fashion_mnist import CLASS_NAMES, read_fashion_mnist
from ppbench.data.source import Loaded
from ppbench.data.stamps import FileStamps

EMBEDDED_FILE = "fashion-mnist-2k.npz"


class ArrayImages:
    """Clean images in memory, used as they are.

    Args:
        images: ``(N, H, W, C)`` uint8.
        labels: ``(N,)`` indices into ``class_names``.
        ids: One per image, unique.
        class_names: Names of the dataset's classes.
    """

    is_slow = False
    notes: tuple[str, ...] = ()

    def __init__(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], ids: Sequence[str], class_names: Sequence[str]
    ) -> None:
        self.images, self.labels, self.ids, self.class_names = images, labels, list(ids), tuple(class_names)
        self.channels: Literal[1, 3] = 1 if images.shape[-1] == 1 else 3
        self.size = images.shape[1]
        self.cut = f"{self.size} px as is"

    def fingerprint(self) -> str:
        """SHA-256 of shape, pixels and labels."""
        # With the shape: the same bytes could be images of other sides.
        digest = hashlib.sha256(f"{self.images.shape}".encode())
        digest.update(self.images.tobytes())
        digest.update(self.labels.tobytes())
        return digest.hexdigest()

    def mean_bytes(self) -> float:
        """0: the images are in memory."""
        return 0.0

    def stamps(self, rows: NDArray[np.int64]) -> FileStamps:
        """Numbers made of the pixels at ``rows``, which are used whatever happens to the file."""
        digests = (hashlib.sha256(self.images[row].tobytes()).digest()[:8] for row in rows)
        return np.frombuffer(b"".join(digests), np.uint64)

    def load(self, rows: NDArray[np.int64]) -> Loaded:
        return Loaded(self.images[rows])

    def read(self, rows: NDArray[np.int64]) -> Iterator[Image.Image]:
        """Yield the images at ``rows``."""
        for row in rows:
            yield Image.fromarray(self.images[row].squeeze(-1) if self.channels == 1 else self.images[row])


@cache
def embedded_images() -> ArrayImages:
    """The 2,000 Fashion-MNIST test images that come with ppbench, 200 of each class (MIT licence).

    They are read once in a process.
    """
    with (
        (files("ppbench") / "assets" / EMBEDDED_FILE).open("rb") as file,
        np.load(file, allow_pickle=False) as content,
    ):
        images, labels, index = content["images"], content["labels"], content["index"]
    return ArrayImages(images[..., None], labels.astype(np.int64), ids_of_test_set(index), CLASS_NAMES)


def fashion_mnist_images(folder: Path) -> ArrayImages:
    """The 10,000 test images of Fashion-MNIST.

    Raises:
        DataError: If the files are missing or damaged.
    """
    images, labels = read_fashion_mnist(folder, "test")
    return ArrayImages(images, labels, ids_of_test_set(np.arange(len(images))), CLASS_NAMES)


def ids_of_test_set(places: NDArray[np.integer]) -> list[str]:
    """Ids of test images by their index in the whole test set, also for a part of it."""
    return [f"test/{int(i):05d}" for i in places]
