"""Pixelation and warps on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import compiled, f32, i32, inlined, u8, u16
from ppbench.corruptions.types import Floats, Indices, Pixels


@compiled
def _sums(row: Any, pixels: Any, channels: Any, out: Any) -> None:
    """Sums of so many pixels from each on; where fewer are left, of those."""
    for i in range(row.size):
        out[i] = row[i]
    for k in range(1, pixels):
        shifted = row[k * channels :]
        for i in range(shifted.size):
            out[i] += shifted[i]


@compiled
def _shrink_rows(image: Any, channels: Any, first: Any, count: Any, weight: Any, out: Any) -> None:
    least, most = count.min(), count.max()
    size = image.shape[1]
    sums = np.empty((most - least + 1) * size, u16)
    place, factor = np.empty(out.shape[1], np.uint32), np.empty(out.shape[1], i32)
    for i in range(place.size):
        x = i // channels
        place[i] = (count[x] - least) * size + first[x] * channels + i % channels
        factor[i] = weight[x]
    picked = np.empty(place.size, u16)
    for y in range(len(image)):
        # Sums of every length from every pixel on, of which a few are picked below: both loops are vectorised, one that
        # jumps from box to box would not be.
        for pixels in range(least, most + 1):
            _sums(image[y], pixels, channels, sums[(pixels - least) * size : (pixels - least + 1) * size])
        for i in range(place.size):
            picked[i] = sums[place[i]]
        for i in range(place.size):
            out[y, i] = u8(i32(i32(picked[i]) * factor[i] + i32(1 << 21)) >> i32(22))


@compiled
def _shrink_columns(image: Any, first: Any, count: Any, weight: Any, out: Any) -> None:
    total = np.empty(out.shape[1], u16)
    for y in range(len(out)):
        total[:] = image[first[y]]
        for k in range(1, count[y]):
            row = image[first[y] + k]
            for i in range(total.size):
                total[i] += row[i]
        for i in range(total.size):
            out[y, i] = u8(i32(i32(total[i]) * weight[y] + i32(1 << 21)) >> i32(22))


@compiled
def _repeat(small: Any, channels: Any, rows: Any, columns: Any, out: Any) -> None:
    for y in range(len(rows)):
        if y and rows[y] == rows[y - 1]:
            out[y] = out[y - 1]
            continue
        row, line = small[rows[y]], out[y]
        if channels == 3:
            for x in range(columns.size):
                p = columns[x] * 3
                line[3 * x], line[3 * x + 1], line[3 * x + 2] = row[p], row[p + 1], row[p + 2]
        else:
            for x in range(columns.size):
                line[x] = row[columns[x]]


@compiled
def _enlarge(images: Any, channels: Any, rows: Any, columns: Any, out: Any) -> None:
    for n in range(len(images)):
        _repeat(images[n], channels, rows, columns, out[n])


@compiled
def _shrink(
    images: Any, channels: Any, first: Any, count: Any, weight: Any, left: Any, wide: Any, weights: Any, out: Any
) -> None:
    lines = np.empty((images.shape[1], out.shape[2]), u8)
    for n in range(len(images)):
        # Across first, rounded to bytes, then down: the order of Pillow.
        _shrink_rows(images[n], channels, left, wide, weights, lines)
        _shrink_columns(lines, first, count, weight, out[n])


def shrink(images: Pixels, rows: tuple[Any, ...], columns: tuple[Any, ...]) -> Pixels:
    """Kernel of `ppbench.corruptions.digital.shrink`."""
    n, height, _, channels = images.shape
    out = np.empty((n, len(rows[0]), len(columns[0]), channels), u8)
    _shrink(images.reshape(n, height, -1), channels, *rows, *columns, out.reshape(n, len(rows[0]), -1))
    return out


def enlarge(images: Pixels, rows: Indices, columns: Indices) -> Pixels:
    """Kernel of `ppbench.corruptions.digital.enlarge`."""
    n, height, _, channels = images.shape
    out = np.empty((n, len(rows), len(columns), channels), u8)
    _enlarge(images.reshape(n, height, -1), channels, rows, columns, out.reshape(n, len(rows), -1))
    return out


@inlined
def _mirrored(place: Any, size: Any) -> Any:
    last = f32(size - 1)
    place = abs(place)
    # By the reciprocal, as in the torch function, so that both round alike.
    place = place - f32(2) * last * np.floor(place * f32(1 / (2 * (size - 1))))
    return min(max(last - abs(last - place), f32(0)), last)


@inlined
def _reflected(place: Any, size: Any) -> Any:
    side = f32(size)
    place = abs(place + f32(0.5))
    place = place - f32(2) * side * np.floor(place * f32(1 / (2 * size)))
    return min(max(side - abs(side - place) - f32(0.5), f32(0)), f32(size - 1))


@inlined
def _between(a: Any, b: Any, weight: Any) -> Any:
    return a + (b - a) * weight


@inlined
def _bilinear(flat: Any, p: Any, step: Any, stride: Any, right: Any, below: Any) -> Any:
    """Between four values: that at ``p``, and those to its right and below it."""
    upper = _between(f32(flat[p]), f32(flat[p + step]), right)
    lower = _between(f32(flat[p + stride]), f32(flat[p + stride + step]), right)
    return _between(upper, lower, below)


@compiled
def _sample_row(image: Any, channels: Any, across: Any, down: Any, place: Any, line: Any) -> None:
    """A line of values between pixels, at coordinates ``across`` and ``down``; these are overwritten."""
    height, stride = image.shape
    width = stride // channels
    for x in range(across.size):
        left, top = min(i32(across[x]), i32(width - 2)), min(i32(down[x]), i32(height - 2))
        across[x] -= f32(left)
        down[x] -= f32(top)
        # Unsigned, because numba lets signed indices count from the end and tests each of them for it.
        place[x] = np.uint32(top * stride + left * channels)
    flat, wide = image.ravel(), np.uint32(stride)
    if channels == 3:
        for x in range(across.size):
            p, right, below = place[x], across[x], down[x]
            line[3 * x] = _bilinear(flat, p, np.uint32(3), wide, right, below)
            line[3 * x + 1] = _bilinear(flat, p + np.uint32(1), np.uint32(3), wide, right, below)
            line[3 * x + 2] = _bilinear(flat, p + np.uint32(2), np.uint32(3), wide, right, below)
    else:
        for x in range(across.size):
            line[x] = _bilinear(flat, place[x], np.uint32(1), wide, across[x], down[x])


@compiled
def _affine(images: Any, channels: Any, maps: Any, out: Any) -> None:
    height, width = images.shape[1], images.shape[2] // channels
    across, down, place = np.empty(width, f32), np.empty(width, f32), np.empty(width, np.uint32)
    for n in range(len(images)):
        m = maps[n]
        for y in range(height):
            first, second = m[0, 1] * f32(y) + m[0, 2], m[1, 1] * f32(y) + m[1, 2]
            for x in range(width):
                across[x] = _mirrored(m[0, 0] * f32(x) + first, width)
                down[x] = _mirrored(m[1, 0] * f32(x) + second, height)
            _sample_row(images[n], channels, across, down, place, out[n, y])


def affine(images: Pixels, maps: Floats) -> Floats:
    """Kernel of `ppbench.corruptions.digital.affine`."""
    out = np.empty(images.shape, f32)
    lines = (*images.shape[:2], -1)
    _affine(images.astype(f32).reshape(lines), images.shape[3], maps, out.reshape(lines))
    return out


@compiled
def _displace(images: Any, channels: Any, right: Any, below: Any, scale: Any, out: Any) -> None:
    height, width = images.shape[1], images.shape[2] // channels
    across, down, place = np.empty(width, f32), np.empty(width, f32), np.empty(width, np.uint32)
    line = np.empty(images.shape[2], f32)
    for n in range(len(images)):
        for y in range(height):
            dx, dy = right[n, y], below[n, y]
            for x in range(width):
                across[x] = _reflected(scale * dx[x] + f32(x), width)
                down[x] = _reflected(scale * dy[x] + f32(y), height)
            _sample_row(images[n], channels, across, down, place, line)
            for i in range(line.size):
                out[n, y, i] = u8(i32(line[i]))


def displace(x: Pixels | Floats, right: Floats, down: Floats, scale: float) -> Pixels:
    """Kernel of `ppbench.corruptions.digital.displace`."""
    out = np.empty(x.shape, u8)
    lines = (*x.shape[:2], -1)
    _displace(x.astype(f32, copy=False).reshape(lines), x.shape[3], right, down, f32(scale), out.reshape(lines))
    return out
