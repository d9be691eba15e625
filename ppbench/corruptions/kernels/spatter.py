"""Spatter on the CPU: the surface of the water by OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import compiled, f32, f64, i32, u8, u32
from ppbench.corruptions.opencv import opencv
from ppbench.corruptions.types import Doubles, Floats, Pixels


@compiled
def _cover(image: Any, thickness: Any, colour: Any, out: Any) -> None:
    red, green, blue = colour[0], colour[1], colour[2]
    for i in range(thickness.size):
        m = thickness[i]
        r, g, b = f32(image[3 * i]), f32(image[3 * i + 1]), f32(image[3 * i + 2])
        rest = f32(1) - m
        out[3 * i] = u8(i32((f64(r / f32(255) * rest) + f64(m) * red) * 255))
        out[3 * i + 1] = u8(i32((f64(g / f32(255) * rest) + f64(m) * green) * 255))
        out[3 * i + 2] = u8(i32((f64(b / f32(255) * rest) + f64(m) * blue) * 255))


def cover(images: Pixels, thickness: Floats, colour: Doubles) -> Pixels:
    """Kernel of `ppbench.corruptions.spatter.cover`."""
    out = np.empty_like(images)
    _cover(images.ravel(), thickness.ravel(), colour, out.ravel())
    return out


@compiled
def _brighten(images: Any, levels: Any, shine: Any, opacity: Any, colour: Any, light: Any, out: Any) -> None:
    red, green, blue = colour[0], colour[1], colour[2]
    for n in range(len(images)):
        for i in range(light.size):
            light[i] = f32(levels[n, i]) * f32(shine[n, i])
        most = f32(1)
        for i in range(light.size):
            most = max(most, light[i])
        image, line = images[n], out[n]
        for i in range(light.size):
            m = light[i] / most * opacity
            r, g, b = f32(image[3 * i]), f32(image[3 * i + 1]), f32(image[3 * i + 2])
            line[3 * i] = u8(i32(min(r / f32(255) + m * red, f32(1)) * f32(255)))
            line[3 * i + 1] = u8(i32(min(g / f32(255) + m * green, f32(1)) * f32(255)))
            line[3 * i + 2] = u8(i32(min(b / f32(255) + m * blue, f32(1)) * f32(255)))


def brighten(images: Pixels, levels: Pixels, shine: Pixels, opacity: float, colour: Floats) -> Pixels:
    """Kernel of `ppbench.corruptions.spatter.brighten`."""
    out = np.empty_like(images)
    n, pixels = len(images), levels[0].size
    light = np.empty(pixels, f32)
    flat = (array.reshape(n, -1) for array in (images, levels, shine))
    _brighten(*flat, f32(opacity), colour, light, out.reshape(n, -1))
    return out


_STRAIGHT, _DIAGONAL, _KNIGHT, _LIMIT = i32(10000), i32(14000), i32(21969), i32(200000)


@compiled
def _step_down(line: Any, near: Any, far: Any) -> None:
    """Shorten distances by way of the row beside, ``near``, and the one after it; all with two pixels of margin."""
    for x in range(line.size - 4):
        straight, diagonal = near[x + 2] + _STRAIGHT, min(near[x + 1], near[x + 3]) + _DIAGONAL
        knight = min(min(near[x], near[x + 4]), min(far[x + 1], far[x + 3])) + _KNIGHT
        line[x + 2] = min(min(line[x + 2], i32(straight)), min(i32(diagonal), i32(knight)))


@compiled
def _step_across(line: Any) -> None:
    """Shorten distances by way of the pixel before."""
    distance = line[2]
    for x in range(3, line.size - 2):
        distance = min(line[x], i32(distance + _STRAIGHT))
        line[x] = distance


@compiled
def _means(work: Any, out: Any) -> None:
    """Means of 3 x 3, in whole pixels; beyond the border the image is mirrored, without its edge."""
    height, width = out.shape
    work[1], work[height + 2] = work[3], work[height]
    work[:, 1], work[:, width + 2] = work[:, 3], work[:, width]
    for y in range(height):
        a, b, c, line = work[y + 1], work[y + 2], work[y + 3], out[y]
        for x in range(width):
            total = (a[x + 1] + a[x + 2] + a[x + 3]) + (b[x + 1] + b[x + 2] + b[x + 3])
            line[x] = u8(u32(total + c[x + 1] + c[x + 2] + c[x + 3]) // u32(90000))


@compiled
def _mean_distances(edges: Any, work: Any, out: Any) -> None:
    """Means of `ppbench.corruptions.spatter.distances`; these by two passes, there and back.

    ``work`` is int32, with two more rows and columns on all sides.
    """
    height, width = edges.shape
    work[:] = _LIMIT
    for y in range(height):
        line, marks = work[y + 2], edges[y]
        for x in range(width):
            line[x + 2] = i32(0) if marks[x] else _LIMIT
        _step_down(line, work[y + 1], work[y])
        _step_across(line)
    # The second pass finds the paths that come from below and from the right.
    for y in range(height - 1, -1, -1):
        line = work[y + 2]
        _step_down(line, work[y + 3], work[y + 4])
        _step_across(line[::-1])
    _means(work, out)


_RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


def shine(levels: Pixels) -> Pixels:
    """Kernel of `ppbench.corruptions.spatter.shine`."""
    cv2 = opencv()
    out = np.empty_like(levels)
    mean = np.empty(levels.shape[1:], u8)
    work = np.empty((levels.shape[1] + 4, levels.shape[2] + 4), i32)
    for level, made in zip(levels, out, strict=True):
        # Not OpenCV's distance: that is rounded in one way or another, which depends on the machine it was built for.
        _mean_distances(cv2.Canny(level, 50, 150), work, mean)
        cv2.blur(cv2.filter2D(cv2.equalizeHist(mean), cv2.CV_8U, _RELIEF), (3, 3), dst=made)
    return out
