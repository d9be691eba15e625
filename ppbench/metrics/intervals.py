"""Intervals over images: docs/statistics.md says what population they are about.

The evaluated images count as a sample of *images like these*, so a full dataset has an interval too. Only if ``total``
is given, the interval is about the mean over that finite dataset, from which the images were drawn without replacement.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from ppbench.errors import DataError, UsageError

if TYPE_CHECKING:
    # `ppbench show` of a CSV needs no bits and starts faster without numpy.
    import numpy as np
    from numpy.typing import NDArray


EVEN = 0.1
"""How much shorter one side of an interval may be for ± to describe both, as a part of the longer side."""


class Interval(NamedTuple):
    """An estimate and the ends of its interval, in one unit."""

    value: float
    low: float
    high: float

    @property
    def margin(self) -> float:
        """The larger distance from the value to an end, which is printed after a ±."""
        return max(self.value - self.low, self.high - self.value)

    def is_even(self, unit: float) -> bool:
        """Whether ± `margin` describes the interval. If not, both ends must be printed.

        It does if the two sides differ by at most a tenth of the longer one, or by half of the last printed digit. A
        lopsided interval written with ± would seem to leave its range: 11.11 ± 32.39 is 1.99 to 43.50.

        Args:
            unit: Value of one step in the last printed digit.
        """
        shorter = min(self.value - self.low, self.high - self.value)
        return self.margin - shorter <= max(self._slack * self.margin, unit / 2)

    @property
    def _slack(self) -> float:
        return EVEN

    def scaled(self, factor: float) -> Interval:
        """Convert to another unit. A negative factor exchanges the ends."""
        low, high = sorted((factor * self.low, factor * self.high))
        return self._replace(value=factor * self.value, low=low, high=high)


class SequenceInterval(Interval):
    """Interval of a confidence sequence (`ppbench.metrics.confidence_sequence`) that stopped at a requested half-width.

    Tables must show exactly this interval. The mean need not be in its middle: after waiting for ± 3, a table with
    ± 3.22 would show another interval.
    """

    __slots__ = ()

    @property
    def _slack(self) -> float:
        return 0.0


SUREST = 1 - 1e-9
"""The highest confidence whose number of standard errors 64-bit arithmetic can represent."""


def quantile(confidence: float) -> float:
    """The number of standard errors on each side of a two-sided interval: 1.96 for 0.95.

    Raises:
        UsageError: If ``confidence`` is below 0.5 or not below 1. An interval that is more often wrong than right is
            most likely a percentage or a slip.
    """
    if not 0.5 <= confidence <= SUREST:
        raise UsageError(
            f"a confidence of {repr(confidence).removesuffix('.0')} is not allowed",
            "It is a fraction from 0.5 to below 1 (0.999999999 at most), such as 0.95.",
        )
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def student_quantile(n: float, confidence: float) -> float:
    """The number of standard errors on each side of a two-sided interval over n values: 2.36 for 8 and 0.95."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 0.5 + confidence / 2))


def student_p(errors: float, n: float) -> float:
    """The two-sided p-value of a mean over n values that lies so many standard errors from what is tested."""
    from scipy.special import stdtr

    return float(2 * stdtr(n - 1, -abs(errors)))


def satterthwaite_n(own: float, n: int, shared: float, passes: int) -> float:
    """The number of values whose Student quantile belongs to the sum of two estimated variances.

    It is one more than the degrees of freedom of Satterthwaite (Biometrics Bulletin 1946).

    Args:
        own: Variance of a mean over images.
        n: Number of images, at least 2.
        shared: Variance that passes whose images share draws add to it, in the same unit.
        passes: Number of passes, at least 2.
    """
    return 1 + (own + shared) ** 2 / (own**2 / (n - 1) + shared**2 / (passes - 1))


def wilson(successes: float, n: float, confidence: float = 0.95) -> Interval:
    """The score interval of a proportion (Wilson, JASA 1927), fractions in [0, 1].

    Args:
        successes: 0 to n. For `fraction_interval` neither number need be whole.
        n: Number of trials, above 0.
        confidence: Probability of covering the true proportion.
    """
    z, share = quantile(confidence), successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # The ends at 0 and 1 are exact in theory; the last bits of the roots are not.
    return Interval(share, max(0.0, min(share, centre - reach)), min(1.0, max(share, centre + reach)))


def fraction_interval(
    value: float, deviation: float, n: int, confidence: float = 0.95, shared: float = 0.0
) -> Interval:
    """Wilson's interval of a mean of per-image fractions, such as a mean error, for the effective number of images.

    n images with correlated cells are worth as much as value (1 - value) / standard error^2 images with one cell, and
    at least n (Dean & Pagano, J. Survey Statistics and Methodology 2015). For one cell the result is Wilson's own
    interval. Unlike a normal interval it stays in [0, 1], and it has a width even if no image is wrong.

    Args:
        value: The mean, in [0, 1].
        deviation: Standard deviation of the images' values.
        n: Number of images.
        confidence: Probability of covering the true mean.
        shared: Variance of the mean by what all images share, which no number of images makes smaller.
    """
    effective = n * value * (1 - value) / deviation**2 if deviation > 0 else n
    effective = max(n, effective)
    if shared > 0 and 0 < value < 1:
        effective = 1 / (1 / effective + shared / (value * (1 - value)))
    return wilson(value * effective, effective, confidence)


def without_replacement(n: int, total: int | None) -> float:
    """The factor by which the variance of a mean shrinks if n of ``total`` images were drawn: 1 - n / total.

    Raises:
        DataError: If there are more images than the dataset has.
    """
    if total is None:
        return 1.0
    if not 0 < n <= total:
        raise DataError(f"{n} images of a dataset of {total} are not allowed", f"It must be 1 to {total}.")
    return 1 - n / total


def deviation(values: NDArray[np.float64], strata: NDArray[np.int64] | None = None) -> float:
    """The standard deviation whose square over n is the variance of the mean over images.

    With strata, only the deviations within them count, because proportional shares leave no others (Cochran, Sampling
    Techniques, 3rd ed., chapter 5). Classes with one image have no deviation of their own and together count as one
    stratum, so the interval is too wide rather than too narrow (Cochran, section 5A.12).

    Args:
        values: ``(n,)``, n at least 2.
        strata: ``(n,)`` class numbers; None for a simple random sample.

    Raises:
        DataError: For fewer than 2 images.
    """
    import numpy as np

    if len(values) < 2:
        raise DataError(f"{len(values)} image has no interval", "Evaluate at least 2 images.")
    if strata is None:
        return float(values.std(ddof=1))
    groups = _collapsed(strata)
    counts = np.bincount(groups)
    means = np.bincount(groups, weights=values) / counts
    squares = np.bincount(groups, weights=(values - means[groups]) ** 2)
    return math.sqrt(float((squares * counts / (counts - 1)).sum()) / len(values))


def variance_slope(values: NDArray[np.float64]) -> float:
    """The slope of the variance over images as a function of their mean, in the values' unit; 0 if all are equal.

    It is the third cumulant over the second, as in exponential tilting (Efron, Canadian J. Statist. 1981). For values
    of 0 and 1 it is 1 - 2 mean, the slope of p (1 - p); for symmetric values it is 0. If it is large, a sample whose
    mean is too low by chance also has too low a variance, and a plain normal interval misses the mean.

    Args:
        values: ``(n,)``, n at least 1.
    """
    centred = values - values.mean()
    squares = centred * centred
    square = float(squares.sum())
    # A sum, not a dot product, whose result in a threaded library depends on the number of threads.
    return float((squares * centred).sum()) / square if square > 0 else 0.0


def _collapsed(strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(n,)`` strata numbered from 0. Strata of one image are joined, so that each has at least two."""
    import numpy as np

    groups = _numbered(strata)
    counts = np.bincount(groups)
    if counts.min() > 1:
        return groups
    alone = counts[groups] == 1
    if alone.sum() == 1 and len(strata) > 1:
        # There is no other to join, so it goes to the largest class, whose deviation it changes least.
        groups[alone] = np.argmax(counts)
    else:
        groups[alone] = groups[alone][0]
    return _numbered(groups)


def _numbered(strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(n,)`` the same strata in their order, numbered without gaps. Counting is much faster than sorting."""
    import numpy as np

    numbers: NDArray[np.int64] = (np.bincount(strata) > 0).cumsum() - 1
    return numbers[strata]
