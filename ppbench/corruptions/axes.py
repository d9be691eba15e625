"""Which pixels of an axis are read beyond the border, and for each place of an enlargement."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from ppbench.corruptions.types import Floats, Indices

Mode = Literal["nearest", "reflect", "mirror"]
"""What is beyond the border, named as in scipy: the edge pixel ("nearest"), or the mirrored image with ("reflect") or
without ("mirror") the edge pixel repeated."""


@lru_cache(maxsize=256)
def margins(side: int, radius: int, mode: Mode) -> Indices:
    """Return the pixels of an axis that are at the places from ``-radius`` to ``side + radius - 1``."""
    places = np.arange(-radius, side + radius)
    if mode == "nearest":
        return np.clip(places, 0, side - 1)
    repeated = mode == "reflect"
    period = 2 * side if repeated else 2 * (side - 1)
    folded = places % period
    return np.minimum(folded, period - repeated - folded)


class Places(NamedTuple):
    """Coordinates along an axis: the pixel before, and the way from it to the next, 0 to 1."""

    before: Indices
    weight: Floats


@lru_cache(maxsize=256)
def zoomed_axis(side: int, factor: float, trim: bool) -> Places:
    """Return the coordinates at which an axis is read to enlarge its middle."""
    crop = math.ceil(side / factor)
    # scipy's `zoom` rounds the new length in the same way, halves to even.
    enlarged = round(crop * factor)
    place = np.arange(enlarged) * ((crop - 1) / (enlarged - 1))
    if trim:
        place = place[(enlarged - side) // 2 :][:side]
    # The last place is the end of the interval before it.
    before = np.minimum(np.floor(place).astype(np.int64), crop - 2)
    return Places(before + (side - crop) // 2, (place - before).astype(np.float32))


class Layers(NamedTuple):
    """Where zoomed images are read, ``(layers, side)`` each: the pixel before, and how far on towards the next."""

    top: Indices
    down: Floats
    left: Indices
    right: Floats


@lru_cache(maxsize=64)
def zoomed_layers(height: int, width: int, factors: tuple[float, ...], trim: bool) -> Layers:
    """Return the places of some enlargements, of which those larger than the image keep the upper left part."""
    rows, columns = ([zoomed_axis(side, factor, trim) for factor in factors] for side in (height, width))
    return Layers(
        np.stack([places.before[:height] for places in rows]), np.stack([places.weight[:height] for places in rows]),
        np.stack([places.before[:width] for places in columns]),
        np.stack([places.weight[:width] for places in columns]),
    )  # fmt: skip
