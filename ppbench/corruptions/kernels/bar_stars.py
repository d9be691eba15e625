"""Stars with rays of random lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import compiled, f32, f64, i32, u8, u32
from ppbench.corruptions.kernels.bar_maths import power, turn
from ppbench.corruptions.types import Doubles, Indices, Pixels


@compiled
def _star_line(
    centre: Any, row: Any, count: int, lengths: Any, edge: Any, squares: Any, turns: Any, shapes: Any
) -> None:
    """For a line of pixels: ``squares`` = length of the star / distance, squared; ``shapes`` = how near to a ray."""
    y = f64(row) - centre[0]
    for ray in range(count):
        edge[ray] = lengths[ray]
    edge[count], edge[count + 1] = lengths[0], lengths[1]  # the first ray follows on the last
    per_turn = f64(count) / f64(2 * np.pi)
    for w in range(turns.size):
        turns[w] = (turn(f64(w) - centre[1], y) + f64(np.pi)) * per_turn
    for w in range(turns.size):
        whole = np.floor(turns[w])
        f, i = turns[w] - whole, u32(i32(whole))  # unsigned, so that no index counts from the end
        before, after = edge[i], edge[i + u32(1)]
        squares[w] = before + f * (after - before)
        shapes[w] = f64(1) - (f - f64(0.5)) * (f - f64(0.5))
    for w in range(turns.size):
        x = f64(w) - centre[1]
        squares[w] = squares[w] * squares[w] / (x * x + y * y + f64(1e-4))


@compiled
def _lighten(line: Any, light: Any) -> None:
    channels = line.size // light.size
    if channels == 3:
        for w in range(light.size):
            a, b, c = line[3 * w], line[3 * w + 1], line[3 * w + 2]
            line[3 * w] = f32(f64(a) + light[w] * f64(f32(255) - a))
            line[3 * w + 1] = f32(f64(b) + light[w] * f64(f32(255) - b))
            line[3 * w + 2] = f32(f64(c) + light[w] * f64(f32(255) - c))
    else:
        for w in range(light.size):
            line[w] = f32(f64(line[w]) + light[w] * f64(f32(255) - line[w]))


@compiled
def _add_stars(images: Any, centres: Any, rays: Any, lengths: Any, lines: Any, line: Any, out: Any) -> None:
    squares, turns, shapes, edge = lines[0], lines[1], lines[2], np.empty(lengths.shape[-1] + 2)
    for n in range(images.shape[0]):
        for y in range(images.shape[1]):
            row, made = images[n, y], out[n, y]
            for i in range(row.size):
                line[i] = f32(row[i])
            for star in range(rays.shape[1]):
                _star_line(centres[n, star], y, rays[n, star], lengths[n, star], edge, squares, turns, shapes)
                for w in range(shapes.size):
                    shapes[w] = min(max(shapes[w] * squares[w], f64(0)), f64(1))
                _lighten(line, shapes)
            for i in range(row.size):
                made[i] = u8(i32(min(max(line[i], f32(0)), f32(255))))


def add_stars(images: Pixels, centres: Doubles, rays: Indices, lengths: Doubles) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.stars.add_stars`."""
    n, height, width, channels = images.shape
    shape, out = (n, height, width * channels), np.empty_like(images)
    line = np.empty(width * channels, np.float32)
    _add_stars(images.reshape(shape), centres, rays, lengths, np.empty((3, width)), line, out.reshape(shape))
    return out


@compiled
def _whiten_outside(images: Any, centre: Any, rays: Any, lengths: Any, exponent: Any, lines: Any, out: Any) -> None:
    squares, turns, shapes, edge = lines[0], lines[1], lines[2], np.empty(lengths.shape[-1] + 2)
    channels = images.shape[2] // shapes.size
    for n in range(images.shape[0]):
        for y in range(images.shape[1]):
            _star_line(centre[n], y, rays[n], lengths[n], edge, squares, turns, shapes)
            for w in range(shapes.size):
                shapes[w] = min(shapes[w] * power(max(squares[w], f64(1e-30)), exponent), f64(1))
            row, made = images[n, y], out[n, y]
            if channels == 3:
                for w in range(shapes.size):
                    kept = shapes[w]
                    made[3 * w] = u8(i32(f64(255) + kept * (f64(row[3 * w]) - f64(255))))
                    made[3 * w + 1] = u8(i32(f64(255) + kept * (f64(row[3 * w + 1]) - f64(255))))
                    made[3 * w + 2] = u8(i32(f64(255) + kept * (f64(row[3 * w + 2]) - f64(255))))
            else:
                for w in range(shapes.size):
                    made[w] = u8(i32(f64(255) + shapes[w] * (f64(row[w]) - f64(255))))


def whiten_outside(images: Pixels, centre: Doubles, rays: Indices, lengths: Doubles, exponent: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.stars.whiten_outside`."""
    n, height, width, channels = images.shape
    shape, out = (n, height, width * channels), np.empty_like(images)
    lines = np.empty((3, width))
    _whiten_outside(images.reshape(shape), centre, rays, lengths, f64(exponent), lines, out.reshape(shape))
    return out
