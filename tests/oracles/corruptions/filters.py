"""The Gaussian and the bilinear enlargement that several corruptions share."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import gaussian_filter

from tests.oracles.corruptions.tables import PACKAGE


def gaussian(array: np.ndarray, sigma: float | tuple[float, float], mode: str = "nearest", truncate: float = 4.0):
    """Smooth the first two axes, never across channels; the edge pixel repeats unless ``mode`` says otherwise."""
    sigmas = (sigma, sigma) if np.isscalar(sigma) else sigma
    return gaussian_filter(array, (*sigmas, 0)[: array.ndim], mode=mode, truncate=truncate)


def enlarged(array: np.ndarray, factor: float) -> np.ndarray:
    """Both axes ``factor`` times longer, bilinear, in the dtype of ``array``; corner pixels stay corner pixels.

    So the pitch is (n - 1) / (m - 1), not 1 / factor. scipy's own zoom, which the references call, turns the last
    row black where rounding puts its coordinate past the image; that is not copied.
    """
    return _enlarged_axis(_enlarged_axis(array.astype(np.float64), 0, factor), 1, factor).astype(array.dtype)


def _enlarged_axis(array: np.ndarray, axis: int, factor: float) -> np.ndarray:
    before = array.shape[axis]
    after = round(before * factor)
    lines = np.moveaxis(array, axis, 0)
    result = np.empty((after, *lines.shape[1:]))
    for i in range(after):
        place = i * ((before - 1) / (after - 1))
        low = min(math.floor(place), before - 2)
        result[i] = lines[low] * (1 - (place - low)) + lines[low + 1] * (place - low)
    return np.moveaxis(result, 0, axis)


def zoomed_into(array: np.ndarray, factor: float, recipe: str) -> np.ndarray:
    """The middle of ``array``, enlarged: at least (H, W), and exactly that but for the package.

    The package leaves what is too much at the bottom and the right; the scripts cut it from all sides. The scripts
    know squares only: what is here done for each axis alone is the same there.
    """
    height, width = array.shape[:2]
    middle_height, middle_width = math.ceil(height / factor), math.ceil(width / factor)
    top, left = (height - middle_height) // 2, (width - middle_width) // 2
    result = enlarged(array[top : top + middle_height, left : left + middle_width], factor)
    if recipe == PACKAGE:
        return result
    top, left = (result.shape[0] - height) // 2, (result.shape[1] - width) // 2
    return result[top : top + height, left : left + width]
