"""Intervals over images: docs/statistics.md says what population they are about.

The images evaluated count as a sample of *images like these*, so a full dataset has an interval too. Only where
``total`` is given is the interval about the mean over that finite dataset, of which the images were drawn without
replacement.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from ppbench.errors import DataError, UsageError

if TYPE_CHECKING:
    # `ppbench show` of a CSV has no bits, and answers sooner without numpy.
    import numpy as np
    from numpy.typing import NDArray


EVEN = 0.1
"""Of the longer side of an interval, by which the shorter may fall below it where ± is still said of both."""


class Interval(NamedTuple):
    """An estimate and the ends of its interval, in one unit."""

    value: float
    low: float
    high: float

    @property
    def margin(self) -> float:
        """The larger distance from the value to an end: what stands after a ±."""
        return max(self.value - self.low, self.high - self.value)

    def is_even(self, unit: float) -> bool:
        """Whether ± `margin` says what the ends say; where it does not, the ends themselves must stand there.

        It then says so of both sides within a tenth, or within half of the last digit that is printed. A lopsided
        interval would seem to leave its range: 11.11 ± 32.39 is 1.99 to 43.50.

        Args:
            unit: Of the last digit that is printed.
        """
        shorter = min(self.value - self.low, self.high - self.value)
        return self.margin - shorter <= max(self._slack * self.margin, unit / 2)

    @property
    def _slack(self) -> float:
        return EVEN

    def scaled(self, factor: float) -> Interval:
        """In another unit; a negative factor exchanges the ends."""
        low, high = sorted((factor * self.low, factor * self.high))
        return self._replace(value=factor * self.value, low=low, high=high)


class SequenceInterval(Interval):
    """Of a confidence sequence (`ppbench.metrics.confidence_sequence`), which stopped at the half-width asked for.

    No other half-width may stand in a table. The mean need not be in the middle: ± 3.22 where ± 3 was waited for would
    be another interval.
    """

    __slots__ = ()

    @property
    def _slack(self) -> float:
        return 0.0


SUREST = 1 - 1e-9
"""A confidence beyond is no number of standard errors that arithmetic of 64 bits can tell."""


def quantile(confidence: float) -> float:
    """How many standard errors a two-sided interval reaches to each side: 1.96 for 0.95.

    Raises:
        UsageError: If ``confidence`` is below 0.5 or not below 1: an interval that is more often wrong than right is a
            percentage mistaken, or a slip.
    """
    if not 0.5 <= confidence <= SUREST:
        raise UsageError(
            f"a confidence of {repr(confidence).removesuffix('.0')} is not allowed",
            "It is a fraction from 0.5 to below 1 (0.999999999 at most), such as 0.95.",
        )
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(successes: float, n: float, confidence: float = 0.95) -> Interval:
    """The score interval of a proportion (Wilson, JASA 1927), fractions in [0, 1].

    Args:
        successes: 0 to n; with `fraction_interval` neither need be whole.
        n: Above 0.
        confidence: Of covering the true proportion.
    """
    z, share = quantile(confidence), successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # The ends at 0 and 1 are exact in theory; the last bits of the roots are not.
    return Interval(share, max(0.0, min(share, centre - reach)), min(1.0, max(share, centre + reach)))


def fraction_interval(value: float, deviation: float, n: int, confidence: float = 0.95) -> Interval:
    """The interval of a mean of per-image fractions, such as a mean error: Wilson's for the effective number of images.

    n correlated cells an image tell as much as value (1 - value) / standard error^2 images with one cell, never fewer
    than n (Dean & Pagano, J. Survey Statistics and Methodology 2015). Of one cell it is Wilson's own, and unlike a
    normal interval it stays in [0, 1] and has a width where nothing went wrong.

    Args:
        value: The mean, in [0, 1].
        deviation: Standard deviation of the images' values.
        n: Images.
        confidence: Of covering the true mean.
    """
    effective = n * value * (1 - value) / deviation**2 if deviation > 0 else n
    effective = max(n, effective)
    return wilson(value * effective, effective, confidence)


def without_replacement(n: int, total: int | None) -> float:
    """What the variance of a mean is multiplied by where n of ``total`` images were drawn: 1 - n / total.

    Raises:
        DataError: If there are more images than the dataset has.
    """
    if total is None:
        return 1.0
    if not 0 < n <= total:
        raise DataError(f"{n} images of a dataset of {total} are not allowed", f"1 to {total} are.")
    return 1 - n / total


def deviation(values: NDArray[np.float64], strata: NDArray[np.int64] | None = None) -> float:
    """The standard deviation whose square over n is the variance of the mean over images.

    With strata it is of the deviations within them, as shares in proportion leave no other: Cochran, Sampling
    Techniques, 3rd ed., chapter 5. Classes with one image have no deviation of their own and count as one stratum
    together, so that the interval is rather too wide than too narrow (Cochran, section 5A.12).

    Args:
        values: ``(n,)``, n at least 2.
        strata: ``(n,)`` class numbers; None for a simple random sample.

    Raises:
        DataError: For fewer than 2 images.
    """
    import numpy as np

    if len(values) < 2:
        raise DataError(f"{len(values)} image has no interval", "Evaluate 2 images at least.")
    if strata is None:
        return float(values.std(ddof=1))
    groups = _collapsed(strata)
    counts = np.bincount(groups)
    means = np.bincount(groups, weights=values) / counts
    squares = np.bincount(groups, weights=(values - means[groups]) ** 2)
    return math.sqrt(float((squares * counts / (counts - 1)).sum()) / len(values))


def variance_slope(values: NDArray[np.float64]) -> float:
    """By how much the variance over images rises with their mean, in the values' unit; 0 where none differs.

    Third cumulant over second, what exponential tilting gives (Efron, Canadian J. Statist. 1981). Of values of 0 and 1
    it is 1 - 2 mean, as p (1 - p) has it; where values lie evenly around their mean it is 0. Where it is large, a
    sample whose mean is too low by chance has too low a variance as well, and a plain normal interval misses.

    Args:
        values: ``(n,)``, n at least 1.
    """
    centred = values - values.mean()
    squares = centred * centred
    square = float(squares.sum())
    # A sum, not a dot product: that of a threaded library waits for its threads, and differs by their number.
    return float((squares * centred).sum()) / square if square > 0 else 0.0


def _collapsed(strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(n,)`` strata numbered from 0, of two images at least: those of one image are joined."""
    import numpy as np

    _, groups, counts = np.unique(strata, return_inverse=True, return_counts=True)
    alone = counts[groups] == 1
    if alone.sum() == 1 and len(strata) > 1:
        groups[alone] = np.argmax(counts)
    elif alone.any():
        groups[alone] = groups[alone][0]
    return np.unique(groups, return_inverse=True)[1]
