"""Pointwise changes of colour."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.color import hsv2rgb, rgb2hsv

from tests.oracles.corruptions.tables import Draws


def brightness(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    hsv = rgb2hsv(image / 255)
    hsv[..., 2] = np.clip(hsv[..., 2] + c["hsv_value_added"], 0, 1)
    return np.clip(hsv2rgb(hsv), 0, 1) * 255


def saturate(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    """A grey pixel has the hue of red, so adding to its saturation makes it reddish."""
    hsv = rgb2hsv(image / 255)
    hsv[..., 1] = np.clip(hsv[..., 1] * c["saturation_factor"] + c["saturation_added"], 0, 1)
    return np.clip(hsv2rgb(hsv), 0, 1) * 255


def contrast(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    """Towards the mean of each channel over the whole image."""
    x = image / 255
    mean = x.mean(axis=(0, 1))
    return np.clip((x - mean) * c["contrast_factor"] + mean, 0, 1) * 255
