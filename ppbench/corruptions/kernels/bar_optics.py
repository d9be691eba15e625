"""Images read at displaced places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.kernels import compiled, f32, f64, i32, i64, inlined, u8
from ppbench.corruptions.kernels.bar_maths import HALF_PI, sine
from ppbench.corruptions.types import Doubles, Indices, Pixels


@inlined
def bilinear(image: Any, y: Any, x: Any, c: int) -> Any:
    """A channel of ``image`` (H, W, C) between four pixels; those outside the image are 0."""
    top, left = i64(np.floor(y)), i64(np.floor(x))
    down, across = y - f64(top), x - f64(left)
    total = f64(0)
    if 0 <= top < image.shape[0]:
        if 0 <= left < image.shape[1]:
            total += (f64(1) - down) * (f64(1) - across) * f64(image[top, left, c])
        if 0 <= left + 1 < image.shape[1]:
            total += (f64(1) - down) * across * f64(image[top, left + 1, c])
    if 0 <= top + 1 < image.shape[0]:
        if 0 <= left < image.shape[1]:
            total += down * (f64(1) - across) * f64(image[top + 1, left, c])
        if 0 <= left + 1 < image.shape[1]:
            total += down * across * f64(image[top + 1, left + 1, c])
    return f32(total)


@compiled
def _wave(place: Any, time: Any, y0: Any, lines: Any) -> None:
    """One step of the ripples on a line: ``lines`` are px, jy, jx and the sum c."""
    px, jy, jx, c = lines[0], lines[1], lines[2], lines[3]
    for w in range(px.size):
        y = y0 + sine(time - jy[w] + HALF_PI) + sine(time + jx[w])
        x = px[w] + sine(time - jx[w]) + sine(time + jy[w] + HALF_PI)
        a, b = y0 * f64(0.005) / sine(y + time), px[w] * f64(0.005) / sine(x + time + HALF_PI)
        c[w] += f64(1) / np.sqrt(a * a + b * b)
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
                light = f64(1.17) - (lines[3, w] / f64(5)) ** f64(1.4)
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
    for n in range(images.shape[0]):
        image = scaled[n]
        for h in range(height):
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
                    shift = depth * bent / np.sqrt(a * a + b * b)
                    y, x = y + np.rint(shift * a * f64(1000)) / f64(1000), x + np.rint(shift * b * f64(1000)) / f64(1000)
                lit = light * (a - b)
                for c in range(channels):
                    value = min(max(f64(bilinear(image, y, x, c)) + lit, f64(0)), f64(1))
                    out[n, h, w, c] = u8(i32(value * f64(255)))


def refract(images: Pixels, surface: Doubles, depth: float, light: float) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.optics.refract`."""
    out, scaled = np.empty_like(images), images.astype(np.float32) / np.float32(255)
    _refract(images, surface, f64(depth), f64(light), scaled, out)
    return out


@compiled
def _read_grid(images: Any, rows: Any, columns: Any, out: Any) -> None:
    for n in range(images.shape[0]):
        image = images[n]
        for h in range(images.shape[1]):
            for w in range(images.shape[2]):
                for c in range(images.shape[3]):
                    value = bilinear(image, rows[n, h], columns[n, w], c)
                    out[n, h, w, c] = u8(i32(min(max(value, f32(0)), f32(255))))


def read_grid(images: Pixels, rows: Doubles, columns: Doubles) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.optics.read_grid`."""
    out = np.empty_like(images)
    _read_grid(images, rows, columns, out)
    return out


@compiled
def _twirl(images: Any, signs: Any, offsets: Any, inside: Any, cell: Any) -> None:
    """In place, one cell of an image after another."""
    side = inside.shape[0]
    half = f64(side) / f64(2)
    for n in range(images.shape[0]):
        image = images[n]
        for i in range(signs.shape[1]):
            for j in range(signs.shape[2]):
                y0, x0, map = j * side, i * side, offsets[signs[n, i, j]]
                for h in range(side):
                    for w in range(side):
                        for c in range(images.shape[3]):
                            if inside[h, w]:
                                y, x = f64(y0) + half + map[0, h, w], f64(x0) + half + map[1, h, w]
                                cell[h, w, c] = bilinear(image, y, x, c)
                            else:
                                cell[h, w, c] = images[n, y0 + h, x0 + w, c]
                images[n, y0 : y0 + side, x0 : x0 + side] = cell


def twirl(
    images: Pixels, signs: Indices, offsets: Doubles, inside: NDArray[np.bool_]
) -> Pixels:
    """Kernel of `ppbench.corruptions.bar.optics.twirl`."""
    made = images.astype(np.float32)
    _twirl(made, signs, offsets, inside, np.empty((*inside.shape, images.shape[3]), np.float32))
    return np.clip(made, 0, 255).astype(np.uint8)
