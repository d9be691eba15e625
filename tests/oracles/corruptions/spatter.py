"""Spatter: drops of water or splashes of mud."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from tests.oracles.corruptions.filters import gaussian
from tests.oracles.corruptions.tables import FIXED, Draws

RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
"""The filter that lights the drops from one side."""


def spatter(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    """The liquid is in float64, its opacity and the picture in float32; the added mud is in float64 again."""
    x = image.astype(np.float32) / np.float32(255)
    liquid = gaussian(c["normal_mean"] + c["normal_std"] * draws["layer"], c["liquid_blur_sigma_px"])
    liquid = np.where(liquid < c["threshold"], 0, liquid)
    last = c["water_opacity_or_mud_blur_sigma_px"]
    if c["is_mud"]:
        opacity = mud(liquid, c["threshold"], last)[..., None]
        colour = np.array(FIXED["spatter_mud_rgb"]) / 255
        return np.clip(x * (1 - opacity) + opacity * colour, 0, 1) * 255
    opacity = water(liquid, last)[..., None]
    colour = np.array(FIXED["spatter_water_rgb"], np.float32) / np.float32(255)
    return np.clip(x + opacity * colour, 0, 1) * 255


def mud(liquid: np.ndarray, threshold: float, sigma: float) -> np.ndarray:
    """The opacity of mud, (H, W) float32: 0, or between 0.8 and 1."""
    mask = gaussian((liquid > threshold).astype(np.float32), sigma)
    return np.where(mask < FIXED["spatter_mud_mask_threshold"], np.float32(0), mask)


def water(liquid: np.ndarray, opacity: float) -> np.ndarray:
    """The light that water adds, (H, W) float32 of at most ``opacity``; all zero where there is no drop.

    The references divide 0 by 0 there; to leave the picture alone is what is meant.
    """
    levels = (np.floor(liquid * 255).astype(np.int64) % 256).astype(np.uint8)  # above 255 it wraps around
    mask = levels.astype(np.float32) * shine(levels).astype(np.float32)
    return mask if mask.max() == 0 else mask / mask.max() * np.float32(opacity)


def shine(levels: np.ndarray) -> np.ndarray:
    """How bright the surface is, (H, W) uint8, from its distance to the next edge; every border reflects (101)."""
    no_edge = 255 - cv2.Canny(levels, 50, 150)
    distance = np.minimum(cv2.distanceTransform(no_edge, cv2.DIST_L2, 5), 20)
    distance = np.floor(cv2.blur(distance, (3, 3))).astype(np.uint8)
    relief = cv2.filter2D(cv2.equalizeHist(distance), cv2.CV_8U, RELIEF)  # saturates at 0 and 255
    return cv2.blur(relief, (3, 3))
