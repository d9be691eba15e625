"""The random numbers of an epoch, one set per image, so that batches, workers and processes change none of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ppbench.keys import hash64


class EpochDraws(NamedTuple):
    """All that is random in an epoch of N training images. Row i belongs to image i, whichever batch it comes in."""

    order: Tensor
    """(N,) int64: the images in the order they are served."""
    place: Tensor
    """(N, 2) float32 in [0, 1): where the crop begins, of the room there is; rows, then columns."""
    mirrored: Tensor
    """(N,) bool."""
    keys: Tensor
    """(N, 2) int64, not negative: keys of the augmentation, for two views."""


def draw_epoch(seed: int, epoch: int, count: int) -> EpochDraws:
    """Draw an epoch's order, crops, mirrors and augmentation keys.

    Args:
        seed: Of the run.
        epoch: From 0.
        count: Training images.
    """
    generator = torch.Generator().manual_seed(key_of("epoch", seed, epoch))
    return EpochDraws(
        torch.randperm(count, generator=generator),
        torch.rand((count, 2), generator=generator),
        torch.rand(count, generator=generator) < 0.5,
        torch.randint(2**63 - 1, (count, 2), generator=generator),
    )


def key_of(*what: str | int) -> int:
    """A seed for a torch generator, of 63 bits, from words and numbers that say what it is for."""
    text = "/".join(map(str, what))
    return hash64(text.encode()) >> 1
