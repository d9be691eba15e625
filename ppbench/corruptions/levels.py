"""Grey levels as floating point numbers and back: division and truncation that give the reference's levels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.corruptions.types import Doubles, Pixels

FRACTIONS: Doubles = np.arange(256) / 255
"""The 256 levels as fractions of white."""


def divide(x: Tensor, divisor: float) -> Tensor:
    """``x / divisor``, correctly rounded: by itself torch lets GPUs multiply by the reciprocal of a number."""
    return x / torch.full((), divisor, dtype=x.dtype, device=x.device)


class Ties(NamedTuple):
    """What becomes of sums that are whole levels but for rounding, as they are in flat areas such as a white sky.

    Truncation makes such rounding visible, over the whole area; so it is decided by the reference's arithmetic.
    """

    flat: Pixels
    """``(256,)``: what the reference makes of an area flat at each of the levels; one level less, or the same."""
    close: float
    """How near a whole level, in levels, a sum counts as on it."""


_CLOSE: dict[type, float] = {np.float32: 2e-4, np.float64: 2e-12}
"""Sums were found to err by up to 7.5e-5 and 1.1e-13, measured against longer numbers over all recipes and severities,
on noise and on flat, striped and speckled images. By chance 0.04 % of values are as near to a level as the first."""


def ties_of(flat: NDArray[np.floating], dtype: type) -> Ties:
    """Ties of a filter.

    Args:
        flat: ``(256,)``: what the reference's arithmetic makes of areas flat at 0 to 255, in levels, not yet truncated.
        dtype: What sums are computed in here.
    """
    close = _CLOSE[dtype]
    below = np.arange(256)
    whole = np.round(flat).astype(np.int64)
    is_below = (np.abs(flat - whole) < close) & (flat < whole)
    below[whole[is_below]] -= 1
    return Ties(below.astype(np.uint8), close)


def to_levels(x: Tensor, ties: Ties) -> Tensor:
    """Truncate grey levels, float of any shape, to uint8; they are clipped to 0..255."""
    x = x.clamp(0, 255)
    whole = (x + 0.5).int()
    flat = torch.from_numpy(ties.flat).to(x.device)
    return torch.where((x - whole).abs() < ties.close, flat[whole], x.to(torch.uint8))
