"""Grey squares and grey lines."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracles.bar.fields import places

GREY = 128


def checkerboard_cutout(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """Some squares of one colour of a turned chessboard."""
    rows, columns = places(len(image))
    sine, cosine = np.sin(d["angle"]), np.cos(d["angle"])
    y, x = (cosine * rows + sine * columns) / d["cell_px"], (-sine * rows + cosine * columns) / d["cell_px"]
    alike = np.floor(y) % 2 == np.floor(x) % 2
    chosen = (d["grid"] < 0.1 * s)[np.trunc(y).astype(int), np.trunc(x).astype(int)]
    return np.where((alike & chosen)[..., None], GREY, image)


def lines(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """Lines through the image, in directions around one."""
    from skimage.draw import line_aa

    n = len(image)
    made = image.copy()
    for u, v, w in d["lines"]:
        row, column, angle = n * u, n * v, d["angle"] + 2 * np.pi * d["variation"] * (w - 0.5)
        down, across = n * np.cos(angle), n * np.sin(angle)
        start, end = (int(row - down), int(column - across)), (int(row + down), int(column + across))
        y, x, coverage = line_aa(*start, *end)
        here = (y >= 0) & (y < n) & (x >= 0) & (x < n)
        y, x, coverage = y[here], x[here], coverage[here, None]
        made[y, x] = ((1 - coverage) * made[y, x] + coverage * GREY).astype(np.uint8)
    return made
