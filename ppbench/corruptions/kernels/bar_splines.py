"""Images between their pixels by cubic splines, summed in the order of the taps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import compiled, f32, f64, i32, i64, inlined, u8
from ppbench.corruptions.types import Doubles, Floats, Indices, Pixels


@inlined
def mirrored(place: Any, side: Any) -> Any:
    """The pixel at a place beyond the border; the edge pixel is not repeated."""
    place = abs(place)
    return 2 * (side - 1) - place if place >= side else place


@compiled
def _spline_taps(place: Any, side: int, taps: Any, weights: Any) -> None:
    first = i64(np.floor(place))
    y = place - f64(first)
    z = f64(1) - y
    weights[1] = (y * y * (y - f64(2)) * f64(3) + f64(4)) / f64(6)
    weights[2] = (z * z * (z - f64(2)) * f64(3) + f64(4)) / f64(6)
    weights[0] = z * z * z / f64(6)
    weights[3] = f64(1) - weights[0] - weights[1] - weights[2]
    for k in range(4):
        taps[k] = mirrored(first - 1 + k, side)


@compiled
def _add_turned(
    splines: Any, sine: Any, cosine: Any, weight: Any, rows: Any, down: Any, columns: Any, across: Any, total: Any
) -> None:
    """Add one rotation of an image, each value rounded to float32 as scipy returns it."""
    height, width, channels = splines.shape
    y0, x0 = f64(height - 1) / f64(2), f64(width - 1) / f64(2)
    off_y, off_x = y0 - (cosine * y0 + sine * x0), x0 - (cosine * x0 - sine * y0)
    for h in range(height):
        for w in range(width):
            y = cosine * f64(h) + sine * f64(w) + off_y
            x = -sine * f64(h) + cosine * f64(w) + off_x
            if y < f64(0) or y > f64(height - 1) or x < f64(0) or x > f64(width - 1):
                continue
            _spline_taps(y, height, rows, down)
            _spline_taps(x, width, columns, across)
            for c in range(channels):
                value = f64(0)
                for i in range(4):
                    line, part = splines[rows[i]], down[i]
                    for j in range(4):
                        value += line[columns[j], c] * part * across[j]
                total[h, w, c] += weight * f32(value)


@compiled
def _mean_of_turned(splines: Any, sines: Any, cosines: Any, weights: Any, whole: Any, total: Any, out: Any) -> None:
    rows, columns, down, across = np.empty(4, i64), np.empty(4, i64), np.empty(4), np.empty(4)
    for n in range(splines.shape[0]):
        total[:] = f32(0)
        for k in range(weights.size):
            _add_turned(splines[n], sines[k], cosines[k], weights[k], rows, down, columns, across, total)
        for h in range(total.shape[0]):
            for w in range(total.shape[1]):
                for c in range(total.shape[2]):
                    out[n, h, w, c] = u8(i32(min(max(total[h, w, c] / whole, f32(0)), f32(255))))


def mean_of_turned(splines: Doubles, sines: Doubles, cosines: Doubles, weights: Floats, whole: np.float32) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.turning.mean_of_turned`."""
    out, total = np.empty(splines.shape, np.uint8), np.empty(splines.shape[1:], np.float32)
    _mean_of_turned(splines, sines, cosines, weights, f32(whole), total, out)
    return out


@compiled
def _zoom_channels(
    images: Any, order: Any, rows: Any, down: Any, columns: Any, across: Any, lines: Any, out: Any
) -> None:
    width = images.shape[2]
    for n in range(images.shape[0]):
        for c in range(3):
            k = order[n, c]
            for h in range(images.shape[1]):
                for i in range(4):
                    row, line, weight = images[n, rows[k, h, i]], lines[i], down[k, h, i]
                    for w in range(width):
                        line[w] = f64(row[w, c]) * weight
                made = out[n, h]
                for w in range(width):
                    a, b, d, e = columns[k, w, 0], columns[k, w, 1], columns[k, w, 2], columns[k, w, 3]
                    p, q, r, s = across[k, w, 0], across[k, w, 1], across[k, w, 2], across[k, w, 3]
                    value = f64(0)
                    for i in range(4):
                        line = lines[i]
                        value = value + line[a] * p + line[b] * q + line[d] * r + line[e] * s
                    made[w, c] = u8(i32(value + f64(0.5)))


def zoom_channels(
    images: Pixels, order: Indices, rows: Indices, down: Doubles, columns: Indices, across: Doubles
) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.turning.zoom_channels`."""
    out = np.empty_like(images)
    _zoom_channels(images, order, rows, down, columns, across, np.empty((4, images.shape[2])), out)
    return out
