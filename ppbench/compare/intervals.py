"""The interval and the test of a mean difference over images, also where hardly any image makes one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ppbench.metrics.intervals import Interval, deviation, quantile, variance_slope
from ppbench.metrics.paired import paired_p
from ppbench.metrics.sequences import PSEUDO_IMAGES

POINTS = 100.0
"""The largest difference of two errors of an image."""


def floored_deviation(differences: NDArray[np.float64], largest: float = POINTS) -> float:
    """The standard deviation over images, wary of a variance that is low because few images differ.

    It is never less than if `PSEUDO_IMAGES` images made the largest difference: in a cell without any the interval is
    then nearly Tango's score interval (Statistics in Medicine 1998), of half-width z^2 / (n + z^2). As many images are
    added at `variance_slope`, the largest difference where all differ in one direction and 0 where as many do in the
    other: Agresti & Min (Statistics in Medicine 2005) add half an image to each of the four kinds of pair; here they
    are added only where the normal interval is wrong, so that it hardly changes ordinary differences.

    Args:
        differences: ``(n,)``, one an image, n at least 2.
        largest: What an image's difference may be, in their unit; used where none differs.
    """
    reach = float(np.abs(differences).max()) or largest
    floor = PSEUDO_IMAGES * reach**2 / len(differences)
    more = PSEUDO_IMAGES * variance_slope(differences) ** 2 / len(differences)
    return math.sqrt(max(deviation(differences) ** 2, floor) + more)


def paired_interval(differences: NDArray[np.float64], confidence: float, largest: float = POINTS) -> Interval:
    """The normal interval of a mean difference with the deviation of `floored_deviation`; never of width 0."""
    value = float(differences.mean())
    reach = quantile(confidence) * floored_deviation(differences, largest) / math.sqrt(len(differences))
    return Interval(value, value - reach, value + reach)


def paired_test(differences: NDArray[np.float64], largest: float = POINTS) -> float:
    """Two-sided p-value of no mean difference, by the same deviation; 1 where there is none."""
    mean = abs(float(differences.mean()))
    if mean == 0:
        return 1.0
    errors = mean / floored_deviation(differences, largest) * math.sqrt(len(differences))
    return max(paired_p(differences), math.erfc(errors / math.sqrt(2)))
