"""The blurs without randomness: defocus, Gaussian, zoom."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from tests.oracles.corruptions.filters import gaussian, zoomed_into
from tests.oracles.corruptions.tables import Draws


def gaussian_blur(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    return np.clip(gaussian(image / 255, c["sigma_px"]), 0, 1) * 255


def defocus_blur(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    """OpenCV's filter, since sums over a flat disk are ties that any other order of adding breaks differently."""
    kernel = disk(c["disk_radius_px"], c["alias_blur_sigma_px"])
    x = image / 255
    channels = [cv2.filter2D(np.ascontiguousarray(x[..., i]), -1, kernel) for i in range(3)]  # border: reflect 101
    return np.clip(np.stack(channels, axis=-1), 0, 1) * 255


def disk(radius: float, alias_sigma: float) -> np.ndarray:
    """A flat disk with softened rim, float32 (in float64 the ties above fall differently).

    Its sum exceeds 1 where the disk touches the border of its grid: the softening reflects there and nothing
    normalises again. This brightens the strong severities by a percent.
    """
    half = 8 if radius <= 8 else radius
    across, down = np.meshgrid(np.arange(-half, half + 1), np.arange(-half, half + 1))
    flat = (across**2 + down**2 <= radius**2).astype(np.float32)
    flat /= flat.sum()
    reach = 1 if radius <= 8 else 2
    # OpenCV's own softening: the last bit of its sum decides what becomes of flat areas.
    return cv2.GaussianBlur(flat, (2 * reach + 1,) * 2, alias_sigma, borderType=cv2.BORDER_REFLECT_101)


def zoom_blur(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    """The mean of the image and its enlargements, in float32; factor 1 is among these, so the image counts twice."""
    height, width = image.shape[:2]
    x = (image / 255).astype(np.float32)
    layers = np.zeros_like(x)
    for factor in c["factors"]:
        layers += zoomed_into(x, factor, recipe)[:height, :width]
    return np.clip((x + layers) / np.float32(len(c["factors"]) + 1), 0, 1) * 255
