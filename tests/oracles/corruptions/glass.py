"""Glass blur: pixels take the place of near ones, one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracles.corruptions.filters import gaussian
from tests.oracles.corruptions.tables import Draws


def visited(side: int, delta: int) -> range:
    """The rows (or columns) that are written, in the order of the visits: from the last to the first."""
    order = range(side - delta, delta, -1)
    if not order:
        raise ValueError(f"{side} px is too small for glass blur with displacements of {delta} px")
    return order


def glass_blur(image: np.ndarray, c: dict[str, Any], recipe: str, draws: Draws) -> np.ndarray:
    """Blur to uint8, copy pixels in place, blur again.

    Meant by its authors as a swap, but the right-hand side of theirs is a view: the second assignment copies the
    pixel just written onto itself. So it is a copy, and later visits see it.
    """
    sigma, delta = c["sigma_px"], c["max_delta_px"]
    pixels = np.floor(gaussian(image / 255, sigma) * 255).astype(np.uint8)
    rows, columns = visited(image.shape[0], delta), visited(image.shape[1], delta)
    # Pixels are copied by their places, in lists: single numbers of arrays are ten times as slow.
    width = image.shape[1]
    source = list(range(image.shape[0] * width))
    for shift in draws["shift"][: c["iterations"]]:
        offset = (shift[..., 1] * width + shift[..., 0]).ravel().tolist()  # dy rows and dx columns away
        for row in rows:
            for column in columns:
                place = row * width + column
                source[place] = source[place + offset[place]]
    pixels = pixels.reshape(-1, 3)[source].reshape(pixels.shape)
    return np.clip(gaussian(pixels / 255, sigma), 0, 1) * 255
