"""Intervals of means over few values: Student's t, Welch's difference, and the jackknife over draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A mean with its interval; the ends are None where fewer than two values leave it unknown."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    """Values averaged."""


def mean_over_filters(values: Floats, confidence: float = 0.95) -> Estimate:
    """Mean and t interval of the finite ones of ``values`` ``(n,)``: for filters like these."""
    kept = values[np.isfinite(values)]
    if len(kept) < 2:
        return Estimate(float(kept[0]) if len(kept) else None, None, None, len(kept))
    return _around(
        float(kept.mean()), float(kept.std(ddof=1)) / math.sqrt(len(kept)), len(kept) - 1, len(kept), confidence
    )


def welch_difference(ours: Floats, theirs: Floats, confidence: float = 0.95) -> Estimate:
    """Mean of ``ours`` minus mean of ``theirs``, independent samples of unequal variance (Welch, Biometrika 1947)."""
    a, b = ours[np.isfinite(ours)], theirs[np.isfinite(theirs)]
    if min(len(a), len(b)) < 2:
        return Estimate(None, None, None, len(a) + len(b))
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    difference = float(a.mean() - b.mean())
    if va + vb == 0:
        return Estimate(difference, difference, difference, len(a) + len(b))
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    return _around(difference, math.sqrt(va + vb), math.floor(freedom), len(a) + len(b), confidence)


def jackknife(
    statistic: Callable[[NDArray[np.bool_]], float], draws: int, *, blocks: int = 16, confidence: float = 0.95
) -> Estimate:
    """A statistic of random draws with the interval that the draws alone leave, by leaving out blocks of them.

    Args:
        statistic: Of the draws that a mask ``(draws,)`` keeps.
        draws: How many there are, at least ``blocks``.
        blocks: Left out one after the other (Tukey 1958).
        confidence: Of the interval.
    """
    value = statistic(np.ones(draws, bool))
    block = np.arange(draws) * blocks // draws
    left = np.array([statistic(block != number) for number in range(blocks)])
    error = math.sqrt((blocks - 1) / blocks * float(((left - left.mean()) ** 2).sum()))
    return _around(value, error, blocks - 1, draws, confidence)


def t_quantile(confidence: float, freedom: int) -> float:
    """How many standard errors a two-sided t interval reaches to each side: 2.131 for 0.95 and 15 degrees."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_central(middle, freedom) < confidence else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _t_central(angle: float, freedom: int) -> float:
    """P(|T| < t) with ``tan(angle) = t / sqrt(freedom)``: Abramowitz & Stegun 26.7.3 and 26.7.4."""
    cosine, odd = math.cos(angle), freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 or not odd else 0.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= (step - 1) / step * cosine**2
        total += term
    total *= math.sin(angle)
    return (angle + total) * 2 / math.pi if odd else total


def _around(value: float, error: float, freedom: int, n: int, confidence: float) -> Estimate:
    reach = t_quantile(confidence, max(1, freedom)) * error
    return Estimate(value, value - reach, value + reach, n)
