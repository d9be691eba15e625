"""The frame that is cut from an image, and reading an image at other places than its own pixels.

Two ways of reading are needed, because the published scripts use two libraries: `read_affine` is Pillow's affine
transform, and `read_tilted` OpenCV's perspective one. Both work on uint8 ``(n, H, W, C)`` and leave black what lies
outside the image.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions.dispatch import on_cpu
from ppbench.corruptions.kernels import views as kernels
from ppbench.corruptions.types import Doubles, Indices


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


def read_affine(images: Tensor, matrix: Affine, window: Window) -> Tensor:
    """Read images at the sources of a window's pixels."""
    return read_between(images, *_affine_sources(images.shape[1], images.shape[2], matrix, window))


@lru_cache(maxsize=128)
def _affine_sources(
    height: int, width: int, matrix: Affine, window: Window
) -> tuple[Indices, Indices, Doubles, Doubles, Indices]:
    """Return the arguments of `read_between` but for the images.

    Half a pixel is added twice: to the pixel, for its centre, and to the middle of the image. The second half is an
    error of torchvision up to 0.7. It moves the source by ``0.5 (1 - 1 / factor)`` pixels.
    """
    a, b, c, d = matrix
    middle_y, middle_x = height / 2 + 0.5, width / 2 + 0.5
    y = np.arange(window.top, window.top + window.height)[:, None] + 0.5
    x = np.arange(window.left, window.left + window.width) + 0.5
    # The order of torchvision and Pillow, whose last bits decide about whole levels.
    source_x = a * x + b * y + (a * -middle_x + b * -middle_y + middle_x)
    source_y = c * x + d * y + (c * -middle_x + d * -middle_y + middle_y)
    inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
    # Floor, also below 0: within half a pixel of the border both neighbours are the edge pixel.
    left, top = np.floor(source_x - 0.5), np.floor(source_y - 0.5)
    across, down = source_x - 0.5 - left, source_y - 0.5 - top
    return top.astype(np.int64), left.astype(np.int64), down, across, inside.astype(np.int64)


@on_cpu(kernels.read_between)
def read_between(
    images: Tensor, top: Indices, left: Indices, down: Doubles, across: Doubles, inside: Indices
) -> Tensor:
    """Interpolate bilinearly, first across and then down, in doubles, and truncate: Pillow's order.

    Args:
        images: ``(n, H, W, C)`` uint8.
        top: ``(h, w)``: row of the pixel before each place, from -1.
        left: ``(h, w)``: its column.
        down: ``(h, w)``: the way to the next row, 0 to 1.
        across: ``(h, w)``: the way to the next column.
        inside: ``(h, w)``: 0 where the result is black.

    Returns:
        uint8, ``(n, h, w, C)``. Beyond the border the edge pixel is repeated.
    """
    height, width = images.shape[1:3]
    rows = [torch.from_numpy(np.clip(top + k, 0, height - 1)).to(images.device) for k in (0, 1)]
    columns = [torch.from_numpy(np.clip(left + k, 0, width - 1)).to(images.device) for k in (0, 1)]
    by_row, by_column = (torch.from_numpy(weight).to(images.device)[..., None] for weight in (down, across))
    upper, lower = (_between(images[:, row, columns[0]], images[:, row, columns[1]], by_column) for row in rows)
    levels = (upper + (lower - upper) * by_row).to(torch.uint8)
    return levels * torch.from_numpy(inside).to(images.device, torch.uint8)[..., None]


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
    return read_weighted(images, *_tilted_sources(images.shape[1], images.shape[2], degrees, window), _STEPS)


@on_cpu(kernels.read_weighted)
def read_weighted(images: Tensor, row: Indices, column: Indices, down: Indices, across: Indices, steps: int) -> Tensor:
    """Interpolate bilinearly in whole numbers, and round to the nearest level, halves up. Outside is black.

    Args:
        images: ``(n, H, W, C)`` uint8.
        row: ``(h, w)``: row of the pixel before each place, which may lie outside.
        column: ``(h, w)``: its column.
        down: ``(h, w)``: the way to the next row, in parts of a pixel.
        across: ``(h, w)``: the way to the next column.
        steps: Parts of a pixel.

    Returns:
        uint8, ``(n, h, w, C)``.
    """
    total = torch.full((1,), steps * steps // 2, dtype=torch.int32, device=images.device)
    for y, by_row in ((0, steps - down), (1, down)):
        for x, by_column in ((0, steps - across), (1, across)):
            weight = torch.from_numpy((by_row * by_column).astype(np.int32)).to(images.device)[..., None]
            total = total + _pixels_or_black(images, row + y, column + x).int() * weight
    return (total // (steps * steps)).to(torch.uint8)


def _pixels_or_black(images: Tensor, row: Indices, column: Indices) -> Tensor:
    height, width = images.shape[1:3]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    rows, columns = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
    pixels = images[:, torch.from_numpy(rows).to(images.device), torch.from_numpy(columns).to(images.device)]
    return pixels * torch.from_numpy(inside).to(images.device)[..., None]


@lru_cache(maxsize=128)
def _tilted_sources(
    height: int, width: int, degrees: float, window: Window
) -> tuple[Indices, Indices, Indices, Indices]:
    """Return rows and columns of the upper left pixels, and the ways to the next ones in 1/32 pixel."""
    back = np.linalg.inv(_tilt(height, width, degrees))
    y = np.arange(window.top, window.top + window.height)[:, None]
    x = np.arange(window.left, window.left + window.width)
    across, down, depth = (back[k, 0] * x + back[k, 1] * y + back[k, 2] for k in range(3))
    # `rint` rounds halves to even, as the processor's conversion does that OpenCV uses.
    columns, rows = (np.rint(part / depth * _STEPS).astype(np.int64) for part in (across, down))
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
