"""Images read at displaced places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.kernels import compiled, f32, f64, i32, i64, inlined, u8
from ppbench.corruptions.kernels.bar_maths import power, sine_and_cosine
from ppbench.corruptions.types import Doubles, Indices, Pixels


@inlined
def part(inside: bool, weight: Any) -> Any:
    """The weight of a pixel, 0 outside the image."""
    return weight if inside else f64(0)


@inlined
def near(place: Any, last: Any) -> Any:
    """The place, or the nearest one of the image."""
    return min(max(place, i64(0)), last)


@inlined
def around(place: Any, last: Any) -> Any:
    """The two pixels around a place on an axis, and their weights."""
    first = i64(np.floor(place))
    after = place - f64(first)
    parts = part(0 <= first <= last, f64(1) - after), part(0 <= first + 1 <= last, after)
    return near(first, last), near(first + 1, last), parts[0], parts[1]


@inlined
def bilinear(image: Any, rows: Any, columns: Any, channel: Any) -> Any:
    """The value between four pixels, float32, with what `around` says of the row and of the column."""
    i, k, top, low = rows
    j, m, left, right = columns
    value = top * left * f64(image[i, j, channel]) + top * right * f64(image[i, m, channel])
    value += low * left * f64(image[k, j, channel])
    value += low * right * f64(image[k, m, channel])
    return f32(value)


@inlined
def wave(sine_t: Any, cosine_t: Any, py: Any, px: Any, sines: Any) -> Any:
    """One step of the ripples: sines and cosines of jy and jx after it, and the light that it adds."""
    sine_y, cosine_y, sine_x, cosine_x = sines
    # The sines of sums of the time and jy or jx, by those of both.
    a, b, d, e = cosine_t * cosine_y, sine_t * sine_y, cosine_t * sine_x, sine_t * cosine_x
    sine_y, cosine_y = sine_and_cosine(py + (a + b) + (e + d))
    sine_x, cosine_x = sine_and_cosine(px + (e - d) + (a - b))
    # The light 1 / sqrt((py / (sin / 0.005))^2 + (px / (cos / 0.005))^2), with one division.
    s, k = sine_y * cosine_t + cosine_y * sine_t, cosine_x * cosine_t - sine_x * sine_t
    a, b = py * f64(0.005) * k, px * f64(0.005) * s
    return (sine_y, cosine_y, sine_x, cosine_x), abs(s * k) / np.sqrt(a * a + b * b)


@inlined
def angle_at(place: Any, size: Any) -> Any:
    """A place on an axis in waves of this size, as an angle."""
    there = f64(place) / size
    return (there - np.floor(there)) * f64(6.28318530718) - f64(250)


@compiled
def _light_line(py: Any, start: Any, times: Any, across: Any, out: Any) -> None:
    """The light on a line at py; ``across``: px, its sine and its cosine; ``times``: sines and cosines of five times.

    The five steps are in one loop without branches, so that it is vectorised.
    """
    px, sines, cosines = across[0], across[1], across[2]
    s0, s1, s2, s3, s4 = times[0, 0], times[0, 1], times[0, 2], times[0, 3], times[0, 4]
    c0, c1, c2, c3, c4 = times[1, 0], times[1, 1], times[1, 2], times[1, 3], times[1, 4]
    for w in range(out.size):
        x = px[w]
        state, light = wave(s0, c0, py, x, (start[0], start[1], sines[w], cosines[w]))
        c = f64(1) + light
        state, light = wave(s1, c1, py, x, state)
        c += light
        state, light = wave(s2, c2, py, x, state)
        c += light
        state, light = wave(s3, c3, py, x, state)
        c += light
        state, light = wave(s4, c4, py, x, state)
        c += light
        dark = f64(1.17) - power(c * f64(0.2), f64(1.4))
        fourth = dark * dark * dark * dark
        out[w] = min(fourth * fourth, f64(1))


@compiled
def _caustics(time: Any, size: Any, across: Any, times: Any, out: Any) -> None:
    for n in range(out.shape[0]):
        for m in range(5):
            times[0, m], times[1, m] = sine_and_cosine(time[n] * (f64(1) - f64(3.5) / f64(m + 1)))
        for w in range(out.shape[2]):
            across[0, w] = angle_at(w, size[n])
            across[1, w], across[2, w] = sine_and_cosine(across[0, w])
        for h in range(out.shape[1]):
            py = angle_at(h, size[n])
            _light_line(py, sine_and_cosine(py), times, across, out[n, h])


def caustics(time: Doubles, size: Doubles, height: int, width: int) -> Doubles:
    """Kernel of `ppbench.corruptions.bar.optics.caustics`."""
    out = np.empty((len(time), height, width))
    _caustics(time, size, np.empty((3, width)), np.empty((2, 5)), out)
    return out


@compiled
def _refract(images: Any, surface: Any, depth: Any, light: Any, scaled: Any, out: Any) -> None:
    height, width, channels = images.shape[1:]
    last_row, last_column = i64(height - 1), i64(width - 1)
    for n in range(images.shape[0]):
        image = scaled[n]
        for h in range(height):
            made = out[n, h]
            for w in range(width):
                a = (surface[n, h + 1, w] if h + 1 < height else f64(0)) - (surface[n, h - 1, w] if h else f64(0))
                b = (surface[n, h, w + 1] if w + 1 < width else f64(0)) - (surface[n, h, w - 1] if w else f64(0))
                nz = f64(1) / np.sqrt(a * a + b * b + f64(1))
                y, x = f64(h), f64(w)
                if nz < f64(0.999):
                    # sin(theta - phi), where cos(theta) = nz and sin(phi) = sin(theta) / 4.
                    sin_theta = np.sqrt(f64(1) - nz * nz)
                    sin_phi = sin_theta / f64(4)
                    bent = sin_theta * np.sqrt(f64(1) - sin_phi * sin_phi) - nz * sin_phi
                    shift = depth * bent / np.sqrt(a * a + b * b) * f64(1000)
                    y, x = y + np.rint(shift * a) / f64(1000), x + np.rint(shift * b) / f64(1000)
                lit = light * (a - b)
                rows, columns = around(y, last_row), around(x, last_column)
                for c in range(channels):
                    value = bilinear(image, rows, columns, c)
                    made[w, c] = u8(i32(min(max(f64(value) + lit, f64(0)), f64(1)) * f64(255)))


def refract(images: Pixels, surface: Doubles, depth: float, light: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.optics.refract`."""
    out, scaled = np.empty_like(images), images.astype(np.float32) / np.float32(255)
    _refract(images, surface, f64(depth), f64(light), scaled, out)
    return out


@compiled
def _axis(places: Any, side: int, pixels: Any, parts: Any) -> None:
    """The two pixels around places on an axis, and their weights."""
    last = i64(side - 1)
    for w in range(places.size):
        pixels[w, 0], pixels[w, 1], parts[w, 0], parts[w, 1] = around(places[w], last)


@compiled
def _read_grid(images: Any, rows: Any, columns: Any, top: Any, down: Any, left: Any, across: Any, out: Any) -> None:
    channels = images.shape[3]
    for n in range(images.shape[0]):
        _axis(rows[n], images.shape[1], top, down)
        _axis(columns[n], images.shape[2], left, across)
        for h in range(images.shape[1]):
            upper, lower, made = images[n, top[h, 0]], images[n, top[h, 1]], out[n, h]
            first, second = down[h, 0], down[h, 1]
            for w in range(images.shape[2]):
                j, k, a, b = left[w, 0], left[w, 1], across[w, 0], across[w, 1]
                for c in range(channels):
                    value = first * a * f64(upper[j, c]) + first * b * f64(upper[k, c])
                    value += second * a * f64(lower[j, c])
                    value += second * b * f64(lower[k, c])
                    made[w, c] = u8(i32(f32(value)))


def read_grid(images: Pixels, rows: Doubles, columns: Doubles) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.optics.read_grid`."""
    out, (height, width) = np.empty_like(images), images.shape[1:3]
    pixels = (np.empty((side, 2), np.int64) for side in (height, width))
    (top, left), (down, across) = pixels, (np.empty((side, 2)) for side in (height, width))
    _read_grid(images, rows, columns, top, down, left, across, out)
    return out


@compiled
def _twirl_cell(image: Any, y0: int, x0: int, places: Any, inside: Any, cell: Any) -> None:
    """Make a cell from an image ``(H, W, C)`` float32, and put it in its place."""
    side, channels = inside.shape[0], image.shape[2]
    half = f64(side) / f64(2)
    last_row, last_column = i64(image.shape[0] - 1), i64(image.shape[1] - 1)
    for h in range(side):
        for w in range(side):
            if not inside[h, w]:
                for c in range(channels):
                    cell[h, w, c] = image[y0 + h, x0 + w, c]
                continue
            y, x = f64(y0) + half + places[0, h, w], f64(x0) + half + places[1, h, w]
            rows, columns = around(y, last_row), around(x, last_column)
            for c in range(channels):
                cell[h, w, c] = bilinear(image, rows, columns, c)
    for h in range(side):
        for w in range(side):
            for c in range(channels):
                image[y0 + h, x0 + w, c] = cell[h, w, c]


@compiled
def _twirl(images: Any, signs: Any, offsets: Any, inside: Any, cell: Any) -> None:
    """In place, one cell of an image after another."""
    side = inside.shape[0]
    for n in range(images.shape[0]):
        for i in range(signs.shape[1]):
            for j in range(signs.shape[2]):
                _twirl_cell(images[n], j * side, i * side, offsets[signs[n, i, j]], inside, cell)


def twirl(images: Pixels, signs: Indices, offsets: Doubles, inside: NDArray[np.bool_]) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.optics.twirl`."""
    made = images.astype(np.float32)
    _twirl(made, signs, offsets, inside, np.empty((*inside.shape, images.shape[3]), np.float32))
    return np.clip(made, 0, 255).astype(np.uint8)
