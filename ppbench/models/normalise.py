"""The normalisation of pixels that a card asks for."""

from __future__ import annotations

import torch
from torch import Tensor

from ppbench.models.card import Card


def mean_and_std(card: Card, device: torch.device | str | None = None, *, white: int = 1) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation per channel, each ``(C, 1, 1)``, for images whose white is 1 or 255."""
    mean, std = (torch.tensor(values, device=device).view(-1, 1, 1) * white for values in (card.mean, card.std))
    return mean, std


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return ``(images / 255 - mean) / std`` of uint8 images ``(N, C, H, W)`` as float32; mean and std for white 1."""
    return (images.float() / 255 - mean) / std
