"""Motion blur: a one-sided average along a line of whole pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.oracles.corruptions.tables import PACKAGE, Draws


def trailed(image: np.ndarray, radius: int, sigma: float, angle: float, recipe: str) -> np.ndarray:
    """Each pixel averaged with those ahead of it at ``angle`` degrees, y down; heaviest is the pixel itself.

    Nearest pixels, coordinates clamped to the image. The package leaves the rest out once an offset has reached
    the image's size, and so darkens.
    """
    height, width = image.shape[:2]
    # The factor of the normal density falls out, but for the last bit; where an area is flat that bit is seen.
    density = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2)) / (np.sqrt(2 * np.pi) * sigma)
    weights = density / density.sum()
    total, reach = np.zeros(image.shape), 2 * radius + 1
    beyond = np.pad(image.astype(float), [(reach, reach)] * 2 + [(0, 0)] * (image.ndim - 2), mode="edge")
    for i, weight in enumerate(weights):
        down = math.ceil(i * math.sin(math.radians(angle)) - 0.5)
        right = math.ceil(i * math.cos(math.radians(angle)) - 0.5)
        if recipe == PACKAGE and (abs(down) >= height or abs(right) >= width):
            break
        down, right = down + reach, right + reach
        total += weight * beyond[down : down + height, right : right + width]
    return total


def in_16_bits(levels: np.ndarray) -> np.ndarray:
    """Grey levels as ImageMagick hands them on: rounded to 16 bits, then truncated to 8. Floats, whole numbers."""
    return np.floor(np.floor(257 * levels + 0.5) / 257)


def motion_blur(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    result = trailed(image, c["radius_px"], c["sigma_px"], draws["angle"], recipe)
    return np.clip(result if recipe == PACKAGE else in_16_bits(result), 0, 255)
