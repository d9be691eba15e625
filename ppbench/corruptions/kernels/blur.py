"""Blurs on the CPU; lines of ``W * C`` values as in `ppbench.corruptions.kernels.filters`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.axes import zoomed_layers
from ppbench.corruptions.disks import Disk
from ppbench.corruptions.kernels import compiled, f32, i16, i32, inlined, u8, u32, u64
from ppbench.corruptions.kernels.filters import (
    add_four,
    add_line,
    add_two,
    drag,
    lerp_rows,
    pad_edges,
    pad_line,
    smooth_across,
    smooth_down,
    start,
)
from ppbench.corruptions.levels import Ties
from ppbench.corruptions.types import Doubles, Floats, Indices, Pixels


@inlined
def to_floats(line: Any, out: Any) -> None:
    """Whole levels as floating point numbers."""
    for i in range(line.size):
        out[i] = f32(line[i])


@inlined
def to_levels(line: Any, flat: Any, close: Any, near: Any, out: Any) -> None:
    """See `ppbench.corruptions.levels.to_levels`; ``near``, of 8 bytes or a multiple, is for notes.

    Few values are near a whole level, so looking these up one by one costs less than a gather for all.
    """
    # Two plain loops are vectorised; a loop that also looked up the few values near a level would not be.
    for i in range(line.size):
        line[i] = min(max(line[i], f32(0)), f32(255))
        out[i] = u8(i32(line[i]))
    for i in range(line.size):
        near[i] = 1 if abs(line[i] - f32(i32(line[i] + f32(0.5)))) < close else 0
    eights = near.view(u64)
    for j in range(eights.size):
        # Eight notes in one comparison: nearly all are 0.
        if eights[j] != 0:
            for i in range(8 * j, min(8 * j + 8, line.size)):
                if near[i] != 0:
                    out[i] = flat[i32(line[i] + f32(0.5))]


@inlined
def notes_for(line: Any) -> Any:
    """Room for the notes of `to_levels`."""
    return np.zeros((line.size + 7) // 8 * 8, u8)


def _lines(images: Any) -> Any:
    return images.reshape(images.shape[0], images.shape[1], -1)


@compiled
def _smooth_levels(
    images: Any, channels: Any, weights: Any, rows: Any, columns: Any, flat: Any, close: Any, out: Any
) -> None:
    values = np.empty(images.shape[1:], weights.dtype)
    line, result, near = np.empty_like(values[0]), np.empty_like(values[0]), notes_for(values[0])
    padded = np.empty(columns.size * channels, weights.dtype)
    for n in range(images.shape[0]):
        for h in range(images.shape[1]):
            to_floats(images[n, h], values[h])
        # Each row goes through all steps at once, so that its lines stay in the cache.
        for h in range(images.shape[1]):
            smooth_down(values, rows, h, weights, line)
            pad_line(line, columns, channels, padded)
            smooth_across(padded, channels, weights, result)
            to_levels(result, flat, close, near, out[n, h])


def smooth_levels(images: Pixels, weights: Floats | Doubles, rows: Indices, columns: Indices, ties: Ties) -> Pixels:
    """Kernel of `ppbench.corruptions.blur.smooth_levels`."""
    out, close = np.empty_like(images), weights.dtype.type(ties.close)
    _smooth_levels(_lines(images), images.shape[3], weights, rows, columns, ties.flat, close, _lines(out))
    return out


@compiled
def _trail_levels(
    images: Any, channels: Any, offsets: Any, counts: Any, weights: Any, added: Any, flat: Any, close: Any, out: Any
) -> None:
    margin = weights.size - 1
    line = np.empty(images.shape[2], weights.dtype)
    padded, near = np.empty((images.shape[1], line.size + 2 * margin * channels), weights.dtype), notes_for(line)
    for n in range(images.shape[0]):
        for h in range(images.shape[1]):
            to_floats(images[n, h], line)
            pad_edges(line, channels, margin, padded[h])
        for h in range(images.shape[1]):
            line[:] = added
            drag(padded, h, channels, margin, offsets[n], weights[: counts[n]], line)
            to_levels(line, flat, close, near, out[n, h])


def trail_levels(
    images: Pixels, offsets: Indices, counts: Indices, weights: Floats | Doubles, added: float, ties: Ties
) -> Pixels:
    """Kernel of `ppbench.corruptions.blur.trail_levels`."""
    out, close = np.empty_like(images), weights.dtype.type(ties.close)
    _trail_levels(_lines(images), images.shape[3], offsets, counts, weights, added, ties.flat, close, _lines(out))
    return out


@inlined
def add_up(image: Any, channels: Any, rows: Any, columns: Any, padded: Any, sums: Any) -> None:
    """``sums[j]`` = the sum of the padded image's lines 0 to j - 1, modulo 2^16: what a box needs of them is less."""
    sums[0][:] = 0
    for j in range(rows.size):
        pad_line(image[rows[j]], columns, channels, padded[: columns.size * channels])
        before, after = sums[j], sums[j + 1]
        for i in range(after.size):
            after[i] = before[i] + padded[i]


@inlined
def sum_lines(lines: Any, which: Any, weights: Any, out: Any) -> None:
    """``out`` = the weighted sum of some of the lines, at least one; four at once spare loads and stores of ``out``."""
    begin = which.size % 4
    if begin == 0:
        out[:] = 0
    else:
        start(out, lines[which[0]], weights[0])
    for j in range(1, begin):
        add_line(out, lines[which[j]], weights[j])
    for j in range(begin, which.size, 4):
        a, b, c, d = lines[which[j]], lines[which[j + 1]], lines[which[j + 2]], lines[which[j + 3]]
        add_four(out, a, b, c, d, weights[j], weights[j + 1], weights[j + 2], weights[j + 3])


@compiled
def _blur_disk(
    images: Any, channels: Any, first: Any, reaches: Any, weights: Any, rows: Any, columns: Any, flat: Any, close: Any,
    out: Any,
) -> None:  # fmt: skip
    radius = first.size - 2
    padded = np.zeros((columns.size * channels + 63) // 64 * 64, u8)  # whole vectors, which spare loops their ends
    sums = np.empty((rows.size + 1, padded.size), i16)
    boxes = np.empty((radius + 1, padded.size), weights.dtype)
    column, total = np.empty(padded.size, weights.dtype), np.empty(images.shape[2], weights.dtype)
    near = notes_for(total)
    for n in range(images.shape[0]):
        add_up(images[n], channels, rows, columns, padded, sums)
        for h in range(images.shape[1]):
            # Each box is summed once a row, for all columns of the disk that have it.
            for reach in range(radius + 1):
                box, a, b = boxes[reach], sums[h + radius + reach + 1], sums[h + radius - reach]
                for i in range(box.size):
                    # The sums wrap, but their difference is right as long as it is below 2^15: boxes of up to 128
                    # lines.
                    box[i] = f32(i16(a[i] - b[i]))
            total[:] = 0
            for k in range(radius + 1):
                begin, end = first[k], first[k + 1]
                sum_lines(boxes, reaches[begin:end], weights[begin:end], column)
                # The middle column is its own mirror image, and `add_two` adds it twice.
                share = f32(1) if k else f32(0.5)
                add_two(total, column[(radius - k) * channels :], column[(radius + k) * channels :], share)
            to_levels(total, flat, close, near, out[n, h])


def blur_disk(images: Pixels, disk: Disk, rows: Indices, columns: Indices) -> Pixels:
    """Kernel of `ppbench.corruptions.blur.blur_disk`, by running sums down the columns."""
    out, close = np.empty_like(images), disk.weights.dtype.type(disk.ties.close)
    boxes = (disk.first, disk.reaches, disk.weights)
    _blur_disk(_lines(images), images.shape[3], *boxes, rows, columns, disk.ties.flat, close, _lines(out))
    return out


@compiled
def _shuffle(images: Any, words: Any, reach: Any) -> None:
    height, width, channels = images.shape[1:]
    values = u32(2 * reach)
    for n in range(images.shape[0]):
        image = images[n]
        for p in range(words.shape[1]):
            # In place and in this order, which `ppbench.corruptions.blur.shuffle` explains: copies read earlier copies.
            for h in range(height - reach, reach, -1):
                for w in range(width - reach, reach, -1):
                    word = words[n, p, h, w]
                    # The upper half of a product: uniform steps without a division.
                    column = w + i32(((word >> u32(16)) * values) >> u32(16)) - reach
                    row = h + i32(((word & u32(0xFFFF)) * values) >> u32(16)) - reach
                    for ch in range(channels):
                        image[h, w, ch] = image[row, column, ch]


def shuffle(images: Pixels, words: NDArray[np.int32], reach: int) -> Pixels:
    """Kernel of `ppbench.corruptions.blur.shuffle`."""
    out = images.copy()
    _shuffle(out, words.view(np.uint32), reach)
    return out


@inlined
def gather(line: Any, left: Any, right: Any, total: Any) -> None:
    """``total +=`` a line of grey pixels, read at the places of `zoomed_layers`."""
    for w in range(left.size):
        a, b = line[left[w]], line[left[w] + 1]
        total[w] += a + right[w] * (b - a)


@inlined
def gather_colours(line: Any, left: Any, right: Any, total: Any) -> None:
    """The same of pixels of 3 values; unrolled, since numba does not."""
    for w in range(left.size):
        j, k, t = 3 * left[w], 3 * w, right[w]
        a0, a1, a2 = line[j], line[j + 1], line[j + 2]
        b0, b1, b2 = line[j + 3], line[j + 4], line[j + 5]
        total[k] += a0 + t * (b0 - a0)
        total[k + 1] += a1 + t * (b1 - a1)
        total[k + 2] += a2 + t * (b2 - a2)


@compiled
def _mean_of_zooms(
    images: Any, channels: Any, top: Any, down: Any, left: Any, right: Any, flat: Any, close: Any, out: Any
) -> None:
    layers = left.shape[0]
    values = np.empty(images.shape[1:], f32)
    total, line, near = np.empty_like(values[0]), np.empty_like(values[0]), notes_for(values[0])
    share = f32(1 / (layers + 1))
    for n in range(images.shape[0]):
        for h in range(images.shape[1]):
            to_floats(images[n, h], values[h])
        for h in range(images.shape[1]):
            total[:] = values[h]
            for k in range(layers):
                lerp_rows(values, top[k, h], down[k, h], line)
                if channels == 3:
                    gather_colours(line, left[k], right[k], total)
                else:
                    gather(line, left[k], right[k], total)
            for i in range(total.size):
                total[i] *= share
            to_levels(total, flat, close, near, out[n, h])


def mean_of_zooms(images: Pixels, factors: tuple[float, ...], trim: bool, ties: Ties) -> Pixels:
    """Kernel of `ppbench.corruptions.blur.mean_of_zooms`."""
    out = np.empty_like(images)
    layers = zoomed_layers(images.shape[1], images.shape[2], factors, trim)
    close = np.float32(ties.close)
    _mean_of_zooms(_lines(images), images.shape[3], *layers, ties.flat, close, _lines(out))
    return out
