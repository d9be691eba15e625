"""Elastic transform: a random affine map (not in the package), then a smooth random displacement."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

from tests.oracles.corruptions.filters import gaussian
from tests.oracles.corruptions.tables import PACKAGE, Draws, native_size


def elastic_transform(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    height, width = image.shape[:2]
    x = image.astype(np.float32) / np.float32(255)
    if recipe == PACKAGE:
        alpha = c["alpha_displacement_scale"]
        sigma = tuple(c["sigma_fraction_of_each_side"] * side for side in (height, width))
        amplitude = c["uniform_draw_halfwidth_fraction_of_height"] * height  # the height's, of both fields
    else:
        scale = min(height, width) / native_size(recipe)
        alpha = c["alpha_displacement_scale_px"] * scale
        sigma = c["sigma_displacement_smoothing_px"] * scale
        amplitude = 1.0
        x = affine(x, draws["jitter"] * c["affine_max_jitter_px"] * scale)
    right = displacement(draws["dx"] * amplitude, sigma, alpha)
    down = displacement(draws["dy"] * amplitude, sigma, alpha)
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.clip(sample(x, rows + down, columns + right, mode="reflect"), 0, 1) * 255  # reflect: d c b a | a b c d


def displacement(field: np.ndarray, sigma: float | tuple[float, float], alpha: float) -> np.ndarray:
    """Pixels, (H, W) float32; the filter is cut at 3 sigma and its border is as that of the sampling."""
    return (gaussian(field, sigma, mode="reflect", truncate=3.0) * alpha).astype(np.float32)


def sample(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, mode: str) -> np.ndarray:
    """Bilinear, in the dtype of ``x``."""
    channels = [map_coordinates(x[..., i], [rows, columns], order=1, mode=mode) for i in range(3)]
    return np.stack(channels, axis=-1)


def affine(x: np.ndarray, jitter: np.ndarray) -> np.ndarray:
    """Move three points around the middle by ``jitter`` (3, 2) px and the image with them.

    Borders reflect without repeating the edge.
    """
    height, width = x.shape[:2]
    before = corners(height, width)
    after = (before + jitter).astype(np.float32).astype(np.float64)
    to_before = np.linalg.solve(np.column_stack([after, np.ones(3)]), before)  # (3, 2): (x, y, 1) to (x, y)
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    places = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ to_before
    return sample(x, places[..., 1], places[..., 0], mode="mirror")  # mirror: d c b | a b c d


def corners(height: int, width: int) -> np.ndarray:
    """The three points, (3, 2), each (x, y).

    The scripts put the middle at x = height // 2, y = width // 2. In squares, the only shape that they know, it is
    the middle.
    """
    first, second, reach = height // 2, width // 2, min(height, width) // 3
    points = [(first + reach, second + reach), (first + reach, second - reach), (first - reach, second - reach)]
    return np.array(points, np.float64)
