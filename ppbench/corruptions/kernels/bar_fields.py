"""Patterns over the whole image."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import compiled, f64, i64
from ppbench.corruptions.kernels.bar_maths import HALF_PI, sine, turn
from ppbench.corruptions.kernels.bar_rows import below, flat_rows, interleave, level, lines_for, separate, shifted
from ppbench.corruptions.types import Doubles, Indices, Pixels


@compiled
def _mix(row: Any, line: Any, kept: Any, levels: Any, out: Any) -> None:
    """``out`` = a part of the row, and the line's value for every channel of a pixel."""
    separate(row, levels)
    for c in range(levels.shape[0]):
        one = levels[c]
        for w in range(line.size):
            one[w] = level(f64(one[w]) * kept + line[w])
    interleave(levels, out)


@compiled
def _add(row: Any, line: Any, steps: Any, levels: Any, out: Any) -> None:
    """``out`` = the row, and the line's value for every channel of a pixel."""
    separate(row, levels)
    for w in range(line.size):
        steps[w] = below(line[w])
    for c in range(levels.shape[0]):
        one = levels[c]
        for w in range(line.size):
            one[w] = shifted(one[w], steps[w])
    interleave(levels, out)


@compiled
def _add_wave(
    images: Any, down: Any, across: Any, phase: Any, amount: Any, line: Any, tables: Any, steps: Any, levels: Any,
    out: Any,
) -> None:  # fmt: skip
    for n in range(images.shape[0]):
        for x in range(line.size):
            tables[0, x] = amount * sine(across[n] * f64(x))
            tables[1, x] = amount * sine(across[n] * f64(x) + HALF_PI)
        for y in range(images.shape[1]):
            start = down[n] * f64(y) + phase[n]
            s, k = sine(start), sine(start + HALF_PI)
            # sin(a + b) = sin a cos b + cos a sin b: two lines of sines serve all rows.
            for x in range(line.size):
                line[x] = tables[0, x] * k + tables[1, x] * s
            _add(images[n, y], line, steps, levels, out[n, y])


def add_wave(images: Pixels, down: Doubles, across: Doubles, phase: Doubles, amount: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.waves.add_wave`."""
    out, width = np.empty_like(images), images.shape[2]
    room = np.empty(width), np.empty((2, width)), np.empty(width, np.int16), lines_for(images)
    _add_wave(flat_rows(images), down, across, phase, f64(amount), *room, flat_rows(out))
    return out


@compiled
def _add_rings(
    images: Any, centre: Any, freq: Any, wobble: Any, ring: Any, amount: Any, line: Any, angle: Any, steps: Any,
    levels: Any, out: Any,
) -> None:  # fmt: skip
    for n in range(images.shape[0]):
        per_ring = f64(1) / ring[n]
        for i in range(images.shape[1]):
            y = f64(i) - centre[n, 1]
            for j in range(line.size):
                x = f64(j) - centre[n, 0]
                angle[j] = turn(x, y)
            for j in range(line.size):
                x = f64(j) - centre[n, 0]
                r = np.sqrt(x * x + y * y) + wobble[n] * sine(freq[n] * angle[j])
                # What numpy's modulus gives: the remainder has the divisor's sign.
                rest = r - ring[n] * np.floor(r * per_ring)
                line[j] = amount * (rest * per_ring - f64(0.5))
            _add(images[n, i], line, steps, levels, out[n, i])


def add_rings(images: Pixels, centre: Doubles, freq: Doubles, wobble: Doubles, ring: Doubles, amount: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.waves.add_rings`."""
    out, width = np.empty_like(images), images.shape[2]
    room = np.empty(width), np.empty(width), np.empty(width, np.int16), lines_for(images)
    _add_rings(flat_rows(images), centre, freq, wobble, ring, f64(amount), *room, flat_rows(out))
    return out


@compiled
def _swirl(u: Any, v: Any, time: Any, iterations: int, sharpness: Any) -> None:
    """Move the places of a line."""
    a, b, c = f64(1), f64(1), f64(1)
    for _ in range(iterations):
        late, weight = time / b, f64(1) / c
        for x in range(u.size):
            p = sine(v[x] * a + late + HALF_PI) * weight
            q = sine(u[x] * a + late) * weight
            u[x] += p - f64(0.3) * q
            v[x] += q + f64(0.3) * p
        a, b, c = a * f64(1.93), b * f64(1.15), c * (f64(2.25) - sharpness)


@compiled
def _mix_plasma(
    images: Any, time: Any, iterations: Any, sharpness: Any, scale: Any, amount: Any, lines: Any, levels: Any, out: Any
) -> None:
    u, v, middles = lines[0], lines[1], lines[2]
    red, both, blue = levels[0], levels[1], levels[2]
    kept = f64(1) - amount / f64(255)
    for n in range(images.shape[0]):
        t, middle = time[n], np.sin(time[n])
        for y in range(images.shape[1]):
            separate(images[n, y], levels)
            for x in range(u.size):
                u[x], v[x] = f64(x) / scale[n], f64(y) / scale[n]
            _swirl(u, v, t, iterations[n], sharpness[n])
            for x in range(u.size):
                w = sine((u[x] + v[x] + middle) / f64(2))
                u[x], v[x], middles[x] = sine(u[x] - t), sine(v[x] + t), w
            for x in range(u.size):
                red[x] = level(f64(red[x]) * kept + amount * u[x])
            for x in range(u.size):
                both[x] = level(f64(both[x]) * kept + amount * middles[x])
            for x in range(u.size):
                blue[x] = level(f64(blue[x]) * kept + amount * v[x])
            interleave(levels, out[n, y])


def mix_plasma(
    images: Pixels, time: Doubles, iterations: Indices, sharpness: Doubles, scale: Doubles, amount: float
) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.waves.mix_plasma`."""
    out, lines = np.empty_like(images), np.empty((3, images.shape[2]))
    room = lines, lines_for(images)
    _mix_plasma(flat_rows(images), time, iterations, sharpness, scale, f64(amount), *room, flat_rows(out))
    return out


@compiled
def _octave(table: Any, gradients: Any, first: Any, step: Any, weight: Any, nodes: Any, line: Any) -> None:
    """Add an octave's absolute values to a line. Along it, the noise is linear in ``nodes`` for each cell."""
    count = i64(np.floor(step * f64(line.size - 1))) + 2
    i = i64(np.floor(first))
    x = first - f64(i)
    across = x * x * (f64(3) - f64(2) * x)
    top, bottom = table[i & 255], table[(i + 1) & 255]
    for j in range(count):
        near, far = table[(top + j) & 255], table[(bottom + j) & 255]
        start, end = x * gradients[near, 0], (x - f64(1)) * gradients[far, 0]
        nodes[j, 0] = start + across * (end - start)
        nodes[j, 1] = gradients[near, 1] + across * (gradients[far, 1] - gradients[near, 1])
    for w in range(line.size):
        place = step * f64(w)
        k = i64(place)
        y = place - f64(k)
        down = y * y * (f64(3) - f64(2) * y)
        near = nodes[k, 0] + y * nodes[k, 1]
        far = nodes[k + 1, 0] + (y - f64(1)) * nodes[k + 1, 1]
        line[w] += abs(f64(1.5) * (near + down * (far - near))) * weight


@compiled
def _mix_perlin(
    images: Any, gradients: Any, table: Any, cell: Any, share: Any, nodes: Any, line: Any, levels: Any, out: Any
) -> None:
    for n in range(images.shape[0]):
        for y in range(images.shape[1]):
            for x in range(line.size):
                line[x] = f64(0)
            for octave in range(5):
                f = f64(1 << octave)
                _octave(table[n], gradients[n], f * f64(y) / cell, f / cell, f64(1) / f, nodes, line)
            for x in range(line.size):
                line[x] = f64(255) * share * min(max(f64(0.5) * line[x] + f64(0.5), f64(0)), f64(1))
            _mix(images[n, y], line, f64(1) - share, levels, out[n, y])


def mix_perlin(images: Pixels, gradients: Doubles, table: Indices, cell: float, share: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.fields.mix_perlin`."""
    out, width = np.empty_like(images), images.shape[2]
    room = np.empty((int(16 * width / cell) + 3, 2)), np.empty(width), lines_for(images)
    _mix_perlin(flat_rows(images), gradients, table, f64(cell), f64(share), *room, flat_rows(out))
    return out
