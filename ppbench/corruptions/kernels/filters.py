"""Filters on the CPU.

A row of an image is taken as one line of ``W * C`` values: what lies k pixels to the right lies ``k * C`` values
further on, so that all loops run over contiguous lines and are vectorised.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import compiled, inlined
from ppbench.corruptions.types import Doubles, Floats, Indices


@inlined
def start(line: Any, a: Any, weight: Any) -> None:
    """``line = weight * a``."""
    for i in range(line.size):
        line[i] = weight * a[i]


@inlined
def add_line(line: Any, a: Any, weight: Any) -> None:
    """``line += weight * a``."""
    for i in range(line.size):
        line[i] += weight * a[i]


@inlined
def add_two(line: Any, a: Any, b: Any, weight: Any) -> None:
    """``line += weight * (a + b)``."""
    for i in range(line.size):
        line[i] += weight * (a[i] + b[i])


@inlined
def add_four(line: Any, a: Any, b: Any, c: Any, d: Any, wa: Any, wb: Any, wc: Any, wd: Any) -> None:
    """``line += wa * a + wb * b + wc * c + wd * d``; four at once spare loads and stores of ``line``."""
    for i in range(line.size):
        line[i] += (wa * a[i] + wb * b[i]) + (wc * c[i] + wd * d[i])


@inlined
def add_four_pairs(
    line: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, wa: Any, wc: Any, we: Any, wg: Any
) -> None:
    """``line += wa * (a + b) + wc * (c + d) + we * (e + f) + wg * (g + h)``."""
    for i in range(line.size):
        line[i] += (wa * (a[i] + b[i]) + wc * (c[i] + d[i])) + (we * (e[i] + f[i]) + wg * (g[i] + h[i]))


@inlined
def smooth_down(image: Any, rows: Any, h: Any, weights: Any, line: Any) -> None:
    """``line`` = row h of an image of lines, smoothed along the columns.

    ``rows[radius + h + k]`` is the row that stands k below h, ``weights[k]`` its weight and that of the one k above.
    """
    radius = weights.size - 1
    here = h + radius
    start(line, image[rows[here]], weights[0])
    # Four distances at once, of which each is a pair of rows; the second loop takes those that are left.
    last = radius // 4 * 4
    for k in range(1, last, 4):
        add_four_pairs(
            line,
            image[rows[here - k]],
            image[rows[here + k]],
            image[rows[here - k - 1]],
            image[rows[here + k + 1]],
            image[rows[here - k - 2]],
            image[rows[here + k + 2]],
            image[rows[here - k - 3]],
            image[rows[here + k + 3]],
            weights[k],
            weights[k + 1],
            weights[k + 2],
            weights[k + 3],
        )
    for k in range(last + 1, radius + 1):
        add_two(line, image[rows[here - k]], image[rows[here + k]], weights[k])


@inlined
def pad_line(line: Any, columns: Any, channels: Any, padded: Any) -> None:
    """Write ``line`` with margins into ``padded``; ``columns`` are the pixels that stand in it, margins and all."""
    margin = (padded.size - line.size) // (2 * channels)
    for j in range(margin):
        for ch in range(channels):
            padded[j * channels + ch] = line[columns[j] * channels + ch]
    # Between the margins the pixels stand in order, so this is a copy and no gather.
    middle = padded[margin * channels :]
    for i in range(line.size):
        middle[i] = line[i]
    beyond = line.size // channels + margin
    for j in range(beyond, beyond + margin):
        for ch in range(channels):
            padded[j * channels + ch] = line[columns[j] * channels + ch]


@inlined
def smooth_across(padded: Any, channels: Any, weights: Any, line: Any) -> None:
    """``line`` = the line that was padded by the radius, smoothed along itself."""
    radius = weights.size - 1
    start(line, padded[radius * channels :], weights[0])
    last = radius // 4 * 4
    for k in range(1, last, 4):
        add_four_pairs(
            line,
            padded[(radius - k) * channels :],
            padded[(radius + k) * channels :],
            padded[(radius - k - 1) * channels :],
            padded[(radius + k + 1) * channels :],
            padded[(radius - k - 2) * channels :],
            padded[(radius + k + 2) * channels :],
            padded[(radius - k - 3) * channels :],
            padded[(radius + k + 3) * channels :],
            weights[k],
            weights[k + 1],
            weights[k + 2],
            weights[k + 3],
        )
    for k in range(last + 1, radius + 1):
        add_two(line, padded[(radius - k) * channels :], padded[(radius + k) * channels :], weights[k])


@compiled
def _smooth(
    images: Any, channels: Any, rows: Any, columns: Any, down: Any, across: Any, padded: Any, line: Any, out: Any
) -> None:
    for n in range(images.shape[0]):
        for h in range(images.shape[1]):
            smooth_down(images[n], rows, h, down, line)
            pad_line(line, columns, channels, padded)
            smooth_across(padded, channels, across, out[n, h])


def smooth(x: Floats, down: Floats | Doubles, across: Floats | Doubles, rows: Indices, columns: Indices) -> Floats:
    """Kernel of `ppbench.corruptions.filters.smooth`."""
    n, height, width, channels = x.shape
    out = np.empty_like(x)
    # One line for all rows: what a row goes through stays in the cache.
    line = np.empty(width * channels, x.dtype)
    padded = np.empty(columns.size * channels, x.dtype)
    lines = (n, height, width * channels)
    _smooth(x.reshape(lines), channels, rows, columns, down, across, padded, line, out.reshape(lines))
    return out


@inlined
def span(rows: Any) -> Any:
    """From where to where four rows are not nothing: the first column, and the one after the last; multiples of 4."""
    begin, end = 0, rows.shape[1]
    while begin < end and not rows[:, begin : begin + 4].any():
        begin += 4
    while begin < end and not rows[:, end - 4 : end].any():
        end -= 4
    return begin, end


@inlined
def add_products(left: Any, i: Any, right: Any, k: Any, begin: Any, end: Any, out: Any) -> None:
    """Add to rows i to i + 3 of ``out``, from column ``begin`` to ``end``, rows k to k + 3 of ``right``.

    ``left`` has their weights. So many rows at once spare loads and stores.
    """
    a, b, c, d = right[k][begin:end], right[k + 1][begin:end], right[k + 2][begin:end], right[k + 3][begin:end]
    out0, out1, out2, out3 = out[i][begin:end], out[i + 1][begin:end], out[i + 2][begin:end], out[i + 3][begin:end]
    l00, l01, l02, l03 = left[i, k], left[i, k + 1], left[i, k + 2], left[i, k + 3]
    l10, l11, l12, l13 = left[i + 1, k], left[i + 1, k + 1], left[i + 1, k + 2], left[i + 1, k + 3]
    l20, l21, l22, l23 = left[i + 2, k], left[i + 2, k + 1], left[i + 2, k + 2], left[i + 2, k + 3]
    l30, l31, l32, l33 = left[i + 3, k], left[i + 3, k + 1], left[i + 3, k + 2], left[i + 3, k + 3]
    for j in range(a.size):
        x, y, z, t = a[j], b[j], c[j], d[j]
        out0[j] += (l00 * x + l01 * y) + (l02 * z + l03 * t)
        out1[j] += (l10 * x + l11 * y) + (l12 * z + l13 * t)
        out2[j] += (l20 * x + l21 * y) + (l22 * z + l23 * t)
        out3[j] += (l30 * x + l31 * y) + (l32 * z + l33 * t)


@compiled
def _product(left: Any, right: Any, out: Any) -> None:
    """``out = left @ right``, all sides multiples of 4; what is nothing at the ends of rows of either costs nothing."""
    spans = np.empty((right.shape[0], 2), np.int64)
    for k in range(0, right.shape[0], 4):
        spans[k] = span(right[k : k + 4])
    for i in range(0, left.shape[0], 4):
        out[i : i + 4] = 0
        # The matrix of a Gaussian is a band: the rest of each row is exactly 0, and so adds nothing.
        first, last = span(left[i : i + 4])
        for k in range(first, last, 4):
            begin, end = spans[k]
            add_products(left, i, right, k, begin, end, out)


def multiply(x: Floats, down: Floats, across: Floats) -> Floats:
    """Kernel of `ppbench.corruptions.filters.multiply`.

    A library's product would add up in another order on another processor, and with another number of threads.
    """
    height, width = x.shape[1:3]
    planes, left, right = (_to_fours(side) for side in (np.moveaxis(x, 3, 1), down, across.T))
    between, out = np.empty_like(planes[0, 0]), np.empty_like(planes)
    for place in np.ndindex(planes.shape[:2]):
        _product(left, planes[place], between)
        _product(between, right, out[place])
    return np.ascontiguousarray(np.moveaxis(out[..., :height, :width], 1, 3))


def _to_fours(matrices: Floats) -> Floats:
    """With zeros after the last rows and columns, so that the numbers of both are multiples of 4."""
    sides = [side + -side % 4 for side in matrices.shape[-2:]]
    out = np.zeros((*matrices.shape[:-2], *sides), np.float32)
    out[..., : matrices.shape[-2], : matrices.shape[-1]] = matrices
    return out


@inlined
def pad_edges(line: Any, channels: Any, margin: Any, padded: Any) -> None:
    """Write ``line`` into ``padded``, with its first and last pixel repeated ``margin`` times."""
    beyond = margin * channels + line.size
    for ch in range(channels):
        first, last = line[ch], line[line.size - channels + ch]
        for j in range(margin):
            padded[j * channels + ch] = first
            padded[beyond + j * channels + ch] = last
    middle = padded[margin * channels :]
    for i in range(line.size):
        middle[i] = line[i]


@inlined
def drag(padded: Any, h: Any, channels: Any, margin: Any, offsets: Any, weights: Any, line: Any) -> None:
    """``line +=`` row h of the image moved by every offset (down, right), by weight.

    ``padded`` has the image's lines, each with ``margin`` pixels at both ends; rows beyond the image are its last.
    """
    # Rows beyond the image are clamped tap by tap. Columns need no test: the margins hold the longest offset.
    last = padded.shape[0] - 1
    fours = weights.size // 4 * 4
    for k in range(0, fours, 4):
        add_four(
            line,
            padded[min(max(h + offsets[k, 0], 0), last)][(margin + offsets[k, 1]) * channels :],
            padded[min(max(h + offsets[k + 1, 0], 0), last)][(margin + offsets[k + 1, 1]) * channels :],
            padded[min(max(h + offsets[k + 2, 0], 0), last)][(margin + offsets[k + 2, 1]) * channels :],
            padded[min(max(h + offsets[k + 3, 0], 0), last)][(margin + offsets[k + 3, 1]) * channels :],
            weights[k],
            weights[k + 1],
            weights[k + 2],
            weights[k + 3],
        )
    for k in range(fours, weights.size):
        row = padded[min(max(h + offsets[k, 0], 0), last)]
        add_line(line, row[(margin + offsets[k, 1]) * channels :], weights[k])


@compiled
def _trail(images: Any, channels: Any, offsets: Any, counts: Any, weights: Any, padded: Any, out: Any) -> None:
    margin = (padded.shape[1] - images.shape[2]) // (2 * channels)
    for n in range(images.shape[0]):
        # All lines before any sum, since a row takes pixels of rows above and below it.
        for h in range(images.shape[1]):
            pad_edges(images[n, h], channels, margin, padded[h])
        for h in range(images.shape[1]):
            out[n, h][:] = 0
            drag(padded, h, channels, margin, offsets[n], weights[: counts[n]], out[n, h])


def trail(x: Floats, offsets: Indices, counts: Indices, weights: Floats | Doubles) -> Floats:
    """Kernel of `ppbench.corruptions.filters.trail`."""
    n, height, width, channels = x.shape
    lines, margin = (n, height, width * channels), weights.size - 1
    out = np.empty_like(x)
    padded = np.empty((height, (width + 2 * margin) * channels), x.dtype)
    _trail(x.reshape(lines), channels, offsets, counts, weights, padded, out.reshape(lines))
    return out


@inlined
def lerp_rows(image: Any, low: Any, weight: Any, line: Any) -> None:
    """``line`` = between rows ``low`` and ``low + 1`` of an image of lines."""
    a, b = image[low], image[low + 1]
    for i in range(line.size):
        line[i] = a[i] + weight * (b[i] - a[i])


@compiled
def _resample(images: Any, channels: Any, top: Any, down: Any, left: Any, right: Any, line: Any, out: Any) -> None:
    for n in range(images.shape[0]):
        for h in range(out.shape[1]):
            lerp_rows(images[n], top[h], down[h], line)
            row = out[n, h]
            for w in range(left.size):
                for ch in range(channels):
                    a, b = line[left[w] * channels + ch], line[(left[w] + 1) * channels + ch]
                    row[w * channels + ch] = a + right[w] * (b - a)


def resample(x: Floats, top: Indices, down: Floats, left: Indices, right: Floats) -> Floats:
    """Kernel of `ppbench.corruptions.filters.resample`."""
    n, height, width, channels = x.shape
    out = np.empty((n, top.size, left.size, channels), np.float32)
    line = np.empty(width * channels, np.float32)
    lines = out.reshape(n, top.size, left.size * channels)
    _resample(x.reshape(n, height, width * channels), channels, top, down, left, right, line, lines)
    return out
