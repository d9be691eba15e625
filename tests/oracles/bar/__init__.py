"""The corruptions of ImageNet-C-bar and CIFAR-10-C-bar by their plain definitions: numpy on whole arrays, one image.

``oracle`` is the entry; all that is random comes in as ``draws``, as the published code draws it (`random_draws`):

=============================== ====================================================================================
blue_noise_sample               ``phases`` (n, n/2), radians
brownish_noise                  ``phases`` (3, n, n/2)
caustic_refraction              ``time``, ``size_px``
checkerboard_cutout             ``angle``, ``cell_px``, ``grid`` (k, k) on [0, 1)
circular_motion_blur            none
cocentric_sine_waves            ``centre`` (x, y), ``angular_freq``, ``wobble_px``, ``ring_px``
inverse_sparkles                ``centre`` (y, x), ``rays``, ``ray_noise`` standard normals, at least one per ray
lines                           ``angle``, ``variation``, ``lines`` (lines, 3) on [0, 1): row, column, angle
perlin_noise                    ``gradients`` (514, 2) of length 1, ``permutation`` (514,)
pinch_and_twirl                 ``signs`` (columns, rows) of cells
plasma_noise                    ``time``, ``iterations``, ``sharpness``, ``scale_px``
ripple                          ``wavelength_px``, ``phase``, both (y, x)
single_frequency_greyscale      ``freq_1``, ``freq_2``, ``order`` (which of the two is across), ``phase``
sparkles                        ``centres`` (5, 2) (y, x), ``rays`` (5,), ``ray_noise`` (5, at least one per ray)
transverse_chromatic_abberation ``order`` (3,): which scale a channel has
=============================== ====================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracles.bar import cutout, fields, optics, stars
from tests.oracles.bar.draws import random_draws

__all__ = ["CORRUPTIONS", "TABLES", "oracle", "random_draws", "strength"]

TABLES: dict[str, dict[str, list[float]]] = json.loads(Path(__file__).with_name("strengths.json").read_text())
"""Recipe -> corruption -> the five strengths."""

CORRUPTIONS: dict[str, Callable[[np.ndarray, float, dict[str, Any]], np.ndarray]] = {
    "blue_noise_sample": fields.blue_noise_sample,
    "brownish_noise": fields.brownish_noise,
    "caustic_refraction": optics.caustic_refraction,
    "checkerboard_cutout": cutout.checkerboard_cutout,
    "circular_motion_blur": optics.circular_motion_blur,
    "cocentric_sine_waves": fields.cocentric_sine_waves,
    "inverse_sparkles": stars.inverse_sparkles,
    "lines": cutout.lines,
    "perlin_noise": fields.perlin_noise,
    "pinch_and_twirl": optics.pinch_and_twirl,
    "plasma_noise": fields.plasma_noise,
    "ripple": optics.ripple,
    "single_frequency_greyscale": fields.single_frequency_greyscale,
    "sparkles": stars.sparkles,
    "transverse_chromatic_abberation": optics.transverse_chromatic_abberation,
}
"""Each takes the image (n, n, 3) uint8, its strength and the draws; it returns numbers that are clipped, truncated."""


def strength(recipe: str, corruption: str, severity: int) -> float:
    """The value s of a severity."""
    return TABLES[recipe][corruption][severity - 1]


def oracle(image: np.ndarray, corruption: str, severity: int, recipe: str, draws: dict[str, Any]) -> np.ndarray:
    """The corrupted image, (n, n, 3) uint8, from (n, n, 3) uint8 RGB."""
    made = CORRUPTIONS[corruption](image, strength(recipe, corruption, severity), draws)
    return np.clip(made, 0, 255).astype(np.uint8)
