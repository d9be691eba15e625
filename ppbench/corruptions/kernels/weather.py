"""Weather on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import compiled, f32, f64, i32, inlined, u8
from ppbench.corruptions.types import Doubles, Floats, Indices, Pixels

RED_SHARE, GREEN_SHARE, BLUE_SHARE = (float(f32(weight)) for weight in (0.299, 0.587, 0.114))
"""Weights of luma (ITU-R 601), rounded to float32."""


@inlined
def _middles(coarse: Any, drawn: Any, amplitude: Any, middles: Any) -> None:
    """``middles`` = the middles of the squares between the cells of ``coarse``, both ``(m, m)``."""
    last = coarse.shape[0] - 1
    for i in range(last + 1):
        a, b, line, u = coarse[i], coarse[0 if i == last else i + 1], middles[i], drawn[2 * i + 1]
        for j in range(last):
            line[j] = ((a[j] + b[j]) + (a[j + 1] + b[j + 1])) * f32(0.25) + u[2 * j + 1] * amplitude
        line[last] = ((a[last] + b[last]) + (a[0] + b[0])) * f32(0.25) + u[2 * last + 1] * amplitude


@inlined
def _refine(coarse: Any, drawn: Any, amplitude: Any, middles: Any, fine: Any) -> None:
    """``fine`` ``(2 m, 2 m)`` = the cells of ``coarse``, the middles of their squares and those of their edges."""
    last = coarse.shape[0] - 1
    for i in range(last + 1):
        a, b = coarse[i], coarse[0 if i == last else i + 1]
        over, here = middles[last if i == 0 else i - 1], middles[i]
        u, line = drawn[2 * i], fine[2 * i]
        for j in range(last):
            line[2 * j] = a[j]
            line[2 * j + 1] = ((here[j] + over[j]) + (a[j] + a[j + 1])) * f32(0.25) + u[2 * j + 1] * amplitude
        line[2 * last] = a[last]
        edge = (here[last] + over[last]) + (a[last] + a[0])
        line[2 * last + 1] = edge * f32(0.25) + u[2 * last + 1] * amplitude
        u, line = drawn[2 * i + 1], fine[2 * i + 1]
        line[0] = ((here[0] + here[last]) + (a[0] + b[0])) * f32(0.25) + u[0] * amplitude
        line[1] = here[0]
        for j in range(1, last + 1):
            line[2 * j] = ((here[j] + here[j - 1]) + (a[j] + b[j])) * f32(0.25) + u[2 * j] * amplitude
            line[2 * j + 1] = here[j]


@inlined
def _limits(cells: Any, low: Any, high: Any) -> Any:
    """Least and greatest value; ``low`` and ``high`` have room for a line."""
    for j in range(low.size):
        low[j] = high[j] = cells[0, j]
    for i in range(1, cells.shape[0]):
        line = cells[i]
        for j in range(low.size):
            low[j] = min(low[j], line[j])
            high[j] = max(high[j], line[j])
    return low.min(), high.max()


@inlined
def _every(cells: Any, stride: Any, out: Any) -> None:
    """``out`` = the cells of every ``stride``-th row and column."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = cells[i * stride, j * stride]


@compiled
def _cloud(draws: Any, amplitudes: Any, grids: Any, quarters: Any, lines: Any, out: Any) -> None:
    side = draws.shape[1]
    for n in range(draws.shape[0]):
        grids[0, 0] = f32(0)
        for scale in range(amplitudes.size):
            m = 1 << scale
            # Two buffers in turn: the cells of one scale are the coarse ones of the next.
            coarse = grids[scale % 2, : m * m].reshape(m, m)
            fine = grids[1 - scale % 2, : 4 * m * m].reshape(2 * m, 2 * m)
            middles = quarters[0, : m * m].reshape(m, m)
            drawn = draws[n]
            # The draws of coarse scales are far apart; side by side, they are read as vectors.
            if 2 * m < side:
                drawn = quarters[1, : 4 * m * m].reshape(2 * m, 2 * m)
                _every(draws[n], side // (2 * m), drawn)
            _middles(coarse, drawn, amplitudes[scale], middles)
            _refine(coarse, drawn, amplitudes[scale], middles, fine)
        whole = grids[amplitudes.size % 2].reshape(side, side)
        low, high = _limits(whole, lines[0], lines[1])
        for i in range(out.shape[1]):
            line, made = whole[i], out[n, i]
            for j in range(made.size):
                made[j] = (line[j] - low) / (high - low)


def cloud(draws: Floats, amplitudes: Floats, height: int, width: int) -> Floats:
    """Kernel of `ppbench.corruptions.weather.cloud`."""
    n, side, _ = draws.shape
    out = np.empty((n, height, width), np.float32)
    grids, quarters = np.empty((2, side * side), np.float32), np.empty((2, side * side // 4), np.float32)
    _cloud(draws, amplitudes, grids, quarters, np.empty((2, side), np.float32), out)
    return out


@compiled
def _add_fog(images: Any, thickness: Any, amount: Any, line: Any, out: Any) -> None:
    channels = line.size // thickness.shape[2]
    for n in range(images.shape[0]):
        brightest = u8(0)
        for h in range(images.shape[1]):
            row = images[n, h]
            for i in range(row.size):
                brightest = max(brightest, row[i])
        bright = f64(brightest) / f64(255)
        share = f32(bright / (bright + amount))
        veil = share * f32(f64(255) * amount)
        for h in range(images.shape[1]):
            row, made, thick = images[n, h], out[n, h], thickness[n, h]
            if channels == 3:
                for w in range(thick.size):
                    here = thick[w] * veil
                    line[3 * w], line[3 * w + 1], line[3 * w + 2] = here, here, here
            else:
                for w in range(thick.size):
                    line[w] = thick[w] * veil
            for i in range(row.size):
                made[i] = u8(i32(min(f32(i32(row[i])) * share + line[i], f32(255))))


def add_fog(images: Pixels, thickness: Floats, amount: float) -> Pixels:
    """Kernel of `ppbench.corruptions.weather.add_fog`."""
    n, height, width, channels = images.shape
    lines, out = (n, height, width * channels), np.empty_like(images)
    _add_fog(images.reshape(lines), thickness, amount, np.empty(width * channels, np.float32), out.reshape(lines))
    return out


@compiled
def _add_frost(
    images: Any, values: Any, starts: Any, widths: Any, image_weight: Any, frost_weight: Any, out: Any
) -> None:
    for n in range(images.shape[0]):
        for h in range(images.shape[1]):
            row, made = images[n, h], out[n, h]
            # All photographs of ice lie in one array, and each has a width of its own.
            ice = values[3 * (starts[n] + h * widths[n]) :]
            for i in range(row.size):
                total = f64(i32(row[i])) * image_weight + f64(i32(ice[i])) * frost_weight
                made[i] = u8(i32(min(total, f64(255))))


def add_frost(
    images: Pixels, pixels: Pixels, starts: Indices, widths: Indices, image_weight: float, frost_weight: float
) -> Pixels:
    """Kernel of `ppbench.corruptions.weather.add_frost`."""
    n, height, width, channels = images.shape
    lines, out = (n, height, width * channels), np.empty_like(images)
    _add_frost(images.reshape(lines), pixels.ravel(), starts, widths, image_weight, frost_weight, out.reshape(lines))
    return out


@compiled
def _cut_flakes(layer: Any, mean: Any, std: Any, threshold: Any, whole: bool, out: Any) -> None:
    for i in range(layer.size):
        x = layer[i] * std + mean
        x = min(max(f32(0) if x < threshold else x, f32(0)), f32(1)) * f32(255)
        out[i] = np.floor(x) if whole else x


def cut_flakes(layer: Floats, mean: float, std: float, threshold: float, whole: bool) -> Floats:
    """Kernel of `ppbench.corruptions.weather.cut_flakes`."""
    out = np.empty_like(layer)
    _cut_flakes(layer.ravel(), f32(mean), f32(std), f32(threshold), whole, out.ravel())
    return out


@inlined
def _to_fractions(fallen: Any, rounded: Any, flakes: Any) -> None:
    """``flakes`` = whole levels made of ``fallen``, as fractions in float64."""
    for i in range(flakes.size):
        x = fallen[i]
        # The scripts' layer goes through ImageMagick, which has 16 bits, of which 8 are kept: 257 steps to a level.
        level = np.rint(x) if rounded else np.floor(np.floor(x * f32(257) + f32(0.5)) / f32(257))
        flakes[i] = f64(level) / f64(255)


@inlined
def _snowed(x: Any, bright: Any, image_weight: Any, other_weight: Any, flake: Any, rotated: Any) -> Any:
    lighter = x * image_weight + max(x, bright) * other_weight
    return u8(i32(min(max(f64(lighter) + flake + rotated, f64(0)), f64(1)) * f64(255)))


@inlined
def _snow_line(
    red: Any, green: Any, blue: Any, image_weight: Any, other_weight: Any, flakes: Any, rotated: Any
) -> None:
    """In place, for lines of one channel each; ``rotated`` is read backwards."""
    last = red.size - 1
    for i in range(red.size):
        r, g, b = f32(i32(red[i])) / f32(255), f32(i32(green[i])) / f32(255), f32(i32(blue[i])) / f32(255)
        # OpenCV's fused operations, as in `ppbench.corruptions.weather`: each sum is rounded once, no product is.
        grey = f32(f64(g) * f64(GREEN_SHARE))
        grey = f32(f64(r) * f64(RED_SHARE) + f64(grey))
        grey = f32(f64(b) * f64(BLUE_SHARE) + f64(grey))
        bright = grey * f32(1.5) + f32(0.5)
        red[i] = _snowed(r, bright, image_weight, other_weight, flakes[i], rotated[last - i])
        green[i] = _snowed(g, bright, image_weight, other_weight, flakes[i], rotated[last - i])
        blue[i] = _snowed(b, bright, image_weight, other_weight, flakes[i], rotated[last - i])


@compiled
def _add_snow(
    images: Any, fallen: Any, image_weight: Any, other_weight: Any, rounded: bool, flakes: Any, lines: Any, out: Any
) -> None:
    height = images.shape[1]
    red, green, blue = lines[0], lines[1], lines[2]
    for n in range(images.shape[0]):
        for h in range(height):
            _to_fractions(fallen[n, h], rounded, flakes[h])
        for h in range(height):
            row, made = images[n, h], out[n, h]
            # A line of each channel, so that what is computed of the three together is vectorised.
            for i in range(red.size):
                red[i], green[i], blue[i] = row[3 * i], row[3 * i + 1], row[3 * i + 2]
            _snow_line(red, green, blue, image_weight, other_weight, flakes[h], flakes[height - 1 - h])
            for i in range(red.size):
                made[3 * i], made[3 * i + 1], made[3 * i + 2] = red[i], green[i], blue[i]


def add_snow(images: Pixels, fallen: Floats, image_weight: float, rounded: bool) -> Pixels:
    """Kernel of `ppbench.corruptions.weather.add_snow`."""
    n, height, width, _ = images.shape
    rows, out = (n, height, 3 * width), np.empty_like(images)
    flakes, lines = np.empty((height, width)), np.empty((3, width), np.uint8)
    weights = f32(image_weight), f32(1 - image_weight)
    _add_snow(images.reshape(rows), fallen, *weights, rounded, flakes, lines, out.reshape(rows))
    return out


@compiled
def _cubic(picture: Any, rows: Any, down: Any, columns: Any, across: Any, lines: Any, total: Any, out: Any) -> None:
    width = columns.shape[0]
    for y in range(picture.shape[0]):
        source, line = picture[y], lines[y]
        for x in range(width):
            a, b, c, d = across[x, 0], across[x, 1], across[x, 2], across[x, 3]
            i, j, k, m = columns[x, 0], columns[x, 1], columns[x, 2], columns[x, 3]
            for channel in range(3):
                left, right = source[i, channel] * a + source[j, channel] * b, source[k, channel] * c
                line[3 * x + channel] = left + right + source[m, channel] * d
    for y in range(out.shape[0]):
        a, b, c, d = down[y, 0], down[y, 1], down[y, 2], down[y, 3]
        first, second, third, fourth = lines[rows[y, 0]], lines[rows[y, 1]], lines[rows[y, 2]], lines[rows[y, 3]]
        made = out[y]
        for x in range(total.size):
            total[x] = np.rint(first[x] * a + second[x] * b + third[x] * c + fourth[x] * d)
        for x in range(total.size):
            made[x] = u8(min(max(total[x], 0.0), 255.0))


def cubic(picture: Pixels, rows: Indices, down: Doubles, columns: Indices, across: Doubles) -> Pixels:
    """Resize a picture ``(h, w, 3)`` by four pixels and weights for each new row and each new column.

    Sums are in float64 and rounded once, halves to even.

    Args:
        picture: ``(h, w, 3)``.
        rows: ``(H, 4)``: rows of the picture that a new row is made of.
        down: ``(H, 4)``: their weights.
        columns: ``(W, 4)``: columns that a new column is made of.
        across: ``(W, 4)``: their weights.
    """
    height, width = len(rows), len(columns)
    lines, total = np.empty((len(picture), 3 * width)), np.empty(3 * width)
    out = np.empty((height, 3 * width), np.uint8)
    _cubic(np.ascontiguousarray(picture), rows, down, columns, across, lines, total, out)
    return out.reshape(height, width, 3)
