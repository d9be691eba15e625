"""Rows of pixels as a line for each channel, which loops take in steps of many pixels, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppbench.corruptions.kernels import compiled, f64, i16, i32, inlined, u8
from ppbench.corruptions.types import Pixels


def flat_rows(images: Pixels) -> Pixels:
    """Images ``(n, H, W, C)`` as ``(n, H, W * C)``."""
    n, height, width, channels = images.shape
    return images.reshape(n, height, width * channels)


def lines_for(images: Pixels) -> Pixels:
    """Return room for a row's lines, ``(C, W)``."""
    return np.empty(images.shape[:1:-1], np.uint8)


@compiled
def separate(row: Any, lines: Any) -> None:
    """``lines (C, W)`` = the channels of a row ``(W * C,)``, of three or one."""
    first = lines[0]
    if lines.shape[0] == 3:
        second, third = lines[1], lines[2]
        for w in range(first.size):
            first[w], second[w], third[w] = row[3 * w], row[3 * w + 1], row[3 * w + 2]
    else:
        for w in range(first.size):
            first[w] = row[w]


@compiled
def interleave(lines: Any, row: Any) -> None:
    """The inverse of `separate`."""
    first = lines[0]
    if lines.shape[0] == 3:
        second, third = lines[1], lines[2]
        for w in range(first.size):
            row[3 * w], row[3 * w + 1], row[3 * w + 2] = first[w], second[w], third[w]
    else:
        for w in range(first.size):
            row[w] = first[w]


@inlined
def level(x: Any) -> Any:
    """Clip and truncate."""
    return u8(i32(min(max(x, f64(0)), f64(255))))


@inlined
def below(y: Any) -> Any:
    """The whole number below y, as far as a level can be moved."""
    return i16(i32(np.floor(min(max(y, f64(-256)), f64(256)))))


@inlined
def shifted(x: Any, whole: Any) -> Any:
    """``x + y``, clipped and truncated, for a level x and the whole number below y."""
    return u8(min(max(i16(i16(x) + whole), i16(0)), i16(255)))
