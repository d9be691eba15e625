"""Stars with rays of random lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.kernels import compiled, f32, f64, i32, u8, u32
from ppbench.corruptions.kernels.bar_maths import power, turn
from ppbench.corruptions.kernels.bar_rows import flat_rows, interleave, lines_for, separate
from ppbench.corruptions.types import Doubles, Indices, Pixels

# Loops over a line are kept apart: one that reads a table at computed places is not vectorised, the others are.


@compiled
def _edge_of(lengths: Any, count: int, edge: Any) -> None:
    """``edge``: the length of each ray, and how much longer the next one is."""
    for ray in range(count):
        following = lengths[ray + 1] if ray + 1 < count else lengths[0]
        edge[ray, 0], edge[ray, 1] = lengths[ray], following - lengths[ray]
    # Half a turn may be rounded up to a whole number of rays.
    edge[count, 0], edge[count, 1] = edge[0, 0], edge[0, 1]


@compiled
def _star_line(centre: Any, row: Any, count: int, edge: Any, rays: Any, found: Any, squares: Any, shapes: Any) -> None:
    """For a line of pixels: ``squares`` = length of the star / distance, squared; ``shapes`` = how near to a ray.

    ``rays`` and ``found`` are room for the number of each pixel's ray, and for the edge there.
    """
    y, x0 = f64(row) - centre[0], centre[1]
    per_turn = f64(count) / f64(2 * np.pi)
    for w in range(squares.size):
        turns = (turn(f64(w) - x0, y) + f64(np.pi)) * per_turn
        whole = np.floor(turns)
        squares[w] = turns - whole
        rays[w] = u32(i32(whole))  # unsigned, so that no index counts from the end
    for w in range(squares.size):
        ray = rays[w]
        found[w, 0], found[w, 1] = edge[ray, 0], edge[ray, 1]
    for w in range(squares.size):
        f, x = squares[w], f64(w) - x0
        length = found[w, 0] + f * found[w, 1]
        squares[w] = length * length / (x * x + y * y + f64(1e-4))
        shapes[w] = f64(1) - (f - f64(0.5)) * (f - f64(0.5))


@compiled
def _lighten(line: Any, light: Any) -> None:
    for w in range(light.size):
        line[w] = f32(f64(line[w]) + light[w] * f64(f32(255) - line[w]))


@compiled
def _add_stars(
    images: Any, centres: Any, counts: Any, lengths: Any, edges: Any, rays: Any, found: Any, lines: Any, levels: Any,
    lit: Any, out: Any,
) -> None:  # fmt: skip
    squares, shapes = lines[0], lines[1]
    for n in range(images.shape[0]):
        for star in range(counts.shape[1]):
            _edge_of(lengths[n, star], counts[n, star], edges[star])
        for y in range(images.shape[1]):
            separate(images[n, y], levels)
            for c in range(lit.shape[0]):
                for w in range(shapes.size):
                    lit[c, w] = f32(levels[c, w])
            for star in range(counts.shape[1]):
                _star_line(centres[n, star], y, counts[n, star], edges[star], rays, found, squares, shapes)
                for w in range(shapes.size):
                    shapes[w] = min(max(shapes[w] * squares[w], f64(0)), f64(1))
                for c in range(lit.shape[0]):
                    _lighten(lit[c], shapes)
            for c in range(lit.shape[0]):
                for w in range(shapes.size):
                    levels[c, w] = u8(i32(min(max(lit[c, w], f32(0)), f32(255))))
            interleave(levels, out[n, y])


def add_stars(images: Pixels, centres: Doubles, rays: Indices, lengths: Doubles) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.stars.add_stars`."""
    out, width, levels = np.empty_like(images), images.shape[2], lines_for(images)
    edges, lit = np.empty((rays.shape[1], lengths.shape[2] + 1, 2)), np.empty(levels.shape, np.float32)
    _add_stars(flat_rows(images), centres, rays, lengths, edges, *_room(width), levels, lit, flat_rows(out))
    return out


@compiled
def _whiten(line: Any, kept: Any) -> None:
    for w in range(kept.size):
        line[w] = u8(i32(f64(255) - kept[w] * f64(u8(line[w] ^ u8(255)))))


@compiled
def _whiten_outside(
    images: Any, centre: Any, counts: Any, lengths: Any, exponent: Any, edge: Any, rays: Any, found: Any, lines: Any,
    levels: Any, out: Any,
) -> None:  # fmt: skip
    squares, shapes = lines[0], lines[1]
    for n in range(images.shape[0]):
        _edge_of(lengths[n], counts[n], edge)
        for y in range(images.shape[1]):
            _star_line(centre[n], y, counts[n], edge, rays, found, squares, shapes)
            for w in range(shapes.size):
                shapes[w] = min(shapes[w] * power(squares[w], exponent), f64(1))
            separate(images[n, y], levels)
            for c in range(levels.shape[0]):
                _whiten(levels[c], shapes)
            interleave(levels, out[n, y])


def whiten_outside(images: Pixels, centre: Doubles, rays: Indices, lengths: Doubles, exponent: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.stars.whiten_outside`."""
    out, edge = np.empty_like(images), np.empty((lengths.shape[1] + 1, 2))
    room = edge, *_room(images.shape[2]), lines_for(images)
    _whiten_outside(flat_rows(images), centre, rays, lengths, f64(exponent), *room, flat_rows(out))
    return out


def _room(width: int) -> tuple[NDArray[np.uint32], Doubles, Doubles]:
    """Return room for what `_star_line` makes of a line: rays, edges, and two lines of numbers."""
    return np.empty(width, np.uint32), np.empty((width, 2)), np.empty((2, width))
