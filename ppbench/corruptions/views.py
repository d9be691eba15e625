"""The frame that is cut from an image, reading an image at other places than its own pixels, and resizing it.

Two ways of reading are needed, because the published scripts use two libraries: `read_affine` is Pillow's affine
transform, and `read_tilted` OpenCV's perspective one. Both work on uint8 ``(n, H, W, C)`` and leave black what lies
outside the image. `resized` is Pillow's too.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ppbench.corruptions.dispatch import on_cpu
from ppbench.corruptions.kept import kept_within
from ppbench.corruptions.kernels import views as kernels
from ppbench.corruptions.types import Doubles, Indices, Pixels
from ppbench.corruptions.uploads import uploaded


class Window(NamedTuple):
    """The part of an image that becomes a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, images: Tensor) -> Tensor:
        """Return this part of images ``(n, H, W, C)``, contiguous."""
        rows, columns = slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)
        return images[:, rows, columns].contiguous()


def centre(height: int, width: int, side: tuple[int, int]) -> Window:
    """Return the middle of an image. Half a pixel is rounded to the even side, as Python's `round` does."""
    return Window(round((height - side[0]) / 2), round((width - side[1]) / 2), *side)


Affine = tuple[float, float, float, float]
"""The matrix ``((a, b), (c, d))`` that takes a place (x, y) of the frame to its source, both from the centre."""


def turned_back(degrees: float = 0.0, factor: float = 1.0, shear: float = 0.0) -> Affine:
    """Return the map that undoes a turn (clockwise), an enlargement and a shear, as torchvision up to 0.7 has it.

    Its shear also shrinks the image downwards, by ``cos(shear)``; later versions of torchvision do not. The published
    sets are of 2018.

    Args:
        degrees: Angle of the turn.
        factor: Enlargement.
        shear: Angle of the shear, in degrees.
    """
    a, b = math.radians(degrees), math.radians(shear)
    # This is cos(b), as torchvision computes it.
    determinant = math.cos(a + b) * math.cos(a) + math.sin(a + b) * math.sin(a)
    by = 1 / factor / determinant
    return math.cos(a + b) * by, math.sin(a + b) * by, -math.sin(a) * by, math.cos(a) * by


_KEPT = 3 * 2**27
"""Bytes of sources that are kept for each of the two ways of reading: all those of the sequences up to 299 px. At 4,000
px one takes 528 MB, and is made for each frame."""


def read_affine(images: Tensor, matrix: Affine, window: Window) -> Tensor:
    """Read images at the sources of a window's pixels."""
    height, width = images.shape[1:3]
    if images.device.type == "cpu":
        return read_between(images, *_kept_affine_sources(height, width, matrix, window))
    return read_between(images, *_affine_sources(height, width, matrix, window, images.device))


@kept_within(_KEPT)
def _kept_affine_sources(
    height: int, width: int, matrix: Affine, window: Window
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Make the sources for a CPU, which has few images at once; a GPU makes them faster than it would get them."""
    with torch.inference_mode(False):
        return _affine_sources(height, width, matrix, window, torch.device("cpu"))


def _affine_sources(
    height: int, width: int, matrix: Affine, window: Window, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the arguments of `read_between` but for the images.

    Half a pixel is added twice: to the pixel, for its centre, and to the middle of the image. The second half is an
    error of torchvision up to 0.7. It moves the source by ``0.5 (1 - 1 / factor)`` pixels.
    """
    a, b, c, d = matrix
    middle_y, middle_x = height / 2 + 0.5, width / 2 + 0.5
    y, x = (place + 0.5 for place in _places(window, device))
    # The order of torchvision and Pillow, whose last bits decide about whole levels.
    source_x = a * x + b * y + (a * -middle_x + b * -middle_y + middle_x)
    source_y = c * x + d * y + (c * -middle_x + d * -middle_y + middle_y)
    inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
    # Floor, also below 0: within half a pixel of the border both neighbours are the edge pixel.
    left, top = (source_x - 0.5).floor(), (source_y - 0.5).floor()
    across, down = source_x - 0.5 - left, source_y - 0.5 - top
    return top.long(), left.long(), down, across, inside


def _places(window: Window, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the rows ``(h, 1)`` and columns ``(w,)`` of a window's pixels, float64."""
    rows = torch.arange(window.top, window.top + window.height, dtype=torch.float64, device=device)
    return rows[:, None], torch.arange(window.left, window.left + window.width, dtype=torch.float64, device=device)


@on_cpu(kernels.read_between)
def read_between(images: Tensor, top: Tensor, left: Tensor, down: Tensor, across: Tensor, inside: Tensor) -> Tensor:
    """Interpolate bilinearly, first across and then down, in doubles, and truncate: Pillow's order.

    Args:
        images: ``(n, H, W, C)`` uint8.
        top: ``(h, w)`` int64: row of the pixel before each place, from -1.
        left: ``(h, w)`` int64: its column.
        down: ``(h, w)`` float64: the way to the next row, 0 to 1.
        across: ``(h, w)`` float64: the way to the next column.
        inside: ``(h, w)`` bool: false where the result is black.

    Returns:
        uint8, ``(n, h, w, C)``. Beyond the border the edge pixel is repeated.
    """
    height, width = images.shape[1:3]
    rows, columns = ([(first + k).clamp(0, side - 1) for k in (0, 1)] for first, side in ((top, height), (left, width)))
    by_row, by_column = down[..., None], across[..., None]
    upper, lower = (_between(images[:, row, columns[0]], images[:, row, columns[1]], by_column) for row in rows)
    return (upper + (lower - upper) * by_row).to(torch.uint8) * inside[..., None]


def _between(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    first = a.double()
    return first + (b.double() - first) * weight


_STEPS = 32
"""Parts of a pixel to which OpenCV 3 and 4 round a source, so that its weights are whole numbers."""


def read_tilted(images: Tensor, degrees: float, window: Window) -> Tensor:
    """Read images as a camera sees them that are turned about both axes by ``degrees``; rounded to whole levels.

    Sources are rounded to 1/32 pixel, as the OpenCV of the published sets did. OpenCV 5 does not, and differs in 6 to
    28 % of the values, by up to 5 levels.
    """
    height, width = images.shape[1:3]
    if images.device.type == "cpu":
        return read_weighted(images, *_kept_tilted_sources(height, width, degrees, window), _STEPS)
    return read_weighted(images, *_tilted_sources(height, width, degrees, window, images.device), _STEPS)


@on_cpu(kernels.read_weighted)
def read_weighted(images: Tensor, row: Tensor, column: Tensor, down: Tensor, across: Tensor, steps: int) -> Tensor:
    """Interpolate bilinearly in whole numbers, and round to the nearest level, halves up. Outside is black.

    Args:
        images: ``(n, H, W, C)`` uint8.
        row: ``(h, w)`` int64: row of the pixel before each place, which may lie outside.
        column: ``(h, w)`` int64: its column.
        down: ``(h, w)`` int64: the way to the next row, in parts of a pixel.
        across: ``(h, w)`` int64: the way to the next column.
        steps: Parts of a pixel.

    Returns:
        uint8, ``(n, h, w, C)``.
    """
    total = torch.full((1,), steps * steps // 2, dtype=torch.int32, device=images.device)
    for y, by_row in ((0, steps - down), (1, down)):
        for x, by_column in ((0, steps - across), (1, across)):
            weight = (by_row * by_column).int()[..., None]
            total = total + _pixels_or_black(images, row + y, column + x).int() * weight
    return (total // (steps * steps)).to(torch.uint8)


def _pixels_or_black(images: Tensor, row: Tensor, column: Tensor) -> Tensor:
    height, width = images.shape[1:3]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return images[:, row.clamp(0, height - 1), column.clamp(0, width - 1)] * inside[..., None]


@kept_within(_KEPT)
def _kept_tilted_sources(
    height: int, width: int, degrees: float, window: Window
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    with torch.inference_mode(False):
        return _tilted_sources(height, width, degrees, window, torch.device("cpu"))


def _tilted_sources(
    height: int, width: int, degrees: float, window: Window, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return rows and columns of the upper left pixels, and the ways to the next ones in 1/32 pixel."""
    back = np.linalg.inv(_tilt(height, width, degrees)).tolist()
    y, x = _places(window, device)
    across, down, depth = (weights[0] * x + weights[1] * y + weights[2] for weights in back)
    # `round` rounds halves to even, as the processor's conversion does that OpenCV uses.
    columns, rows = ((part / depth * _STEPS).round().long() for part in (across, down))
    return rows // _STEPS, columns // _STEPS, rows % _STEPS, columns % _STEPS


def _tilt(height: int, width: int, degrees: float) -> Doubles:
    """Return the perspective map ``(3, 3)`` of homogeneous places (x, y, 1) of an image turned about both axes.

    The image's plane lies as far from the camera as its diagonal is long, and a pixel before the middle.
    """
    turn = math.radians(degrees)
    cos, sin = math.cos(turn), math.sin(turn)
    far = math.hypot(width, height)
    to_middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1], [0, 0, 1]])
    about_y = np.array([[cos, 0, -sin, 0], [0, 1, 0, 0], [sin, 0, cos, 0], [0, 0, 0, 1]])
    about_x = np.array([[1, 0, 0, 0], [0, cos, -sin, 0], [0, sin, cos, 0], [0, 0, 0, 1]])
    away = np.eye(4)
    away[2, 3] = far
    to_frame = np.array([[far, 0, width / 2, 0], [0, far, height / 2, 0], [0, 0, 1, 0]])
    return to_frame @ away @ about_x @ about_y @ to_middle


def _by_pillow(images: Pixels, size: tuple[int, int]) -> Pixels:
    """Kernel of `resized`."""
    out = np.empty((len(images), *size, images.shape[3]), np.uint8)
    for place, image in zip(out, images, strict=True):
        form = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
        place[...] = np.asarray(form.resize(size[::-1], Image.Resampling.BILINEAR)).reshape(place.shape)
    return out


@on_cpu(_by_pillow)
def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize uint8 images ``(n, H, W, C)`` bilinearly to (height, width) as Pillow does: across, then down."""
    down, across = (_resize_taps(old, new) for old, new in zip(images.shape[1:3], size, strict=True))
    return _resize_axis(_resize_axis(images, 2, across), 1, down)


class _Taps(NamedTuple):
    """What the pixels of a resized axis are made of."""

    first: Indices
    """``(new,)``"""
    weights: NDArray[np.int32]
    """``(taps, new)``, in 2^-22, of the first pixel and of those after it."""


@lru_cache(maxsize=64)
def _resize_taps(old: int, new: int) -> _Taps:
    """Return the taps of a triangle as wide as a new pixel, or as an old one if that is wider."""
    ratio = old / new
    reach = max(ratio, 1.0)
    centre = (np.arange(new) + 0.5) * ratio
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + reach + 0.5).astype(np.int64), old)
    pixel = first + np.arange((end - first).max())[:, None]
    weights = np.where(pixel < end, np.maximum(1 - np.abs((pixel - centre + 0.5) * (1 / reach)), 0), 0)
    # Pillow keeps weights with 22 binary digits.
    return _Taps(first, (0.5 + weights / weights.sum(axis=0) * 2**22).astype(np.int32))


def _resize_axis(images: Tensor, axis: int, taps: _Taps) -> Tensor:
    first, weights = (uploaded(part, images.device) for part in taps)
    shape = [-1 if i == axis else 1 for i in range(4)]
    total = torch.full((1,), 1 << 21, dtype=torch.int32, device=images.device)
    for k, weight in enumerate(weights.unbind()):
        place = (first + k).clamp(max=images.shape[axis] - 1)
        total = total + images.index_select(axis, place).int() * weight.view(shape)
    return (total >> 22).to(torch.uint8)
