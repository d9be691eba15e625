"""Images read between their pixels: coordinates beyond the border, and bilinear interpolation."""

from __future__ import annotations

import torch
from torch import Tensor


def mirrored(place: Tensor, size: int) -> Tensor:
    """Fold coordinates to 0..size - 1 about the first and the last pixel."""
    last = size - 1
    place = place.abs()
    place = place - 2 * last * torch.floor(place * (1 / (2 * last)))
    return (last - (last - place).abs()).clamp(0, last)


def reflected(place: Tensor, size: int) -> Tensor:
    """Fold coordinates to 0..size - 1 about the outer edges of the first and the last pixel."""
    place = (place + 0.5).abs()
    place = place - 2 * size * torch.floor(place * (1 / (2 * size)))
    return (size - (size - place).abs() - 0.5).clamp(0, size - 1)


def sampled(x: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Interpolate float32 ``(n, H, W, C)`` bilinearly at coordinates ``(n, H, W)`` within the images."""
    n, height, width, _ = x.shape
    # The last pixel is the end of the interval before it; it has none of its own.
    top, left = down.long().clamp(max=height - 2), across.long().clamp(max=width - 2)
    below, right = (down - top)[..., None], (across - left)[..., None]
    image = torch.arange(n, device=x.device)[:, None, None]
    upper = _between(x[image, top, left], x[image, top, left + 1], right)
    lower = _between(x[image, top + 1, left], x[image, top + 1, left + 1], right)
    return _between(upper, lower, below)


def _between(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Interpolate linearly; the result is exact if both values are equal."""
    return a + (b - a) * weight
