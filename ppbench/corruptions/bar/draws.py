"""Draws of the C-bar corruptions: parameters of an image in float64, and tables of any sufficient size."""

from __future__ import annotations

import torch
from torch import Tensor

from ppbench.corruptions.random import Draws, scaled, uniform_doubles
from ppbench.corruptions.uploads import numbers, sent
from ppbench.errors import UsageError


def parameter(
    draws: Draws, images: Tensor, name: str, low: float | Tensor, high: float | Tensor, *shape: int,
    least: float | None = None,
) -> Tensor:  # fmt: skip
    """Draw uniform numbers for each image: float64 ``(n, *shape)`` on the images' device.

    Args:
        draws: The draws of the cell.
        images: ``(n, H, W, C)``.
        name: Name of the draw. A given one may have any finite value, from ``least`` on.
        low: Bounds of keyed numbers: a number, or a tensor that ``(n, *shape)`` is broadcast with.
        high: Likewise.
        shape: Shape for one image.
        least: Least value of a given draw.
    """
    values = draws.given(name, shape, least)
    if values is None:
        words = draws.words(name, *shape)
        if isinstance(low, Tensor) or isinstance(high, Tensor):
            values = sent(uniform_doubles(words, 0.0, 1.0), images.device) * (high - low) + low
        else:
            values = uniform_doubles(words, low, high)
    return sent(values, images.device).double()


def whole(draws: Draws, images: Tensor, name: str, low: int, high: int, *shape: int) -> Tensor:
    """Draw integers from low to high - 1 for each image: int64 ``(n, *shape)`` on the images' device."""
    values = draws.given(name, shape, low, high - 1)
    if values is None:
        values = scaled(draws.words(name, *shape), high - low) + low
    return sent(values, images.device).long()


def spread(draws: Draws, images: Tensor, name: str, low: float, high: float, *lead: int) -> Tensor:
    """Draw places for each image, rows first: float64 ``(n, *lead, 2)`` in pixels, from low to high of each side."""
    sides = numbers(*images.shape[1:3], device=images.device)
    return parameter(draws, images, name, low * sides, high * sides, *lead, 2)


def table(draws: Draws, name: str, *needed: int) -> Tensor | None:
    """Return a given table ``(n, *shape)``, of which each axis has at least the needed length; None if none is given.

    Raises:
        UsageError: If it is smaller, or has a value that is not finite.
    """
    shape = draws.given_shape(name)
    if shape is None:
        draws.names.add(name)
        return None
    if len(shape) != len(needed) or any(here < least for here, least in zip(shape, needed, strict=True)):
        raise UsageError(f"draw {name!r} has shape {shape} for each image", f"It is {needed} here, or larger.")
    values: Tensor = draws.given(name, shape)
    return values


def column(values: Tensor) -> Tensor:
    """Return numbers of images ``(n,)`` as ``(n, 1, 1)``, to compute with maps ``(n, H, W)``."""
    return values.view(-1, 1, 1)


def grid(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows ``(H, 1)`` and columns ``(1, W)`` of the pixels as float64."""
    rows, columns = (torch.arange(side, device=images.device, dtype=torch.float64) for side in images.shape[1:3])
    return rows[:, None], columns[None]


def truncated(x: Tensor) -> Tensor:
    """Clip levels to 0..255 and truncate them to uint8."""
    return x.clamp(0, 255).to(torch.uint8)
