"""Changes of colour on the CPU, in float64 as the references compute them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import compiled, f64, i32, inlined, u8
from ppbench.corruptions.types import Pixels

_BLOCK = 512
"""Pixels taken apart into three lines at a time."""


@inlined
def _level(x: Any) -> Any:
    return i32(min(max(x, f64(0)), f64(1)) * f64(255))


@inlined
def _shift(red: Any, green: Any, blue: Any, factor: Any, added: Any, raised: Any) -> None:
    """In place, for lines of one channel each. Choices in place of branches, so that it is vectorised."""
    for i in range(red.size):
        r, g, b = f64(i32(red[i])) / f64(255), f64(i32(green[i])) / f64(255), f64(i32(blue[i])) / f64(255)
        value = max(max(r, g), b)
        spread = value - min(min(r, g), b)
        coloured = spread > f64(0)
        # Blue before green before red: where two channels are the largest, scikit-image lets the later one count.
        start = f64(4) if b == value else (f64(2) if g == value else f64(0))
        lead = r - g if b == value else (b - r if g == value else g - b)
        hue = (start + lead / spread) / f64(6)
        hue = hue + f64(1) if hue < f64(0) else hue
        hue = hue if coloured else f64(0)
        saturation = spread / value if coloured else f64(0)

        saturation = min(max(saturation * factor + added, f64(0)), f64(1))
        value = min(max(value + raised, f64(0)), f64(1))

        sixth = np.floor(hue * f64(6))
        beyond = hue * f64(6) - sixth
        k = i32(sixth)
        beyond = beyond if k & 1 else f64(1) - beyond
        most, least = _level(value), _level(value * (f64(1) - saturation))
        middle = _level(value * (f64(1) - beyond * saturation))
        red[i] = u8(most if (k == 0) | (k == 5) else (middle if (k == 1) | (k == 4) else least))
        green[i] = u8(most if (k == 1) | (k == 2) else (middle if (k == 0) | (k == 3) else least))
        blue[i] = u8(most if (k == 3) | (k == 4) else (middle if (k == 2) | (k == 5) else least))


@compiled
def _shift_hsv(pixels: Any, factor: Any, added: Any, raised: Any, lines: Any, out: Any) -> None:
    for start in range(0, pixels.shape[0], lines.shape[1]):
        block, made = pixels[start : start + lines.shape[1]], out[start : start + lines.shape[1]]
        red, green, blue = lines[0, : len(block)], lines[1, : len(block)], lines[2, : len(block)]
        for i in range(len(block)):
            red[i], green[i], blue[i] = block[i, 0], block[i, 1], block[i, 2]
        _shift(red, green, blue, factor, added, raised)
        for i in range(len(block)):
            made[i, 0], made[i, 1], made[i, 2] = red[i], green[i], blue[i]


def shift_hsv(images: Pixels, factor: float, added: float, raised: float) -> Pixels:
    """Kernel of `ppbench.corruptions.colour.shift_hsv`."""
    out = np.empty_like(images)
    lines = np.empty((3, _BLOCK), np.uint8)
    _shift_hsv(images.reshape(-1, 3), factor, added, raised, lines, out.reshape(-1, 3))
    return out


@inlined
def _totals(image: Any, fractions: Any, totals: Any) -> None:
    """Sum per channel, one pixel after another: the references' order, and so their rounding."""
    if image.shape[1] == 3:
        red, green, blue = f64(0), f64(0), f64(0)
        for i in range(image.shape[0]):
            red += fractions[image[i, 0]]
            green += fractions[image[i, 1]]
            blue += fractions[image[i, 2]]
        totals[0], totals[1], totals[2] = red, green, blue
    else:
        grey = f64(0)
        for i in range(image.shape[0]):
            grey += fractions[image[i, 0]]
        totals[0] = grey


@compiled
def _scale_around_mean(images: Any, factor: Any, fractions: Any, totals: Any, table: Any, out: Any) -> None:
    count, channels = images.shape[1], images.shape[2]
    for n in range(images.shape[0]):
        image, made = images[n], out[n]
        _totals(image, fractions, totals)
        for ch in range(channels):
            mean = totals[ch] / count
            # A channel has 256 levels, so a small table gives the new level of every pixel.
            for v in range(256):
                table[ch, v] = u8(_level((fractions[v] - mean) * factor + mean))
        for i in range(count):
            for ch in range(channels):
                made[i, ch] = table[ch, image[i, ch]]


def scale_around_mean(images: Pixels, factor: float) -> Pixels:
    """Kernel of `ppbench.corruptions.colour.scale_around_mean`."""
    n, height, width, channels = images.shape
    shape, out = (n, height * width, channels), np.empty_like(images)
    totals, table = np.empty(channels), np.empty((channels, 256), np.uint8)
    _scale_around_mean(images.reshape(shape), factor, np.arange(256) / 255, totals, table, out.reshape(shape))
    return out
