"""Batches: which images come together, and what is done to them before they reach the device."""

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
"""Images ``(V N, C, H, W)`` uint8, V views of N images one after another, and labels ``(N,)`` int64."""


class Share(NamedTuple):
    """Which process this is, of how many that share every batch."""

    rank: int = 0
    processes: int = 1


ALONE = Share()


class TrainingBatches(Dataset[LabelledBatch | PpbenchError]):
    """The batches of one epoch, by their number; an item is a whole batch, or this process's part of it.

    The order of the images, their crops and their augmentations follow from (seed, epoch, image) alone. Of a last
    batch that is not full, so many images are left out that every process has as many as the others.

    An image that cannot be read makes the item an error, for an exception in a loader's worker process would come
    with the worker's traceback.

    Args:
        images: What is trained on.
        cut: How they are cropped.
        recipe: Its batch size, seed and augmentation matter.
        epoch: From 0.
        share: Which part of every batch is wanted.
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
        index = whole[: len(whole) - len(whole) % processes][rank::processes]
        try:
            return self._views(index), torch.from_numpy(self.images.labels[index.numpy()])
        except PpbenchError as error:
            return error

    def _views(self, index: Tensor) -> Tensor:
        """The images, or their augmented views: with the Jensen-Shannon loss the clean ones first, then two."""
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
        """What is done to single images; None if nothing is, or to whole batches on the device."""
        augmentation = parse_augmentation(self.recipe.augment)
        return image_augmentation(self.recipe.augment, self.cut.size) if augmentation.where == "image" else None


class ValidationBatches(Dataset[LabelledBatch | PpbenchError]):
    """The test images in their order, by the number of the batch; items as of `TrainingBatches`."""

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
    """Batches of an epoch over ``count`` images; a last one with fewer images than processes is left out."""
    whole, rest = divmod(count, batch_size)
    return whole + (rest >= processes)
