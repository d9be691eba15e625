"""The 19 corruptions by their plain definitions, one image at a time; shares no code with ppbench.

``oracle`` is the entry; every function under it is deterministic, for all that is random comes in as ``draws``:

=================== ============================================================================================
gaussian, speckle   ``noise`` (H, W, 3) standard normals
shot_noise          ``photons`` (H, W, 3) counts
impulse_noise       ``flipped``, ``salted`` (H, W, 3) bool
glass_blur          ``shift`` (iterations, H, W, 2) ints (dx, dy) in [-d, d - 1], by pass and visited pixel
motion_blur         ``angle`` in degrees
snow                ``layer`` (H, W) standard normals; ``angle`` in degrees
frost               ``texture``, ``row``, ``column`` ints
fog                 ``map`` (S, S) in [-1, 1): the draw that its cell of the diamond-square map is written with
elastic_transform   ``dx``, ``dy`` (H, W) in [-1, 1); in ImageNet-C's kin also ``jitter`` (3, 2) in [-1, 1)
spatter             ``layer`` (H, W) standard normals
=================== ============================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.oracles.corruptions import blur, colour, digital, elastic, fog, frost, glass, motion, noise, snow, spatter
from tests.oracles.corruptions.draws import random_draws
from tests.oracles.corruptions.tables import RECIPES, Draws, constants

__all__ = ["CORRUPTIONS", "RECIPES", "oracle", "random_draws"]

CORRUPTIONS: dict[str, Callable[[np.ndarray, dict[str, Any], str, Draws], np.ndarray]] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "speckle_noise": noise.speckle_noise,
    "defocus_blur": blur.defocus_blur,
    "gaussian_blur": blur.gaussian_blur,
    "zoom_blur": blur.zoom_blur,
    "glass_blur": glass.glass_blur,
    "motion_blur": motion.motion_blur,
    "snow": snow.snow,
    "frost": frost.frost,
    "fog": fog.fog,
    "spatter": spatter.spatter,
    "brightness": colour.brightness,
    "contrast": colour.contrast,
    "saturate": colour.saturate,
    "elastic_transform": elastic.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
}
"""Each takes the image (H, W, 3) uint8, its constants, the recipe and the draws; it returns floats in 0..255."""


def oracle(image: np.ndarray, corruption: str, severity: int, recipe: str, draws: Draws) -> np.ndarray:
    """The corrupted image, (H, W, 3) uint8, from (H, W, 3) uint8 RGB.

    Truncated, not rounded, as all references do.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"not an RGB image of uint8: {image.shape}, {image.dtype}")
    result = CORRUPTIONS[corruption](image, constants(corruption, severity, recipe), recipe, draws)
    if result.shape != image.shape or not np.isfinite(result).all() or result.min() < 0 or result.max() > 255:
        raise AssertionError(f"{corruption} {severity} of {recipe} left 0..255 or its shape")
    return np.floor(result).astype(np.uint8)
