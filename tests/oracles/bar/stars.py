"""Stars with rays of random lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracles.bar.fields import places


def rays(n: int, centre: np.ndarray, count: int, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Squared distance to the centre, length of the star in the pixel's direction, and how far off a ray's middle."""
    rows, columns = places(n)
    y, x = rows - centre[0], columns - centre[1]
    turn = (np.arctan2(x, y) + np.pi) / (2 * np.pi) * count
    i = np.floor(turn).astype(int)
    f = turn - i
    before, after = lengths[i % count], lengths[(i + 1) % count]
    return x**2 + y**2, before + f * (after - before), 1 - (f - 0.5) ** 2


def sparkles(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """Five stars."""
    n = len(image)
    size = 0.01 * s * n
    made = image.astype(np.float32)
    for centre, count, noise in zip(d["centres"], d["rays"], d["ray_noise"], strict=True):
        lengths = np.maximum(1, size + 0.25 * size * noise[:count])
        square, length, shape = rays(n, centre, int(count), lengths)
        light = np.clip(shape * length**2 / (square + 1e-4), 0, 1)[..., None]
        made = (made + light * (255 - made)).astype(np.float32)
    return made


def inverse_sparkles(image: np.ndarray, s: float, d: dict[str, Any]) -> np.ndarray:
    """White outside a star."""
    n, count = len(image), int(d["rays"])
    lengths = n / 4 + 0.25 * n / 4 * d["ray_noise"][:count]
    square, length, shape = rays(n, d["centre"], count, lengths)
    kept = np.clip(shape * (length**2 / (square + 1e-4)) ** (0.13 * s), 0, 1)
    return 255 + kept[..., None] * (image - 255.0)
