"""Convert grey levels to floating point numbers and back, such that truncation gives the reference's levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.corruptions.types import Doubles, Pixels
from ppbench.corruptions.uploads import uploaded

FRACTIONS: Doubles = np.arange(256) / 255
"""The 256 levels as fractions of white."""


def divide(x: Tensor, divisor: float) -> Tensor:
    """Compute ``x / divisor``, correctly rounded. For a plain number, torch multiplies by its reciprocal on GPUs."""
    return x / torch.full((), divisor, dtype=x.dtype, device=x.device)


def in_colours(channels: Sequence[Tensor]) -> Tensor:
    """Return three channels ``(n, H, W)`` as images ``(n, H, W, 3)``. It is a stack that a compiler fuses."""
    channel = torch.arange(3, device=channels[0].device)
    red, green, blue = (part[..., None] for part in channels)
    return torch.where(channel == 0, red, torch.where(channel == 1, green, blue))


class Ties(NamedTuple):
    """How to truncate sums that are whole levels up to rounding, as in flat areas such as a white sky.

    Truncation would make the rounding visible over the whole area, so the reference's arithmetic decides it.
    """

    flat: Pixels
    """``(256,)``: what the reference makes of a flat area of each level: the same level, or one less."""
    close: float
    """Sums within this distance of a whole level, in levels, count as that level."""


_CLOSE: dict[type, float] = {np.float32: 2e-4, np.float64: 2e-12}
"""Errors of sums were at most 7.5e-5 and 1.1e-13, measured against longer numbers over all recipes and severities, on
noise and on flat, striped and speckled images. By chance, 0.04 % of values are within the first distance of a level."""


def ties_of(flat: NDArray[np.floating], dtype: type) -> Ties:
    """Return the ties of a filter.

    Args:
        flat: ``(256,)``: what the reference's arithmetic makes of flat areas of 0 to 255, in levels before truncation.
        dtype: The type in which ppbench computes the sums.
    """
    close = _CLOSE[dtype]
    below = np.arange(256)
    whole = np.round(flat).astype(np.int64)
    is_below = (np.abs(flat - whole) < close) & (flat < whole)
    below[whole[is_below]] -= 1
    return Ties(below.astype(np.uint8), close)


def to_levels(x: Tensor, ties: Ties) -> Tensor:
    """Clip grey levels, float of any shape, to 0..255 and truncate them to uint8."""
    return snapped(x, uploaded(ties.flat, x.device), ties.close)


def snapped(x: Tensor, flat: Tensor, close: float | Tensor) -> Tensor:
    """`to_levels` with the two parts of the ties, which may be tensors."""
    x = x.clamp(0, 255)
    whole = (x + 0.5).int()
    return torch.where((x - whole).abs() < close, flat[whole], x.to(torch.uint8))
