"""The random numbers of an epoch, drawn per image: they do not depend on batches, workers or processes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ppbench.keys import hash64


class EpochDraws(NamedTuple):
    """All random numbers of an epoch of N training images. Row i belongs to image i, whatever its batch."""

    order: Tensor
    """The images in the order in which they are served; (N,) int64."""
    place: Tensor
    """Start of the crop as a share of the room, rows then columns; (N, 2) float32 in [0, 1)."""
    mirrored: Tensor
    """Whether the image is mirrored; (N,) bool."""
    keys: Tensor
    """Keys of the augmentation, for two views; (N, 2) int64, not negative."""


def draw_epoch(seed: int, epoch: int, count: int) -> EpochDraws:
    """Draw an epoch's order, crops, mirrors and augmentation keys.

    Args:
        seed: Seed of the run.
        epoch: From 0.
        count: Number of training images.
    """
    generator = torch.Generator().manual_seed(key_of("epoch", seed, epoch))
    # The order of these draws is part of every recipe: in another order, all trainings would change.
    return EpochDraws(
        torch.randperm(count, generator=generator),
        torch.rand((count, 2), generator=generator),
        torch.rand(count, generator=generator) < 0.5,
        torch.randint(2**63 - 1, (count, 2), generator=generator),
    )


def key_of(*what: str | int) -> int:
    """Return a 63-bit seed for a torch generator, derived from words and numbers that say what it is for."""
    text = "/".join(map(str, what))
    return hash64(text.encode()) >> 1
