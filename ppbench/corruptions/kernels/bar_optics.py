"""Images read at displaced places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.kernels import compiled, f32, f64, i32, i64, inlined, u8
from ppbench.corruptions.kernels.bar_maths import HALF_PI, power, sine
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


@compiled
def _wave(place: Any, time: Any, y0: Any, lines: Any) -> None:
    """One step of the ripples on a line: ``lines`` are px, jy, jx and the sum c."""
    px, jy, jx, c = lines[0], lines[1], lines[2], lines[3]
    for w in range(px.size):
        y = y0 + sine(time - jy[w] + HALF_PI) + sine(time + jx[w])
        x = px[w] + sine(time - jx[w]) + sine(time + jy[w] + HALF_PI)
        # The light 1 / sqrt((py / (sin / 0.005))^2 + (px / (cos / 0.005))^2), with one division.
        s, k = sine(y + time), sine(x + time + HALF_PI)
        a, b = y0 * f64(0.005) * k, px[w] * f64(0.005) * s
        c[w] += abs(s * k) / np.sqrt(a * a + b * b)
        jy[w], jx[w] = y, x


@compiled
def _caustics(time: Any, size: Any, lines: Any, out: Any) -> None:
    for n in range(out.shape[0]):
        for h in range(out.shape[1]):
            down = f64(h) / size[n]
            y0 = (down - np.floor(down)) * f64(6.28318530718) - f64(250)
            for w in range(lines.shape[1]):
                across = f64(w) / size[n]
                lines[0, w] = (across - np.floor(across)) * f64(6.28318530718) - f64(250)
                lines[1, w], lines[2, w], lines[3, w] = y0, lines[0, w], f64(1)
            for m in range(5):
                _wave(h, time[n] * (f64(1) - f64(3.5) / f64(m + 1)), y0, lines)
            for w in range(lines.shape[1]):
                light = f64(1.17) - power(lines[3, w] * f64(0.2), f64(1.4))
                fourth = light * light * light * light
                out[n, h, w] = min(fourth * fourth, f64(1))


def caustics(time: Doubles, size: Doubles, height: int, width: int) -> Doubles:
    """Kernel of `ppbench.corruptions.bar.optics.caustics`."""
    out = np.empty((len(time), height, width))
    _caustics(time, size, np.empty((4, width)), out)
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
