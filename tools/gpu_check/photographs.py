"""Images to check with, made by computation: no file and no network is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def photographs(count: int, height: int, width: int, channels: int = 3, *, seed: int = 0) -> Pixels:
    """Images with the spectrum of photographs (amplitude 1/f), edges, and areas of pure black and white.

    Returns:
        ``(count, height, width, channels)`` uint8.
    """
    draw = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 1 / max(height, width))
    shape = (count, channels + 1, height, width)
    waves = np.fft.irfft2(np.fft.rfft2(draw.standard_normal(shape)) * amplitude, s=(height, width))
    waves /= waves.std(axis=(2, 3), keepdims=True)
    # Most of a photograph's light is common to its channels.
    mixed = 0.85 * waves[:, :1] + 0.5 * waves[:, 1:]
    images = 118 + 58 * mixed
    for image in images:
        top, left = draw.integers(0, max(1, height // 2)), draw.integers(0, max(1, width // 2))
        image[:, top : top + height // 3, left : left + width // 3] += draw.uniform(-160, 160, (channels, 1, 1))
    return np.ascontiguousarray(images.clip(0, 255).round().astype(np.uint8).transpose(0, 2, 3, 1))


def write_folder(root: Path, count: int, classes: list[str], *, height: int = 375, width: int = 500) -> Path:
    """Write JPEGs of the size of ImageNet's into folders of classes, unless they are there; equal for equal counts."""
    if (root / "complete").exists():
        return root
    distinct = photographs(min(count, 16), height, width)
    for number in range(count):
        image = np.roll(distinct[number % len(distinct)], 7 * (number // len(distinct)), axis=1)
        path = root / classes[number % len(classes)] / f"{number:05}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, quality=92)
    (root / "complete").touch()
    return root
