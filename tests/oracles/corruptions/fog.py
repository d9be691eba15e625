"""Fog: a fractal cloud by the diamond-square method."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracles.corruptions.tables import FIXED, PACKAGE, Draws


def map_side(height: int, width: int) -> int:
    """The next power of two that covers the image; 256, 512, 64 and 32 at the sizes of the scripts."""
    side = 1
    while side < max(height, width):
        side *= 2
    return side


def cloud(draws: np.ndarray, decay: float, dtype: type) -> np.ndarray:
    """The map, (S, S) in 0..1, on a torus; each cell but the first is the mean of four plus its own draw.

    The draw has the amplitude wibble *squared*: the references draw between -wibble and wibble, and multiply by it.
    """
    side = len(draws)
    cells = np.zeros((side, side), dtype)
    step, wibble = side, float(FIXED["fog_initial_wibble"])
    while step >= 2:
        half, amplitude = step // 2, wibble * wibble
        corners, middles = cells[::step, ::step], cells[half::step, half::step]
        # Of squares, from their corners.
        left, right = (one + np.roll(one, -1, 0) for one in (corners, np.roll(corners, -1, 1)))
        middles[:] = (left + right) / 4 + amplitude * draws[half::step, half::step]
        # Of edges, from the diamonds around them.
        above, beside = middles + np.roll(middles, 1, 0), corners + np.roll(corners, -1, 1)
        cells[::step, half::step] = (above + beside) / 4 + amplitude * draws[::step, half::step]
        above, beside = np.roll(corners, -1, 0) + corners, np.roll(middles, 1, 1) + middles
        cells[half::step, ::step] = (above + beside) / 4 + amplitude * draws[half::step, ::step]
        step, wibble = half, wibble / decay
    cells -= cells.min()
    return cells / cells.max()


def fog(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    """The same fog on each channel, scaled back so that the brightest value of the image can stay."""
    height, width = image.shape[:2]
    x = image / 255
    dtype = np.float32 if recipe == PACKAGE else np.float64
    thickness = cloud(draws["map"], c["wibble_decay"], dtype)[:height, :width, None]
    amount, brightest = c["fog_amount"], x.max()
    return np.clip((x + amount * thickness) * brightest / (brightest + amount), 0, 1) * 255
