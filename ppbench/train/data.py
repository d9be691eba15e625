"""Training images, served as uint8 batches in an order and with augmentations fixed by (seed, epoch)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import IterableDataset

from ppbench.data import fashion_mnist
from ppbench.registry import Registry

Batch = tuple[Tensor, Tensor]
"""Images ``(N, C, H, W)`` uint8 and labels ``(N,)`` int64."""


class TrainingData(NamedTuple):
    """A training and a test set in memory, with the facts a card needs of them."""

    images: Tensor
    """(N, C, H, W) uint8."""
    labels: Tensor
    """(N,) int64."""
    test_images: Tensor
    test_labels: Tensor
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]


class ArrayBatches(IterableDataset[Batch]):
    """Batches of images held in memory, shuffled, cropped and flipped as one tensor operation.

    Args:
        images: ``(N, C, H, W)`` uint8.
        labels: ``(N,)`` int64.
        batch_size: Images per batch; the last, smaller one is kept.
        padding: Zero padding from which random crops are taken, in pixels; None: no augmentation and no shuffling.
        seed: Key of order and augmentation, together with ``epoch``.
        epoch: Epoch, from 0.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        padding: int | None = None,
        seed: int = 0,
        epoch: int = 0,
    ) -> None:
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.padding, self.seed, self.epoch = padding, seed, epoch

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        count = len(self.images)
        order = torch.arange(count) if self.padding is None else torch.randperm(count, generator=generator)
        for index in order.split(self.batch_size):
            images = self.images[index]
            if self.padding is not None:
                images = crop_and_flip(images, self.padding, generator)
            yield images, self.labels[index]


def crop_and_flip(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Shift each image by up to ``padding`` pixels per axis (zeros move in) and mirror half of them.

    Args:
        images: ``(N, C, H, W)``, any dtype.
        padding: Largest shift, in pixels.
        generator: Where the draws come from.
    """
    count, _, height, width = images.shape
    padded = F.pad(images, (padding,) * 4)
    top, left = torch.randint(0, 2 * padding + 1, (2, count, 1), generator=generator)
    columns = torch.arange(width).expand(count, width)
    mirrored = torch.rand((count, 1), generator=generator) < 0.5
    columns = torch.where(mirrored, width - 1 - columns, columns) + left
    rows = torch.arange(height) + top
    picked = padded[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


def load_training_data(dataset: str, folder: Path) -> TrainingData:
    """Read the dataset called ``dataset`` from ``folder``.

    Raises:
        UsageError: If ppbench has no training set of that name.
        DataError: If the files are missing or damaged.
    """
    return TRAINABLE.get(dataset)(folder)


def fingerprint(data: TrainingData) -> str:
    """SHA-256 (hex) of the training images and labels."""
    digest = hashlib.sha256(data.images.contiguous().numpy().tobytes())
    digest.update(data.labels.numpy().tobytes())
    return digest.hexdigest()


def _fashion_mnist(folder: Path) -> TrainingData:
    train, test = (
        (torch.from_numpy(images.copy()).permute(0, 3, 1, 2), torch.from_numpy(labels))
        for images, labels in (fashion_mnist.read_fashion_mnist(folder, split) for split in ("train", "test"))
    )
    return TrainingData(*train, *test, 10, fashion_mnist.MEAN, fashion_mnist.STD, fashion_mnist.CLASS_NAMES)


TRAINABLE: Registry[Callable[[Path], TrainingData]] = Registry("training dataset", "ppbench list datasets")
TRAINABLE.register("fashion-mnist", _fashion_mnist)
