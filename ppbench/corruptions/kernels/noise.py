"""Noise on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.kernels import compiled, f32, i32, i64, u8, u32
from ppbench.corruptions.types import Floats, Pixels


@compiled
def _add_noise(image: Any, noise: Any, std: Any, relative: bool, out: Any) -> None:
    for i in range(image.size):
        x = f32(image[i]) / f32(255)
        y = x + noise[i] * f32(std) * (x if relative else f32(1))
        out[i] = u8(i32(min(max(y, f32(0)), f32(1)) * f32(255)))


def add_noise(images: Pixels, noise: Floats, std: float, relative: bool) -> Pixels:
    """Kernel of `ppbench.corruptions.noise.add_noise`."""
    out = np.empty_like(images)
    _add_noise(images.ravel(), noise.ravel(), np.float32(std), relative, out.ravel())
    return out


@compiled
def _replace(image: Any, words: Any, below: Any, out: Any) -> None:
    for i in range(image.size):
        word = words[i]
        salt = u8(255) if word & u32(1) else u8(0)
        out[i] = salt if (word >> u32(1)) < below else image[i]


def replace(images: Pixels, words: NDArray[np.int32], fraction: float) -> Pixels:
    """Kernel of `ppbench.corruptions.noise.replace`."""
    out = np.empty_like(images)
    _replace(images.ravel(), words.view(np.uint32).ravel(), np.uint32(round(fraction * 2**31)), out.ravel())
    return out


@compiled
def _detect(image: Any, words: Any, thresholds: Any, guide: Any, levels: Any, out: Any) -> None:
    last = thresholds.shape[1]
    for i in range(image.size):
        row, word = i64(image[i]), words[i]
        # The guide spares the search from the first count on: a few steps are left.
        count = i64(guide[row, i64(word >> u32(23))])
        while count < last and word >= thresholds[row, count]:
            count += 1
        out[i] = levels[count]


def detect(
    images: Pixels, words: NDArray[np.int32], thresholds: NDArray[np.uint32], guide: NDArray[np.uint16], levels: Pixels
) -> Pixels:
    """Kernel of `ppbench.corruptions.noise.detect`."""
    out = np.empty_like(images)
    _detect(images.ravel(), words.view(np.uint32).ravel(), thresholds, guide, levels, out.ravel())
    return out
