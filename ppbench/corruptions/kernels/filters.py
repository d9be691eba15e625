"""Filters on the CPU.

A row of an image is taken as one line of ``W * C`` values: what lies k pixels to the right lies ``k * C`` values
further on, so that all loops run over contiguous lines and are vectorised.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ppbench.corruptions.kernels import compiled, inlined

f32, i64 = np.float32, np.int64

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]


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
    line = np.empty(width * channels, x.dtype)
    padded = np.empty(columns.size * channels, x.dtype)
    lines = (n, height, width * channels)
    _smooth(x.reshape(lines), channels, rows, columns, down, across, padded, line, out.reshape(lines))
    return out


def multiply(x: Floats, down: Floats, across: Floats) -> Floats:
    """Kernel of `ppbench.corruptions.filters.multiply`; each plane apart, so that a batch rounds as its images alone.

    By torch: numpy's threads wait for each other for long where another process has a core.
    """
    planes = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, 3, 1)))
    left, right = torch.from_numpy(down), torch.from_numpy(across).T
    made = torch.stack([torch.mm(torch.mm(left, plane), right) for plane in planes.flatten(0, 1)])
    return np.ascontiguousarray(np.moveaxis(made.view(planes.shape).numpy(), 1, 3))


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
    padded = np.empty((height, (width + 2 * margin) * channels), np.float32)
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
