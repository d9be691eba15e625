"""Patterns over the whole image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.kernels import compiled, f64, i32, i64, inlined, u8
from ppbench.corruptions.kernels.bar_maths import HALF_PI, sine, turn
from ppbench.corruptions.types import Doubles, Indices, Pixels


@inlined
def level(x: Any) -> Any:
    """Clip and truncate."""
    return u8(i32(min(max(x, f64(0)), f64(255))))


@compiled
def _mix(row: Any, line: Any, kept: Any, out: Any) -> None:
    """``out`` = a part of the row, and the line's value for every channel of a pixel."""
    channels = row.size // line.size
    if channels == 3:
        for w in range(line.size):
            out[3 * w] = level(f64(row[3 * w]) * kept + line[w])
            out[3 * w + 1] = level(f64(row[3 * w + 1]) * kept + line[w])
            out[3 * w + 2] = level(f64(row[3 * w + 2]) * kept + line[w])
    else:
        for w in range(line.size):
            out[w] = level(f64(row[w]) * kept + line[w])


@inlined
def shifted(x: Any, whole: Any) -> Any:
    """``x + y``, clipped and truncated, for a level x and the whole number below y."""
    return u8(min(max(i32(x) + whole, i32(0)), i32(255)))


@inlined
def below(y: Any) -> Any:
    """The whole number below y, as far as a level can be moved."""
    return i32(np.floor(min(max(y, f64(-256)), f64(256))))


@compiled
def _add(row: Any, line: Any, steps: Any, out: Any) -> None:
    """``out`` = the row, and the line's value for every channel of a pixel."""
    for w in range(line.size):
        steps[w] = below(line[w])
    if row.size == 3 * line.size:
        for w in range(line.size):
            out[3 * w] = shifted(row[3 * w], steps[w])
            out[3 * w + 1] = shifted(row[3 * w + 1], steps[w])
            out[3 * w + 2] = shifted(row[3 * w + 2], steps[w])
    else:
        for w in range(line.size):
            out[w] = shifted(row[w], steps[w])


@compiled
def _add_wave(
    images: Any, down: Any, across: Any, phase: Any, amount: Any, line: Any, tables: Any, steps: Any, out: Any
) -> None:
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
            _add(images[n, y], line, steps, out[n, y])


def add_wave(images: Pixels, down: Doubles, across: Doubles, phase: Doubles, amount: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.waves.add_wave`."""
    lines, out = _as_lines(images), np.empty_like(images)
    line, steps = np.empty(images.shape[2]), np.empty(images.shape[2], np.int32)
    tables = np.empty((2, images.shape[2]))
    _add_wave(lines, down, across, phase, f64(amount), line, tables, steps, _as_lines(out))
    return out


@compiled
def _add_rings(
    images: Any,
    centre: Any,
    freq: Any,
    wobble: Any,
    ring: Any,
    amount: Any,
    line: Any,
    angle: Any,
    steps: Any,
    out: Any,
) -> None:
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
            _add(images[n, i], line, steps, out[n, i])


def add_rings(images: Pixels, centre: Doubles, freq: Doubles, wobble: Doubles, ring: Doubles, amount: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.waves.add_rings`."""
    out, (line, angle) = np.empty_like(images), np.empty((2, images.shape[2]))
    steps = np.empty(images.shape[2], np.int32)
    _add_rings(_as_lines(images), centre, freq, wobble, ring, f64(amount), line, angle, steps, _as_lines(out))
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
    images: Any, time: Any, iterations: Any, sharpness: Any, scale: Any, amount: Any, lines: Any, out: Any
) -> None:
    u, v = lines[0], lines[1]
    kept = f64(1) - amount / f64(255)
    for n in range(images.shape[0]):
        t, middle = time[n], np.sin(time[n])
        for y in range(images.shape[1]):
            for x in range(u.size):
                u[x], v[x] = f64(x) / scale[n], f64(y) / scale[n]
            _swirl(u, v, t, iterations[n], sharpness[n])
            row, made = images[n, y], out[n, y]
            for x in range(u.size):
                both = sine((u[x] + v[x] + middle) / f64(2))
                red, blue = sine(u[x] - t), sine(v[x] + t)
                made[3 * x] = level(f64(row[3 * x]) * kept + amount * red)
                made[3 * x + 1] = level(f64(row[3 * x + 1]) * kept + amount * both)
                made[3 * x + 2] = level(f64(row[3 * x + 2]) * kept + amount * blue)


def mix_plasma(
    images: Pixels, time: Doubles, iterations: Indices, sharpness: Doubles, scale: Doubles, amount: float
) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.waves.mix_plasma`."""
    out, lines = np.empty_like(images), np.empty((2, images.shape[2]))
    _mix_plasma(_as_lines(images), time, iterations, sharpness, scale, f64(amount), lines, _as_lines(out))
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
    images: Any, gradients: Any, table: Any, cell: Any, share: Any, nodes: Any, line: Any, out: Any
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
            _mix(images[n, y], line, f64(1) - share, out[n, y])


def mix_perlin(images: Pixels, gradients: Doubles, table: Indices, cell: float, share: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.fields.mix_perlin`."""
    out, width = np.empty_like(images), images.shape[2]
    nodes, line = np.empty((int(16 * width / cell) + 3, 2)), np.empty(width)
    _mix_perlin(_as_lines(images), gradients, table, f64(cell), f64(share), nodes, line, _as_lines(out))
    return out


@inlined
def from_middle(place: int, side: int) -> Any:
    """Where on an axis with frequency 0 in the middle the frequency is that has this place in a transform."""
    there = place + side // 2
    return there if there < side else there - side


@compiled
def _half_spectrum(phases: Any, weights: Any, tables: Any, out: Any) -> None:
    half, (height, width) = phases.shape[2], tables.shape[1:]
    for n in range(phases.shape[0]):
        for i in range(height):
            for j in range(half):
                tables[0, i, j] = sine(phases[n, i, j])
                tables[1, i, j] = sine(phases[n, i, j] + HALF_PI)
        # Beyond the middle, the phases are those of the first half, turned by 180 degrees.
        for i in range(height):
            for j in range(half, width):
                tables[0, i, j] = tables[0, height - 1 - i, width - 1 - j]
                tables[1, i, j] = tables[1, height - 1 - i, width - 1 - j]
        for p in range(height):
            i, k = from_middle(p, height), from_middle(height - p if p else 0, height)
            for q in range(width // 2 + 1):
                j, m = from_middle(q, width), from_middle(width - q if q else 0, width)
                # With the conjugate of the opposite frequency added, the spectrum is that of a real field.
                out[n, p, 2 * q] = weights[p, q] * (tables[1, i, j] + tables[1, k, m])
                out[n, p, 2 * q + 1] = weights[p, q] * (tables[0, i, j] - tables[0, k, m])


def half_spectrum(phases: Doubles, height: int, width: int, power: int) -> NDArray[np.complex128]:
    """Kernel of `ppbench.corruptions.bar.fields.half_spectrum`."""
    out, half = np.empty((len(phases), height, 2 * (width // 2 + 1))), np.arange(width // 2 + 1)
    rows, side = np.arange(height), min(height, width)
    down, across = (rows - height * (2 * rows >= height)) / height * side, half / width * side
    square = down[:, None] ** 2 + across**2
    weights = (np.sqrt(square) if power == 1 else 1 / (square + 1)) / 2
    _half_spectrum(phases, weights, np.empty((2, height, width)), out)
    return out.view(np.complex128)


@compiled
def _deviations(noise: Any, sums: Any, out: Any) -> None:
    """Standard deviations of maps ``(n, H, W)``. ``sums`` are two lines, because sums of lines are vectorised."""
    height, width = noise.shape[1:]
    for n in range(noise.shape[0]):
        sums[:] = f64(0)
        for h in range(height):
            line, first, second = noise[n, h], sums[0], sums[1]
            for w in range(width):
                first[w] += line[w]
                second[w] += line[w] * line[w]
        mean = sums[0].sum() / f64(height * width)
        out[n] = np.sqrt(sums[1].sum() / f64(height * width) - mean * mean)


@compiled
def _keep_where_high(images: Any, noise: Any, deviations: Any, threshold: Any, out: Any) -> None:
    channels = images.shape[2]
    for n in range(images.shape[0]):
        least, field, image, made = threshold * deviations[n], noise[n], images[n], out[n]
        if channels == 3:
            for i in range(field.size):
                high = u8(255) if field[i] > least else u8(0)
                made[i, 0], made[i, 1], made[i, 2] = image[i, 0] & high, image[i, 1] & high, image[i, 2] & high
        else:
            for i in range(field.size):
                made[i, 0] = image[i, 0] if field[i] > least else u8(0)


def keep_where_high(images: Pixels, noise: Doubles, threshold: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.fields.keep_where_high`."""
    n, height, width, channels = images.shape
    out, deviations = np.empty_like(images), np.empty(n)
    flat, shape = noise.reshape(n, -1), (n, height * width, channels)
    _deviations(noise, np.empty((2, width)), deviations)
    _keep_where_high(images.reshape(shape), flat, deviations, f64(threshold), out.reshape(shape))
    return out


@compiled
def _add_fields(images: Any, noise: Any, deviations: Any, amount: Any, steps: Any, out: Any) -> None:
    channels, width = steps.shape
    for n in range(images.shape[0]):
        for h in range(images.shape[1]):
            for c in range(channels):
                field, line, weight = noise[n * channels + c, h], steps[c], amount / deviations[n * channels + c]
                for w in range(width):
                    line[w] = below(field[w] * weight)
            row, made = images[n, h], out[n, h]
            if channels == 3:
                red, green, blue = steps[0], steps[1], steps[2]
                for w in range(width):
                    made[3 * w] = shifted(row[3 * w], red[w])
                    made[3 * w + 1] = shifted(row[3 * w + 1], green[w])
                    made[3 * w + 2] = shifted(row[3 * w + 2], blue[w])
            else:
                for w in range(width):
                    made[w] = shifted(row[w], steps[0, w])


def add_fields(images: Pixels, noise: Doubles, amount: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.fields.add_fields`."""
    n, _, width, channels = images.shape
    out, deviations = np.empty_like(images), np.empty(n * channels)
    _deviations(noise, np.empty((2, width)), deviations)
    steps = np.empty((channels, width), np.int32)
    _add_fields(_as_lines(images), noise, deviations, f64(amount), steps, _as_lines(out))
    return out


def _as_lines(images: Pixels) -> Pixels:
    n, height, width, channels = images.shape
    return images.reshape(n, height, width * channels)
