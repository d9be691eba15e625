"""Plain intervals and tests of means over images, which those in use are held against."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import DataError
from ppbench.metrics.intervals import Interval, deviation, quantile, without_replacement

BLOCK = 1 << 22
"""Signs drawn at once by `permutation_p`."""


def mean_interval(
    values: NDArray[np.float64],
    confidence: float = 0.95,
    *,
    strata: NDArray[np.int64] | None = None,
    total: int | None = None,
) -> Interval:
    """The normal interval of a mean over images.

    Args:
        values: ``(n,)``, one an image, n at least 2.
        confidence: Of covering the true mean.
        strata: ``(n,)`` classes of the images, if equal shares of all classes were drawn (`deviation`).
        total: Images in the finite dataset, if the interval is to be about its mean.
    """
    return linear_interval(float(values.mean()), values, confidence, strata=strata, total=total)


def linear_interval(
    value: float,
    influence: NDArray[np.float64],
    confidence: float = 0.95,
    *,
    strata: NDArray[np.int64] | None = None,
    total: int | None = None,
) -> Interval:
    """The normal interval of a value that changes by the mean of ``influence``: the delta method.

    Args:
        value: The estimate.
        influence: ``(n,)``; a constant added to it changes nothing.
        confidence: Of covering the true value.
        strata: As in `mean_interval`.
        total: As in `mean_interval`.
    """
    n = len(influence)
    reach = quantile(confidence) * deviation(influence, strata) * math.sqrt(without_replacement(n, total) / n)
    return Interval(value, value - reach, value + reach)


def ratio_influence(
    numerators: NDArray[np.float64], denominators: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """A ratio of two means over the same images, and its influence ``(n,)`` for `linear_interval`.

    Raises:
        DataError: If the mean of the denominators is 0.
    """
    below = float(denominators.mean())
    if below == 0:
        raise DataError("the denominators have the mean 0", "Read the numerators' mean instead.")
    value = float(numerators.mean()) / below
    return value, (numerators - value * denominators) / below


def permutation_p(differences: NDArray[np.float64], draws: int, seed: int) -> float:
    """Two-sided p-value of exchangeable models: how often random signs give as large a mean difference.

    Args:
        differences: ``(n,)``, one an image.
        draws: Random sets of signs; the smallest p-value is 1 / (draws + 1).
        seed: Same seed, same p-value.
    """
    moving = differences[differences != 0]
    # Sums of the same numbers in another order differ in their last bits, which must not make a tie a difference.
    observed = abs(float(moving.sum())) - 1e-9 * float(np.abs(moving).sum())
    random = np.random.default_rng([0x5167, seed])
    block = max(1, BLOCK // max(1, len(moving)))
    reached = 0
    for start in range(0, draws, block):
        signs = random.integers(0, 2, (min(block, draws - start), len(moving)), np.int8) * 2.0 - 1
        reached += int((np.abs(signs @ moving) >= observed).sum())
    return (1 + reached) / (1 + draws)


def detectable(
    differences: NDArray[np.float64],
    power: float = 0.8,
    alpha: float = 0.05,
    *,
    strata: NDArray[np.int64] | None = None,
) -> float:
    """The smallest mean difference that a two-sided test on images like these would find, in the differences' unit.

    Args:
        differences: ``(n,)``, one an image, n at least 2.
        power: Probability of finding it.
        alpha: Probability of finding one where there is none.
        strata: As in `intervals.deviation`.
    """
    normal = NormalDist()
    reach = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    return reach * deviation(differences, strata) / math.sqrt(len(differences))
