"""Intervals of means over few values: Student's t, Welch's difference, and the jackknife over draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ppbench.corruptions.types import Doubles


class Mean(NamedTuple):
    """A mean with its interval, whose ends are None if there are fewer than two values."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    """Number of values averaged."""


def mean_over_filters(values: Doubles, confidence: float = 0.95) -> Mean:
    """Return the mean of the finite ``values`` ``(n,)``, with its t interval: the filters count as a sample."""
    kept = values[np.isfinite(values)]
    if len(kept) < 2:
        return Mean(float(kept[0]) if len(kept) else None, None, None, len(kept))
    return _around(
        float(kept.mean()), float(kept.std(ddof=1)) / math.sqrt(len(kept)), len(kept) - 1, len(kept), confidence
    )


def welch_difference(ours: Doubles, theirs: Doubles, confidence: float = 0.95) -> Mean:
    """Return the mean of ``ours`` minus that of ``theirs``: independent samples of unequal variance.

    Source: Welch, Biometrika 1947. The degrees of freedom are rounded down.
    """
    a, b = ours[np.isfinite(ours)], theirs[np.isfinite(theirs)]
    if min(len(a), len(b)) < 2:
        return Mean(None, None, None, len(a) + len(b))
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    difference = float(a.mean() - b.mean())
    if va + vb == 0:
        return Mean(difference, difference, difference, len(a) + len(b))
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    return _around(difference, math.sqrt(va + vb), math.floor(freedom), len(a) + len(b), confidence)


def jackknife(
    statistic: Callable[[NDArray[np.bool_]], float], draws: int, *, blocks: int = 16, confidence: float = 0.95
) -> Mean:
    """Return a statistic of random draws with the interval due to the draws, by leaving out blocks of them.

    Args:
        statistic: The statistic, computed from the draws that a mask ``(draws,)`` keeps.
        draws: Number of draws, at least ``blocks``.
        blocks: Number of blocks, which are left out one after the other (Tukey 1958).
        confidence: Level of the interval.
    """
    value = statistic(np.ones(draws, bool))
    block = np.arange(draws) * blocks // draws
    left = np.array([statistic(block != number) for number in range(blocks)])
    error = math.sqrt((blocks - 1) / blocks * float(((left - left.mean()) ** 2).sum()))
    return _around(value, error, blocks - 1, draws, confidence)


def _around(value: float, error: float, freedom: int, n: int, confidence: float) -> Mean:
    reach = float(stdtrit(max(1, freedom), 0.5 + confidence / 2)) * error
    return Mean(value, value - reach, value + reach, n)
