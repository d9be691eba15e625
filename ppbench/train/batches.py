"""Batches for training and validation, with the augmentation of single images."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ppbench.errors import PpbenchError
from ppbench.train.augment import ImageAugmentation, image_augmentation, parse_augmentation
from ppbench.train.draws import EpochDraws, draw_epoch
from ppbench.train.images import ImageSet, Transforms
from ppbench.train.recipe import TrainRecipe

LabelledBatch = tuple[Tensor, Tensor]
"""Images ``(V N, C, H, W)`` uint8 (V views of N images, view by view) and labels ``(N,)`` int64."""


class Share(NamedTuple):
    """The part of every batch that belongs to one of several processes."""

    rank: int = 0
    processes: int = 1


ALONE = Share()


class TrainingBatches(Dataset[LabelledBatch | PpbenchError]):
    """The batches of one epoch, by number. An item is a whole batch, or this process's share of it.

    The order of the images, their crops and their augmentations depend on (seed, epoch, image) alone. If the last batch
    cannot be divided evenly between the processes, its last images are left out.

    If an image cannot be read, the item is the error: an exception raised in a loader's worker process would arrive
    with the worker's traceback.

    Args:
        images: The training images.
        cut: How they are cropped.
        recipe: Its batch size, seed and augmentation are used.
        epoch: From 0.
        share: The share of every batch to return.
    """

    def __init__(
        self, images: ImageSet, cut: Transforms, recipe: TrainRecipe, epoch: int = 0, share: Share = ALONE
    ) -> None:
        self.images, self.cut, self.recipe, self.epoch, self.share = images, cut, recipe, epoch, share

    def __len__(self) -> int:
        return steps_per_epoch(len(self.images.labels), self.recipe.batch_size, self.share.processes)

    def __getitem__(self, step: int) -> LabelledBatch | PpbenchError:
        if not 0 <= step < len(self):
            raise IndexError(step)
        whole = self._draws.order[step * self.recipe.batch_size :][: self.recipe.batch_size]
        rank, processes = self.share
        # Equal numbers of images: gradients are averaged over the processes, whatever the size of their shares.
        index = whole[: len(whole) - len(whole) % processes][rank::processes]
        try:
            return self._views(index), torch.from_numpy(self.images.labels[index.numpy()])
        except PpbenchError as error:
            return error

    def _views(self, index: Tensor) -> Tensor:
        """Return the images, or their augmented views; for the Jensen-Shannon loss clean images, then two views."""
        images = self.images.training(index, self._draws, self.cut)
        if self._augment is None:
            return images
        views = range(2 if self.recipe.jsd else 1)
        keys = self._draws.keys[index].tolist()
        made = [self._augment(x, keys[row][view]) for view in views for row, x in enumerate(images)]
        return torch.cat([images, torch.stack(made)]) if self.recipe.jsd else torch.stack(made)

    @cached_property
    def _draws(self) -> EpochDraws:
        return draw_epoch(self.recipe.seed, self.epoch, len(self.images.labels))

    @cached_property
    def _augment(self) -> ImageAugmentation | None:
        """The augmentation of single images; None without augmentation, or if it takes batches on the device."""
        augmentation = parse_augmentation(self.recipe.augment)
        return image_augmentation(self.recipe.augment, self.cut.size) if augmentation.where == "image" else None


class ValidationBatches(Dataset[LabelledBatch | PpbenchError]):
    """The test images in their order, in batches by number; items as in `TrainingBatches`."""

    def __init__(self, images: ImageSet, cut: Transforms, batch_size: int) -> None:
        self.images, self.cut, self.batch_size = images, cut, batch_size

    def __len__(self) -> int:
        return -(-len(self.images.labels) // self.batch_size)

    def __getitem__(self, number: int) -> LabelledBatch | PpbenchError:
        if not 0 <= number < len(self):
            raise IndexError(number)
        index = torch.arange(len(self.images.labels))[number * self.batch_size :][: self.batch_size]
        try:
            return self.images.test(index, self.cut), torch.from_numpy(self.images.labels[index.numpy()])
        except PpbenchError as error:
            return error


def steps_per_epoch(count: int, batch_size: int, processes: int = 1) -> int:
    """Return the number of batches in an epoch; a last one with fewer images than processes is left out."""
    whole, rest = divmod(count, batch_size)
    return whole + (rest >= processes)
