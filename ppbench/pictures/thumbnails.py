"""Thumbnails: the images of some cells, small enough for a page, as ``data:`` addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.source import Source
from ppbench.errors import DataError
from ppbench.vocabulary import CLEAN, Cell

LARGEST_OWN = 64
"""Largest side in pixels at which images are kept as they are, as PNG; larger ones become JPEG."""

SIZES: tuple[tuple[int, tuple[int, int]], ...] = (
    (2, (112, 82)),
    (2, (96, 75)),
    (1, (96, 75)),
    (1, (64, 65)),
)
"""Images for each corruption, side in pixels and quality of their JPEG: what is tried until it fits, largest first."""


class Thumbnails:
    """The images of some cells.

    Args:
        source: The dataset.
        cells: Places of the images by cell.

    Raises:
        DataError: If an image cannot be read.
    """

    def __init__(self, source: Source, cells: Mapping[Cell, NDArray[np.int64]]) -> None:
        self.is_small = source.size <= LARGEST_OWN
        self._own_side = source.size
        self._pixels: dict[tuple[Cell, int], NDArray[np.uint8]] = {}
        # Clean images are read once for all corruptions.
        clean = (CLEAN, 0)
        for cell in sorted(cells, key=lambda one: one != clean):
            loaded = source.load(*cell, cells[cell])
            for broken in loaded.broken:
                raise DataError(broken.reason, broken.hint)
            for place, pixels in zip(cells[cell], loaded.pixels, strict=True):
                self._pixels[cell, int(place)] = pixels

    def side(self, size: tuple[int, int]) -> int:
        """Side of the thumbnails in pixels, of a side and a quality from `SIZES`."""
        return self._own_side if self.is_small else min(size[0], self._own_side)

    def uri(self, cell: Cell, place: int, size: tuple[int, int]) -> str:
        """The thumbnail of an image in a cell as a ``data:`` address."""
        pixels = self._pixels[cell, place]
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        buffer = io.BytesIO()
        if self.is_small:
            image.save(buffer, "PNG", optimize=True)
            return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        side = self.side(size)
        image.resize((side, side), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=size[1], optimize=True)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
