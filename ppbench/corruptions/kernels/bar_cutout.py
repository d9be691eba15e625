"""Grey squares and grey lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.kernels import compiled, f64, i32, u8
from ppbench.corruptions.types import Doubles, Indices, Pixels


@compiled
def _cut_line(row: Any, mask: Any, grey: Any, out: Any) -> None:
    """``out`` = the row, or grey in pixels where ``mask`` is 255 and not 0."""
    kept = u8(255)
    if row.size == 3 * mask.size:
        for w in range(mask.size):
            cut, left = mask[w] & grey, mask[w] ^ kept
            out[3 * w] = (row[3 * w] & left) | cut
            out[3 * w + 1] = (row[3 * w + 1] & left) | cut
            out[3 * w + 2] = (row[3 * w + 2] & left) | cut
    else:
        for w in range(mask.size):
            out[w] = (row[w] & (mask[w] ^ kept)) | (mask[w] & grey)


@compiled
def _cut_squares(
    images: Any, sines: Any, cosines: Any, cell: Any, chosen: Any, counts: Any, grey: Any, places: Any, mask: Any,
    out: Any,
) -> None:  # fmt: skip
    rows, columns, odd = places[0], places[1], places[2]
    for n in range(images.shape[0]):
        sine, cosine, count, size = sines[n], cosines[n], counts[n], cell[n]
        for i in range(images.shape[1]):
            for j in range(mask.size):
                y, x = (cosine * f64(i) + sine * f64(j)) / size, (cosine * f64(j) - sine * f64(i)) / size
                rows[j], columns[j] = i32(y), i32(x)
                odd[j] = (i32(np.floor(y)) + i32(np.floor(x))) & 1
            for j in range(mask.size):
                row, column = rows[j], columns[j]
                row = row + count if row < 0 else row
                column = column + count if column < 0 else column
                if row >= count or column >= count or row < 0 or column < 0:
                    row, column = row % count, column % count
                mask[j] = u8(255) if odd[j] == 0 and chosen[n, row, column] else u8(0)
            _cut_line(images[n, i], mask, grey, out[n, i])


def cut_squares(
    images: Pixels, angle: Doubles, cell: Doubles, chosen: NDArray[np.bool_], counts: Indices, grey: int
) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.cutout.cut_squares`."""
    n, height, width, channels = images.shape
    shape, out = (n, height, width * channels), np.empty_like(images)
    room = np.empty((3, width), np.int32), np.empty(width, np.uint8)
    sines, cosines, sizes = np.sin(angle), np.cos(angle), counts.astype(np.int32)
    _cut_squares(images.reshape(shape), sines, cosines, cell, chosen, sizes, u8(grey), *room, out.reshape(shape))
    return out


@compiled
def _cover(y0: int, x0: int, y1: int, x1: int, coverage: Any) -> None:
    """Draw an anti-aliased line by Zingl's error term, the distance of a pixel from the line times its length."""
    height, width = coverage.shape
    dx, dy = abs(x1 - x0), abs(y1 - y0)
    right, down = 1 if x0 < x1 else -1, 1 if y0 < y1 else -1
    length = f64(1) if dx + dy == 0 else np.sqrt(f64(dx * dx + dy * dy))
    error, x, y = dx - dy, x0, y0
    while True:
        if 0 <= x < width and 0 <= y < height:
            coverage[y, x] = f64(1) - f64(abs(error - dx + dy)) / length
        before, column = error, x
        if 2 * before >= -dx:
            if x == x1:
                break
            if f64(before + dy) < length and 0 <= x < width and 0 <= y + down < height:
                coverage[y + down, x] = f64(1) - f64(abs(before + dy)) / length
            error -= dy
            x += right
        if 2 * before <= dy:
            if y == y1:
                break
            if f64(dx - before) < length and 0 <= column + right < width and 0 <= y < height:
                coverage[y, column + right] = f64(1) - f64(abs(dx - before)) / length
            error += dx
            y += down


def line_coverage(ends: Indices, height: int, width: int) -> Doubles:
    """Return how far lines cover the pixels, 0 to 1: ``(n, height, width)``.

    Args:
        ends: ``(n, 4)``: row and column of the first pixel, then of the last.
        height: In pixels.
        width: In pixels.
    """
    coverage = np.zeros((len(ends), height, width))
    for place, (y0, x0, y1, x1) in enumerate(ends.tolist()):
        _cover(y0, x0, y1, x1, coverage[place])
    return coverage


@compiled
def _blend_line(image: Any, coverage: Any, ends: Any, grey: Any) -> None:
    """Blend along a line, in a frame around it, and clear its coverage."""
    height, width = coverage.shape
    for y in range(max(min(ends[0], ends[2]) - 1, 0), min(max(ends[0], ends[2]) + 2, height)):
        for x in range(max(min(ends[1], ends[3]) - 1, 0), min(max(ends[1], ends[3]) + 2, width)):
            part = coverage[y, x]
            if part > f64(0):
                for c in range(image.shape[2]):
                    image[y, x, c] = u8(i32((f64(1) - part) * f64(image[y, x, c]) + part * grey))
                coverage[y, x] = f64(0)


@compiled
def _draw_lines(images: Any, ends: Any, grey: Any, coverage: Any) -> None:
    for n in range(images.shape[0]):
        for k in range(ends.shape[1]):
            _cover(ends[n, k, 0], ends[n, k, 1], ends[n, k, 2], ends[n, k, 3], coverage)
            _blend_line(images[n], coverage, ends[n, k], grey)


def draw_lines(images: Pixels, ends: Indices, grey: int) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.cutout.draw_lines`."""
    out = images.copy()
    _draw_lines(out, ends, f64(grey), np.zeros(images.shape[1:3]))
    return out
