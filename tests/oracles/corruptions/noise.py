"""Noise: independent for each pixel and channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracles.corruptions.tables import Draws


def gaussian_noise(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    return np.clip(image / 255 + c["noise_std"] * draws["noise"], 0, 1) * 255


def shot_noise(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    """The photons were counted in this image's light: their mean is intensity times the constant."""
    return np.clip(draws["photons"] / c["photons_per_unit_intensity"], 0, 1) * 255


def impulse_noise(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    """Single channel values, not pixels, turn to 1 or 0; the constant is the law of ``flipped``."""
    return np.where(draws["flipped"], np.where(draws["salted"], 1.0, 0.0), image / 255) * 255


def speckle_noise(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    x = image / 255
    return np.clip(x + x * c["noise_std_relative_to_value"] * draws["noise"], 0, 1) * 255
