"""The taps of filters: their weights, and the places of those along a line."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from torch import Tensor

from ppbench.corruptions.axes import Mode, margins
from ppbench.corruptions.types import Doubles, Floats, Indices


@lru_cache(maxsize=64)
def gaussian_weights(sigma: float, truncate: float) -> Doubles:
    """Return the weights of the centre and of the pixels 1, 2, … away. Their sum over both sides is 1."""
    radius = int(truncate * sigma + 0.5)
    if radius == 0:
        return np.ones(1)
    weights = np.exp(-0.5 / sigma**2 * np.arange(-radius, radius + 1) ** 2)
    return (weights / weights.sum())[radius:]


@lru_cache(maxsize=8)  # for five severities; 64 MB each at 4,000 px
def gaussian_matrix(side: int, sigma: float, truncate: float, mode: Mode) -> Floats:
    """Return the Gaussian along an axis of ``side`` pixels as a matrix ``(side, side)`` to multiply from the left."""
    weights = gaussian_weights(sigma, truncate)
    places = margins(side, weights.size - 1, mode)
    weights = np.concatenate([weights[:0:-1], weights])
    matrix = np.empty((side, side), np.float32)
    for i, row in enumerate(matrix):
        # Beyond the border several taps may read the same pixel; their weights add up.
        row[:] = np.bincount(places[i : i + weights.size], weights, minlength=side)
    return matrix


def trail_offsets(angle: Tensor, length: int) -> Indices:
    """Return the offsets (down, right) of the pixels of trails in ``(n,)`` directions (degrees): ``(n, length, 2)``."""
    # Python's sine, and not that of numpy or a GPU: these may differ in the last digit, which `ceil` can turn into a
    # pixel.
    turns = [math.radians(degrees) for degrees in angle.tolist()]
    step = np.array([(math.sin(turn), math.cos(turn)) for turn in turns]).reshape(-1, 1, 2)
    ahead = step * np.arange(length)[:, None]
    # Both references round so: halves go down.
    return np.ceil(ahead - 0.5).astype(np.int64)


def trail_counts(offsets: Indices, height: int, width: int, stop_at_border: bool) -> Indices:
    """Return how many taps of each trail are used, ``(n,)``: all, or those before an offset as large as the image."""
    if not stop_at_border:
        return np.full(len(offsets), offsets.shape[1])
    outside = (np.abs(offsets) >= np.array([height, width])).any(axis=2)
    return np.logical_not(np.maximum.accumulate(outside, axis=1)).sum(axis=1)


@lru_cache(maxsize=64)
def trail_weights(radius: int, sigma: float) -> Doubles:
    """Return the weights of the pixel itself and of the ``2 radius`` ahead. Their sum is 1."""
    density = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2)) / (math.sqrt(2 * math.pi) * sigma)
    return density / density.sum()
