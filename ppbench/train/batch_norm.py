"""Images for batch-norm statistics: clean training images, cropped and normalised as for a test of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.data.decode import FolderImages
from ppbench.data.folder import class_folders, list_classes
from ppbench.data.source import Geometry, stratified_order
from ppbench.errors import DataError, UsageError
from ppbench.models.card import Card
from ppbench.models.normalise import mean_and_std
from ppbench.train.data import TRAINABLE, load_training_data
from ppbench.train.recipe import make_recipe

BATCH = 64
"""Images per batch, over which a mean and a variance are taken."""

_Opened = tuple[Sequence[str], NDArray[np.int64], Callable[[NDArray[np.int64]], Tensor], tuple[str, ...]]
"""Ids and labels of a training set, a function that loads its images, and notes for people about unused files."""


class StatisticsImages:
    """Some of the training images of a dataset, in equal shares of all classes, the same on every machine.

    Args:
        dataset: One of `ppbench.train.data.TRAINABLE`.
        folder: Folder of the dataset. For image folders, ``folder/train`` is used if it exists.
        card: Card of the network.
        count: Number of images; fewer if the dataset has fewer.
        seed: Key of the choice of images.

    Raises:
        UsageError: If there is no such dataset, or ``count`` is below 2.
        DataError: If files are missing or damaged, or the images do not fit the network.
    """

    def __init__(self, dataset: str, folder: Path, card: Card, count: int, seed: int = 0) -> None:
        if count < 2:
            raise UsageError(f"--images {count} is not allowed", "It is at least 2; a few thousand are usual.")
        self._card = card
        TRAINABLE[dataset]  # raises for an unknown name
        in_files = dataset in ("imagenet", "imagefolder")
        opened = _in_files(folder, card) if in_files else _in_memory(dataset, folder, card)
        ids, self._labels, self._load, self.notes = opened
        self._order = stratified_order(ids, self._labels, seed)[:count]
        self.num_classes = int(self._labels.max()) + 1

    def __len__(self) -> int:
        """Number of images in use. Only whole batches are used, which gives all images the same weight."""
        return len(self._order) // self._batch * self._batch

    def batches(self, device: torch.device) -> Iterator[Tensor]:
        """Yield preprocessed images ``(n, C, size, size)``, float32 in channels_last, on the device.

        Raises:
            DataError: If an image cannot be read.
        """
        return (x for x, _ in self.labelled_batches(device))

    def labelled_batches(self, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images of `batches`, with labels ``(n,)`` int64 from 0 to ``num_classes - 1``.

        Raises:
            DataError: If an image cannot be read.
        """
        mean, std = mean_and_std(self._card, device, white=255)
        for start in range(0, len(self), self._batch):
            rows = self._order[start : start + self._batch]
            pixels = self._load(rows)
            if pixels.shape[1] == 1:
                pixels = pixels.expand(-1, self._card.in_channels, -1, -1)
            x = pixels.to(device).to(torch.float32, memory_format=torch.channels_last, copy=True)
            yield x.sub_(mean).div_(std), torch.from_numpy(self._labels[rows]).to(device)

    @property
    def _batch(self) -> int:
        return max(1, min(BATCH, len(self._order)))


def _in_files(folder: Path, card: Card) -> _Opened:
    root = folder / "train" if "train" in class_folders(folder) else folder
    if card.in_channels == 1:
        raise DataError(
            f"{root} holds colour images, but the network takes grey ones", "Give images like those of its training."
        )
    listing = list_classes(root)
    images = FolderImages(root, Geometry.of(card), listing)

    def load(rows: NDArray[np.int64]) -> Tensor:
        loaded = images.load(rows)
        if loaded.broken:
            raise DataError(loaded.broken[0].reason, loaded.broken[0].hint)
        return torch.from_numpy(loaded.pixels).permute(0, 3, 1, 2)

    return images.ids, images.labels, load, listing.notes


def _in_memory(dataset: str, folder: Path, card: Card) -> _Opened:
    data = load_training_data(make_recipe(None, {"model": card.architecture, "dataset": dataset}), folder)
    pixels: Tensor = data.train.pixels  # type: ignore[attr-defined]  # they are in memory
    side, channels = pixels.shape[-1], pixels.shape[1]
    if side != card.input_size or channels not in (1, card.in_channels):
        raise DataError(
            f"the images of {dataset} have {channels} x {side} x {side} values, but the network takes "
            f"{card.in_channels} x {card.input_size} x {card.input_size}",
            "Give images like those of its training: `--dataset imagefolder --data DIR`.",
        )
    return data.train.ids, data.train.labels, lambda rows: pixels[torch.from_numpy(rows)], data.notes
