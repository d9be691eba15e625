"""Reading images at other places, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import compiled, f64, i32, i64, u8
from ppbench.corruptions.types import Doubles, Indices, Pixels


@compiled
def _read_between(images: Any, top: Any, left: Any, down: Any, across: Any, inside: Any, out: Any) -> None:
    n, height, width, channels = images.shape
    for y in range(top.shape[0]):
        for x in range(top.shape[1]):
            if not inside[y, x]:
                continue
            above, below = max(top[y, x], 0), min(top[y, x] + 1, height - 1)
            before, after = max(left[y, x], 0), min(left[y, x] + 1, width - 1)
            for k in range(n):
                for c in range(channels):
                    a, b = f64(images[k, above, before, c]), f64(images[k, above, after, c])
                    upper = a + (b - a) * across[y, x]
                    a, b = f64(images[k, below, before, c]), f64(images[k, below, after, c])
                    lower = a + (b - a) * across[y, x]
                    out[k, y, x, c] = u8(i32(upper + (lower - upper) * down[y, x]))


def read_between(images: Pixels, top: Indices, left: Indices, down: Doubles, across: Doubles, inside: Any) -> Pixels:
    """Kernel of `ppbench.corruptions.views.read_between`."""
    out = np.zeros((len(images), *top.shape, images.shape[3]), np.uint8)
    _read_between(images, top, left, down, across, inside, out)
    return out


@compiled
def _read_weighted(images: Any, row: Any, column: Any, down: Any, across: Any, steps: int, out: Any) -> None:
    n, height, width, channels = images.shape
    for y in range(row.shape[0]):
        for x in range(row.shape[1]):
            for k in range(n):
                for c in range(channels):
                    total = i64(steps * steps // 2)
                    for i in range(2):
                        for j in range(2):
                            r, s = row[y, x] + i, column[y, x] + j
                            if 0 <= r < height and 0 <= s < width:
                                by_row = down[y, x] if i else steps - down[y, x]
                                by_column = across[y, x] if j else steps - across[y, x]
                                total += i64(images[k, r, s, c]) * by_row * by_column
                    out[k, y, x, c] = u8(total // (steps * steps))


def read_weighted(images: Pixels, row: Indices, column: Indices, down: Indices, across: Indices, steps: int) -> Pixels:
    """Kernel of `ppbench.corruptions.views.read_weighted`."""
    out = np.empty((len(images), *row.shape, images.shape[3]), np.uint8)
    _read_weighted(images, row, column, down, across, steps, out)
    return out
