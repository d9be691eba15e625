"""The layout of images in an array, recognized by its shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.types import Pixels
from ppbench.data.cifar import CIFAR_ROW, rows_to_images
from ppbench.data.npy import map_array
from ppbench.errors import DataError

_CHANNELS = (1, 3, 4)


class ArrayLayout(NamedTuple):
    """The layout of images in an array."""

    shape: tuple[int, ...]
    """Shape of the array."""
    is_cifar: bool
    """Rows of a red, a green and a blue plane of 32 x 32, as in CIFAR's own files."""
    number: int
    height: int
    width: int
    channels: int
    """1 grey, 3 RGB, 4 RGB and alpha."""

    @property
    def values(self) -> int:
        """Values per image."""
        return self.height * self.width * self.channels

    def images(self, array: NDArray[Any], start: int, stop: int) -> Pixels:
        """Images ``start`` to ``stop`` (exclusive) of the array as ``(n, H, W, C)``."""
        # A single image may have no first axis to take it from.
        part = array if self.number == 1 else array[start:stop]
        if self.is_cifar:
            return rows_to_images(part)
        return np.ascontiguousarray(part.reshape(-1, self.height, self.width, self.channels))

    def part(self, images: Pixels) -> Pixels:
        """Bring images ``(n, H, W, C)`` into the array's order of axes."""
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2) if self.is_cifar else images)


def find_layout(path: Path) -> ArrayLayout:
    """Recognize the layout of an array of images.

    ``(N, 3072)``: CIFAR's rows; ``(N, H, W, C)``, ``(N, H, W)``: many; ``(H, W)``, ``(H, W, C)``: one. C is 1, 3 or 4.

    Raises:
        DataError: If it cannot be read, is not uint8, or has another shape.
    """
    array = map_array(path)
    if array.dtype != np.uint8:
        raise DataError(
            f"{path} holds {array.dtype}; images are uint8, 0 to 255",
            "Values from 0 to 1: `np.save(FILE, (array * 255).round().astype(np.uint8))`.",
        )
    shape = array.shape
    layout = _layout(shape)
    if layout is None or 0 in shape:
        axes = "`np.save(FILE, array.transpose(0, 2, 3, 1))` puts channels last." if shape[1:2] in ((1,), (3,)) else ""
        raise DataError(
            f"{path} has the shape {shape}; images are (N, H, W, 3), (N, H, W, 1), (N, H, W), (N, 3072) as CIFAR's, "
            "or one (H, W, 3) or (H, W)",
            axes or "Save it in one of these shapes.",
        )
    return layout


def _layout(shape: tuple[int, ...]) -> ArrayLayout | None:
    if len(shape) == 2 and shape[1] == CIFAR_ROW:
        return ArrayLayout(shape, True, shape[0], 32, 32, 3)
    if len(shape) == 2:
        return ArrayLayout(shape, False, 1, *shape, 1)
    if len(shape) == 3 and shape[2] in _CHANNELS:
        return ArrayLayout(shape, False, 1, *shape)
    if len(shape) == 3:
        return ArrayLayout(shape, False, *shape, 1)
    return ArrayLayout(shape, False, *shape) if len(shape) == 4 and shape[3] in _CHANNELS else None
