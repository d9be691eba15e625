"""PRIME's primitives and mixture for one image at a time, by their sums, in float64 numpy.

From the formulas of Modas et al., ECCV 2022, and Petrini et al., NeurIPS 2021; it shares no code with ppbench.
Images are ``(C, H, W)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def filtered(image: Array, kernel: Array) -> Array:
    """Weighted sum of each pixel's neighbours; outside the image is 0."""
    channels, height, width = image.shape
    reach = len(kernel) // 2
    result = np.zeros((channels, height, width))
    for y in range(height):
        for x in range(width):
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        result[:, y, x] += kernel[dy + reach, dx + reach] * image[:, y + dy, x + dx]
    return np.clip(result, 0, 1)


def field(coefficients: Array, size: int, temperature: float) -> Array:
    """Displacement in pixels, all modes summed; ``coefficients[j - 1, i - 1]`` is that of j along y and i along x."""
    place = np.arange(size) / (size - 1)
    total = np.zeros((size, size))
    for j in range(1, coefficients.shape[0] + 1):
        for i in range(1, coefficients.shape[1] + 1):
            total += coefficients[j - 1, i - 1] * np.outer(np.sin(np.pi * j * place), np.sin(np.pi * i * place))
    return np.sqrt(temperature) * size * total


def displaced(image: Array, right: Array, down: Array) -> Array:
    """Each pixel taken from its place minus its displacement, bilinear, clamped to the image."""
    _, height, width = image.shape
    result = np.zeros(image.shape)
    for y in range(height):
        for x in range(width):
            from_x = min(max(x - right[y, x], 0), width - 1)
            from_y = min(max(y - down[y, x], 0), height - 1)
            x0, y0 = int(from_x), int(from_y)
            x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
            a, b = from_x - x0, from_y - y0
            upper = (1 - a) * image[:, y0, x0] + a * image[:, y0, x1]
            lower = (1 - a) * image[:, y1, x0] + a * image[:, y1, x1]
            result[:, y, x] = (1 - b) * upper + b * lower
    return result


def mode_variances(size: int, cut: int) -> Array:
    """Variance of each mode that ``size`` pixels can tell apart, if all modes up to ``cut`` are drawn.

    Every mode is sampled on the pixels and expanded in the sines of the grid, which are orthogonal there.
    """
    place = np.arange(size) / (size - 1)
    grid = np.sin(np.pi * np.outer(np.arange(1, size - 1), place))
    total = np.zeros((size - 2, size - 2))
    for j in range(1, cut + 1):
        for i in range(1, cut + 1):
            if np.hypot(i, j) < cut + 0.5:
                along_y = grid @ np.sin(np.pi * j * place) * 2 / (size - 1)
                along_x = grid @ np.sin(np.pi * i * place) * 2 / (size - 1)
                total += np.outer(along_y, along_x) ** 2 / (i**2 + j**2)
    return total


def recoloured(image: Array, coefficients: Array) -> Array:
    """``v + sum_k b_k sin(pi k v)`` per channel; ``coefficients`` is ``(C, cut_max)``."""
    result = image.astype(np.float64)
    for channel, series in enumerate(coefficients):
        for k, b in enumerate(series, start=1):
            result[channel] += b * np.sin(np.pi * k * image[channel])
    return np.clip(result, 0, 1)


def mixed(image: Array, chains: Sequence[Array], weights: Sequence[float], share: float) -> Array:
    """The image and the weighted mean of its chains."""
    total = (1 - share) * image
    for chain, weight in zip(chains, weights, strict=True):
        total = total + share * weight * chain
    return total
