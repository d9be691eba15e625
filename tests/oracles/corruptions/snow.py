"""Snow: enlarged noise over a threshold, blurred by motion, added twice."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from tests.oracles.corruptions.filters import zoomed_into
from tests.oracles.corruptions.motion import in_16_bits, trailed
from tests.oracles.corruptions.tables import FIXED, PACKAGE, Draws


def snow(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    """The picture is in float32, the flakes in float64."""
    x = image.astype(np.float32) / np.float32(255)
    flakes = trailing_flakes(c, recipe, draws)[: image.shape[0], : image.shape[1]]
    x = whitened(x, c["original_weight"])
    flakes = flakes[..., None]
    return np.clip(x + flakes + flakes[::-1, ::-1], 0, 1) * 255


def trailing_flakes(c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    """Flakes in 0..1, at least (H, W).

    They pass through 8 bits: the scripts truncate to them before and after the motion, the package rounds after.
    """
    layer = c["normal_mean"] + c["normal_std"] * draws["layer"]
    layer = zoomed_into(layer, c["zoom_factor"], recipe)
    layer = np.clip(np.where(layer < c["threshold"], 0, layer), 0, 1)
    motion = (c["motion_radius_px"], c["motion_sigma_px"], draws["angle"], recipe)
    if recipe == PACKAGE:
        return np.round(trailed(layer, *motion) * 255) / 255
    return in_16_bits(trailed(np.floor(layer * 255), *motion)) / 255


def whitened(x: np.ndarray, weight: float) -> np.ndarray:
    """Mix with a brighter grey version of the picture where that is brighter."""
    grey = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)  # not a matrix product, whose rounding is the BLAS library's
    bright = grey * np.float32(FIXED["snow_gray_scale"]) + np.float32(FIXED["snow_gray_offset"])
    return np.float32(weight) * x + np.float32(1 - weight) * np.maximum(x, bright[..., None])
