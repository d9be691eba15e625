"""Inverse Fourier transforms of real fields whose sides are powers of 2, or seven times one.

Many lines are transformed at once: a position has the real parts of `AT_ONCE` lines, then their imaginary parts. Each
pass of a transform takes out a factor of the length, and writes what belongs together side by side, so that numba sees
that a loop writes nowhere it reads, and vectorises it. The result is in another order, see `places`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ppbench.corruptions.kernels import compiled, f64, inlined
from ppbench.corruptions.types import Doubles, Indices

AT_ONCE = 16
"""Lines."""


@lru_cache(maxsize=64)
def factors_of(side: int) -> tuple[int, ...]:
    """The factors of a length: fours, then a 2, then a 7; empty if it has others."""
    power = side // 7 if side % 7 == 0 else side
    if power & (power - 1):
        return ()
    twos = power.bit_length() - 1
    return (4,) * (twos // 2) + (2,) * (twos % 2) + (7,) * (side != power)


@lru_cache(maxsize=64)
def places(side: int) -> Indices:
    """At which position each of the results is: digits of its number, by the factors, in reverse order."""
    found, number = np.zeros(side, np.int64), np.arange(side)
    for factor in factors_of(side):
        found = found * factor + number % factor
        number //= factor
    return found


@lru_cache(maxsize=64)
def circle(side: int) -> Doubles:
    """Cosines and sines of the parts of a turn, ``(2, side)``."""
    turns = 2 * np.pi * np.arange(side) / side
    return np.array([np.cos(turns), np.sin(turns)])


@inlined
def times(r: Any, i: Any, by: Any) -> Any:
    """A complex product."""
    return r * by[0] - i * by[1], r * by[1] + i * by[0]


@compiled
def _by_two(x: Any, y: Any, parts: int, lines: int, turns: Any) -> None:
    for p in range(parts):
        w = turns[0, p * lines], turns[1, p * lines]
        for q in range(lines):
            a, b = 2 * AT_ONCE * (p * lines + q), 2 * AT_ONCE * ((p + parts) * lines + q)
            o = 2 * a
            for k in range(AT_ONCE):
                ar, ai, br, bi = x[a + k], x[a + AT_ONCE + k], x[b + k], x[b + AT_ONCE + k]
                y[o + k], y[o + AT_ONCE + k] = ar + br, ai + bi
                y[o + 2 * AT_ONCE + k], y[o + 3 * AT_ONCE + k] = times(ar - br, ai - bi, w)


@compiled
def _by_four(x: Any, y: Any, parts: int, lines: int, turns: Any) -> None:
    for p in range(parts):
        u = turns[0, p * lines], turns[1, p * lines]
        v = turns[0, 2 * p * lines], turns[1, 2 * p * lines]
        w = turns[0, 3 * p * lines], turns[1, 3 * p * lines]
        for q in range(lines):
            a, far = 2 * AT_ONCE * (p * lines + q), 2 * AT_ONCE * parts * lines
            b, c, d, o = a + far, a + 2 * far, a + 3 * far, 4 * a
            for k in range(AT_ONCE):
                sr, si, tr, ti = x[a + k], x[a + AT_ONCE + k], x[c + k], x[c + AT_ONCE + k]
                er, ei, fr, fi = sr + tr, si + ti, sr - tr, si - ti
                sr, si, tr, ti = x[b + k], x[b + AT_ONCE + k], x[d + k], x[d + AT_ONCE + k]
                gr, gi, hr, hi = sr + tr, si + ti, sr - tr, si - ti
                y[o + k], y[o + AT_ONCE + k] = er + gr, ei + gi
                y[o + 2 * AT_ONCE + k], y[o + 3 * AT_ONCE + k] = times(fr - hi, fi + hr, u)
                y[o + 4 * AT_ONCE + k], y[o + 5 * AT_ONCE + k] = times(er - gr, ei - gi, v)
                y[o + 6 * AT_ONCE + k], y[o + 7 * AT_ONCE + k] = times(fr + hi, fi - hr, w)


_C1, _C2, _C3 = (f64(np.cos(2 * np.pi * k / 7)) for k in (1, 2, 3))
_S1, _S2, _S3 = (f64(np.sin(2 * np.pi * k / 7)) for k in (1, 2, 3))


@inlined
def even_sevenths(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Sums of a and the sums of opposite terms, weighed by cosines."""
    return a + _C1 * b + _C2 * c + _C3 * d, a + _C2 * b + _C3 * c + _C1 * d, a + _C3 * b + _C1 * c + _C2 * d


@inlined
def odd_sevenths(b: Any, c: Any, d: Any) -> Any:
    """Sums of the differences of opposite terms, weighed by sines."""
    return _S1 * b + _S2 * c + _S3 * d, _S2 * b - _S3 * c - _S1 * d, _S3 * b - _S1 * c + _S2 * d


@compiled
def _by_seven(x: Any, y: Any, lines: int) -> None:
    """The last pass."""
    far = 2 * AT_ONCE * lines
    for q in range(lines):
        a = 2 * AT_ONCE * q
        o, b, c, d, e, f, g = 7 * a, a + far, a + 2 * far, a + 3 * far, a + 4 * far, a + 5 * far, a + 6 * far
        for k in range(AT_ONCE):
            h, i = k, AT_ONCE + k  # real and imaginary parts
            x1, y1, x6, y6 = x[b + h] + x[g + h], x[b + i] + x[g + i], x[b + h] - x[g + h], x[b + i] - x[g + i]
            x2, y2, x5, y5 = x[c + h] + x[f + h], x[c + i] + x[f + i], x[c + h] - x[f + h], x[c + i] - x[f + i]
            x3, y3, x4, y4 = x[d + h] + x[e + h], x[d + i] + x[e + i], x[d + h] - x[e + h], x[d + i] - x[e + i]
            y[o + h], y[o + i] = x[a + h] + x1 + x2 + x3, x[a + i] + y1 + y2 + y3
            x1, x2, x3 = even_sevenths(x[a + h], x1, x2, x3)
            y1, y2, y3 = even_sevenths(x[a + i], y1, y2, y3)
            x6, x5, x4 = odd_sevenths(x6, x5, x4)
            y6, y5, y4 = odd_sevenths(y6, y5, y4)
            y[o + 2 * AT_ONCE + h], y[o + 2 * AT_ONCE + i] = x1 - y6, y1 + x6
            y[o + 4 * AT_ONCE + h], y[o + 4 * AT_ONCE + i] = x2 - y5, y2 + x5
            y[o + 6 * AT_ONCE + h], y[o + 6 * AT_ONCE + i] = x3 - y4, y3 + x4
            y[o + 8 * AT_ONCE + h], y[o + 8 * AT_ONCE + i] = x3 + y4, y3 - x4
            y[o + 10 * AT_ONCE + h], y[o + 10 * AT_ONCE + i] = x2 + y5, y2 - x5
            y[o + 12 * AT_ONCE + h], y[o + 12 * AT_ONCE + i] = x1 + y6, y1 - x6


@compiled
def transform(x: Any, y: Any, factors: Any, turns: Any) -> Any:
    """Transform lines ``(side * 2 * AT_ONCE,)``; return which of the two arrays has the result, and change both."""
    parts, lines = turns.shape[1], 1
    for factor in factors:
        parts //= factor
        if factor == 4:
            _by_four(x, y, parts, lines, turns)
        elif factor == 2:
            _by_two(x, y, parts, lines, turns)
        else:
            _by_seven(x, y, lines)
        lines *= factor
        x, y = y, x
    return x


@compiled
def _columns(spectrum: Any, spare: Any, factors: Any, turns: Any, order: Any, table: Any) -> None:
    """``table (H, 2, W')`` = the transform of blocks of columns ``(blocks, H * 2 * AT_ONCE)``."""
    for block in range(spectrum.shape[0]):
        made, left = transform(spectrum[block], spare, factors, turns), block * AT_ONCE
        for h in range(table.shape[0]):
            at, re, im = 2 * AT_ONCE * order[h], table[h, 0], table[h, 1]
            for k in range(AT_ONCE):
                re[left + k] = made[at + k]
            for k in range(AT_ONCE):
                im[left + k] = made[at + AT_ONCE + k]


@compiled
def _rows(table: Any, x: Any, y: Any, factors: Any, turns: Any, order: Any, out: Any) -> None:
    """Transform rows, of which the table has half, to real ones: two at a time, one as the other's imaginary part."""
    height, width = out.shape
    half = (height + 1) // 2
    for first in range(0, half, AT_ONCE):
        for q in range(width // 2 + 1):
            to, back = 2 * AT_ONCE * q, 2 * AT_ONCE * (width - q if q else 0)
            for k in range(AT_ONCE):
                upper = min(first + k, half - 1)
                lower = upper + half if upper + half < height else upper
                ar, ai, br, bi = table[upper, 0, q], table[upper, 1, q], table[lower, 0, q], table[lower, 1, q]
                x[to + k], x[to + AT_ONCE + k] = ar - bi, ai + br
                x[back + k], x[back + AT_ONCE + k] = ar + bi, br - ai
        made = transform(x, y, factors, turns)
        for w in range(width):
            at = 2 * AT_ONCE * order[w]
            for k in range(min(AT_ONCE, half - first)):
                out[first + k, w] = made[at + k]
            for k in range(min(AT_ONCE, height - half - first)):
                out[half + first + k, w] = made[at + AT_ONCE + k]


def transform_of(height: int, width: int) -> Callable[[Doubles, Doubles], None]:
    """Return what makes a field ``(H, W)`` of half of its spectrum, without dividing by H W.

    Its first argument is the half that `numpy.fft.irfft2` takes, ``(blocks, H * 2 * AT_ONCE)``: blocks of columns; of
    each row the real parts, then the imaginary ones. It is overwritten. The second one gets the field. Other sides
    than powers of 2, or seven times one, are left to scipy.
    """
    if not (factors_of(height) and factors_of(width)):
        return _by_scipy
    down, across = ((np.array(factors_of(side)), circle(side), places(side)) for side in (height, width))
    one, two = np.empty((2, 2 * AT_ONCE * max(height, width)))
    table = np.empty((height, 2, -(-(width // 2 + 1) // AT_ONCE) * AT_ONCE))

    def make(spectrum: Doubles, out: Doubles) -> None:
        _columns(spectrum, one[: 2 * AT_ONCE * height], *down, table)
        _rows(table, one[: 2 * AT_ONCE * width], two[: 2 * AT_ONCE * width], *across, out)

    return make


def _by_scipy(spectrum: Doubles, out: Doubles) -> None:
    from scipy.fft import irfft2

    height, width = out.shape
    parts = spectrum.reshape(-1, height, 2, AT_ONCE).transpose(2, 1, 0, 3).reshape(2, height, -1)
    out[:] = irfft2((parts[0] + 1j * parts[1])[:, : width // 2 + 1], s=(height, width), norm="forward")
