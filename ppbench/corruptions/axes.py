"""Which pixels of an axis are read for each place of another: beyond the border, and in an enlargement."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from ppbench.corruptions.types import Floats, Indices

Mode = Literal["nearest", "reflect", "mirror"]
"""What stands beyond the border, in scipy's words: the edge pixel, or the image mirrored, which repeats the edge pixel
("reflect") or does not ("mirror")."""


@lru_cache(maxsize=256)
def margins(side: int, radius: int, mode: Mode) -> Indices:
    """Which pixel of an axis stands where, from ``-radius`` to ``side + radius - 1``."""
    places = np.arange(-radius, side + radius)
    if mode == "nearest":
        return np.clip(places, 0, side - 1)
    repeated = mode == "reflect"
    period = 2 * side if repeated else 2 * (side - 1)
    folded = places % period
    return np.minimum(folded, period - repeated - folded)


class Places(NamedTuple):
    """Coordinates along an axis: the pixel before, and how far on towards the next, 0 to 1."""

    before: Indices
    weight: Floats


@lru_cache(maxsize=256)
def zoomed_axis(side: int, factor: float, trim: bool) -> Places:
    """Where an axis of the enlarged middle is read."""
    crop = math.ceil(side / factor)
    enlarged = round(crop * factor)
    place = np.arange(enlarged) * ((crop - 1) / (enlarged - 1))
    if trim:
        place = place[(enlarged - side) // 2 :][:side]
    before = np.minimum(np.floor(place).astype(np.int64), crop - 2)
    return Places(before + (side - crop) // 2, (place - before).astype(np.float32))
