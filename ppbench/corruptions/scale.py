"""Corruptions of images larger than a recipe was made for: lengths in pixels times a scale.

What scales, so that a large image looks as the recipe's size would: widths and radii of blurs, the shifts of glass,
flakes and their trails, the blocks of pixelate; the grain of noise and of glass, each number drawn standing for a block
of pixels; the textures of frost and the liquid of spatter, made at the recipe's size and enlarged. Not: what is in
proportion to the image already (zoom_blur, fog, elastic_transform), what has no length (brightness, contrast,
saturate), and jpeg_compression, whose blocks are 8 pixels whatever the image. `docs/corruptions.md` has the table.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions import constants as c
from ppbench.corruptions.filters import resample
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.types import LARGEST_SCALE, Floats, Indices
from ppbench.errors import UsageError

_USUAL_SIDE = 224
"""Of the images that the constants of a recipe for any size are of."""

_GRAIN = {"noise": 1, "values": 1, "photons": 1, "shift": 2}
"""Draws that have a number for each pixel of the recipe's size, and which of their axes are the rows."""


def scale_for(scale: Any, recipe: Recipe, height: int, width: int) -> float:
    """The factor for images of a size.

    Raises:
        UsageError: If it is not allowed.
    """
    if scale == "auto":
        return min(LARGEST_SCALE, max(1.0, min(height, width) / (recipe.native_size or _USUAL_SIDE)))
    try:
        factor = float(scale)
    except (TypeError, ValueError):
        factor = math.nan
    if isinstance(scale, bool) or not 1 <= factor <= LARGEST_SCALE:
        raise UsageError(f"scale {scale!r} is not allowed", f"It is a number from 1 to {LARGEST_SCALE:g}, or auto.")
    return factor


def scaled_constants(cell: Any, scale: float) -> Any:
    """The constants of a cell with their lengths multiplied."""
    if scale == 1:
        return cell
    if isinstance(cell, c.Defocus):  # its second constant smooths the disk's rim over single pixels
        return cell._replace(radius=cell.radius * scale)
    if isinstance(cell, c.Glass):
        return cell._replace(sigma=cell.sigma * scale, max_shift=max(1, round(cell.max_shift * scale)))
    if isinstance(cell, c.Motion):
        return cell._replace(radius=round(cell.radius * scale), sigma=cell.sigma * scale)
    if isinstance(cell, c.Gaussian):
        return cell._replace(sigma=cell.sigma * scale)
    if isinstance(cell, c.Snow):
        return cell._replace(zoom=cell.zoom * scale, radius=round(cell.radius * scale), sigma=cell.sigma * scale)
    if isinstance(cell, c.Pixelate):
        return cell._replace(fraction=cell.fraction / scale)
    return cell


def coarse(height: int, width: int, scale: float) -> tuple[int, int]:
    """Height and width of an image in pixels of the recipe's size."""
    return math.ceil(height / scale), math.ceil(width / scale)


class ScaledDraws(Draws):
    """Draws whose grain is of the recipe's pixels: each number stands for a block of an image's pixels."""

    def words(self, name: str, *shape: int) -> Tensor:
        """32 random bits each: int32 ``(n, *shape)``; of draws with a grain, the same in each block."""
        if name not in _GRAIN:
            return super().words(name, *shape)
        axis = _GRAIN[name]
        height, width = shape[axis - 1 : axis + 1]
        drawn = super().words(name, *shape[: axis - 1], *coarse(height, width, self.scale), *shape[axis + 1 :])
        for offset, side in enumerate((height, width)):
            places = torch.from_numpy((np.arange(side) / self.scale).astype(np.int64)).to(drawn.device)
            drawn = drawn.index_select(axis + offset, places)
        return drawn


def enlarged(x: Tensor, height: int, width: int, scale: float) -> Tensor:
    """Bilinear values of ``(n, h, w, C)`` at the pixels of a larger image: float32 ``(n, height, width, C)``."""
    return resample(x.float().contiguous(), *_places(x.shape[1], height, scale), *_places(x.shape[2], width, scale))


def _places(size: int, side: int, scale: float) -> tuple[Indices, Floats]:
    """Where each pixel lies among fewer: the one before, and how far on towards the next."""
    place = np.clip((np.arange(side) + 0.5) / scale - 0.5, 0, size - 1)
    before = np.minimum(place.astype(np.int64), size - 2)
    return before, (place - before).astype(np.float32)
