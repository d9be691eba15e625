"""Frost: a part of a photograph of ice is added."""

from __future__ import annotations

import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.oracles.corruptions.tables import PACKAGE, Draws, frost_scale

FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg", "frost6.jpg")
"""The order of the index; the scripts never draw the sixth."""


def number_of_textures(recipe: str) -> int:
    return 6 if recipe == PACKAGE else 5


@cache
def original(index: int) -> np.ndarray:
    """A photograph of ice, (h, w, 3) uint8 RGB; its transparency, if any, is ignored."""
    [folder] = find_spec("imagecorruptions").submodule_search_locations
    return cv2.imread(str(Path(folder) / "frost" / FILES[index]), cv2.IMREAD_COLOR)[..., ::-1]  # OpenCV reads BGR


@cache
def texture(index: int, height: int, width: int, recipe: str) -> np.ndarray:
    """The photograph as large as the recipe wants it for an image of (height, width); larger than the image.

    The package enlarges always. The scripts scale by a factor of theirs, which suffices at their own size; where it
    does not, the package's rule is applied to the size that it gives.
    """
    photograph = np.ascontiguousarray(original(index))
    if recipe == PACKAGE:
        return _enlarged_to_cover(photograph, photograph.shape[:2], height, width)
    scale = frost_scale(recipe)
    scaled = photograph if scale == 1 else cv2.resize(photograph, (0, 0), fx=scale, fy=scale)  # bilinear
    if scaled.shape[0] > height and scaled.shape[1] > width:
        return scaled
    return _enlarged_to_cover(photograph, scaled.shape[:2], height, width)


def _enlarged_to_cover(photograph: np.ndarray, size: tuple[int, int], height: int, width: int) -> np.ndarray:
    """The photograph in 1.1 times the least size that covers the image and is not below ``size``."""
    needed = max(1.0, height / size[0], width / size[1]) * 1.1
    rows, columns = math.ceil(size[0] * needed), math.ceil(size[1] * needed)
    # OpenCV's own cubic interpolation of uint8 rounds differently from processor to processor.
    whole = _interpolated(_interpolated(photograph.astype(np.float64), columns, axis=1), rows, axis=0)
    return np.clip(np.round(whole), 0, 255).astype(np.uint8)


def _interpolated(values: np.ndarray, count: int, axis: int) -> np.ndarray:
    """An axis resized by Keys' cubic convolution with a = -0.75, edges repeated."""
    values = np.moveaxis(values, axis, 0)
    places = (np.arange(count) + 0.5) * len(values) / count - 0.5
    total = np.zeros((count, *values.shape[1:]))
    for shift in (-1, 0, 1, 2):
        neighbours = np.floor(places) + shift
        distance = np.abs(places - neighbours)
        near = 1.25 * distance**3 - 2.25 * distance**2 + 1
        far = -0.75 * distance**3 + 3.75 * distance**2 - 6 * distance + 3
        weights = np.where(distance <= 1, near, far)
        pixels = values[np.clip(neighbours, 0, len(values) - 1).astype(int)]
        total += weights.reshape(-1, *(1,) * (values.ndim - 1)) * pixels
    return np.moveaxis(total, 0, axis)


def frost(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    height, width = image.shape[:2]
    row, column = draws["row"], draws["column"]
    ice = texture(int(draws["texture"]), height, width, recipe)[row : row + height, column : column + width]
    return np.clip(c["image_weight"] * image.astype(np.float64) + c["frost_weight"] * ice.astype(np.float64), 0, 255)
