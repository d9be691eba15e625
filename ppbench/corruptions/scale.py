"""Corrupt images larger than a recipe was made for: lengths in pixels are multiplied by a scale.

Large images then look like images of the recipe's size. These things scale:

- widths and radii of blurs, the shifts of glass, flakes and their trails, the blocks of pixelate;
- the grain of noise and of glass: each drawn number is for a block of pixels;
- the textures of frost and the liquid of spatter, which are made at the recipe's size and enlarged.

These do not: what is already in proportion to the image (zoom_blur, fog, elastic_transform), what has no length
(brightness, contrast, saturate), and jpeg_compression, whose blocks always have 8 pixels. `docs/corruptions.md` has the
table.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from torch import Tensor

from ppbench.corruptions import constants as c
from ppbench.corruptions.filters import resample
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.types import LARGEST_SCALE, Floats, Indices, Scale
from ppbench.corruptions.uploads import sent
from ppbench.errors import UsageError

_USUAL_SIDE = 224
"""Side of the images that the constants of a recipe for any size come from."""

_GRAIN = {"noise": 1, "values": 1, "photons": 1, "shift": 2}
"""Draws with a number for each pixel of the recipe's size, and which of their axes is that of the rows."""


def scale_for(scale: Any, recipe: Recipe, height: int, width: int) -> float:
    """Return the factor for images of a size.

    Raises:
        UsageError: If the scale is not allowed.
    """
    if check_scale(scale) == "auto":
        return min(LARGEST_SCALE, max(1.0, min(height, width) / (recipe.native_size or _USUAL_SIDE)))
    return float(scale)


def check_scale(scale: Any) -> Scale:
    """Return a scale; raise `UsageError` if it is neither a number from 1 to `LARGEST_SCALE` nor "auto"."""
    if scale == "auto":
        return "auto"
    try:
        factor = float(scale)
    except (TypeError, ValueError):
        factor = math.nan
    if isinstance(scale, bool) or not 1 <= factor <= LARGEST_SCALE:
        raise UsageError(f"scale {scale!r} is not allowed", f"It is a number from 1 to {LARGEST_SCALE:g}, or auto.")
    return factor


def scaled_constants(cell: Any, scale: float) -> Any:
    """Return the constants of a cell with their lengths multiplied."""
    if scale == 1:
        return cell
    if isinstance(cell, c.Defocus):  # its second constant stays: it smooths the disk's rim over single pixels
        return cell._replace(radius=cell.radius * scale)
    if isinstance(cell, c.Glass):
        return cell._replace(sigma=cell.sigma * scale, max_shift=max(1, round(cell.max_shift * scale)))
    if isinstance(cell, c.Motion):
        return cell._replace(radius=round(cell.radius * scale), sigma=cell.sigma * scale)
    if isinstance(cell, c.Gaussian):
        return cell._replace(sigma=cell.sigma * scale)
    # The zoom enlarges the drawn flakes, so their size follows from it.
    if isinstance(cell, c.Snow):
        return cell._replace(zoom=cell.zoom * scale, radius=round(cell.radius * scale), sigma=cell.sigma * scale)
    if isinstance(cell, c.Pixelate):
        return cell._replace(fraction=cell.fraction / scale)
    return cell


def coarse(height: int, width: int, scale: float) -> tuple[int, int]:
    """Return the height and width of an image in pixels of the recipe's size."""
    return math.ceil(height / scale), math.ceil(width / scale)


class ScaledDraws(Draws):
    """Draws with the grain of the recipe's size: each number is for a block of the image's pixels."""

    def is_single(self, name: str) -> bool:
        """Whether each number of a draw has a word of its own, not a grain of the recipe's size."""
        return name not in _GRAIN

    def words(self, name: str, *shape: int) -> Tensor:
        """Return 32 random bits each: int32 ``(n, *shape)``. Draws with a grain have the same bits in a whole block."""
        if self.is_single(name):
            return super().words(name, *shape)
        axis = _GRAIN[name]
        height, width = shape[axis - 1 : axis + 1]
        drawn = super().words(name, *shape[: axis - 1], *coarse(height, width, self.scale), *shape[axis + 1 :])
        for offset, side in enumerate((height, width)):
            places = sent((np.arange(side) / self.scale).astype(np.int64), drawn.device)
            drawn = drawn.index_select(axis + offset, places)
        return drawn


def enlarged(x: Tensor, height: int, width: int, scale: float) -> Tensor:
    """Interpolate ``(n, h, w, C)`` bilinearly at the pixels of a larger image: float32 ``(n, height, width, C)``."""
    return resample(x.float().contiguous(), *_places(x.shape[1], height, scale), *_places(x.shape[2], width, scale))


@lru_cache(maxsize=64)
def _places(size: int, side: int, scale: float) -> tuple[Indices, Floats]:
    """Return where each pixel is among fewer pixels: the one before it, and the way from that to the next."""
    # Centres of pixels are aligned, and the edge pixel is repeated beyond the border.
    place = np.clip((np.arange(side) + 0.5) / scale - 0.5, 0, size - 1)
    before = np.minimum(place.astype(np.int64), size - 2)
    return before, (place - before).astype(np.float32)
