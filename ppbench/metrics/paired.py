"""Two models on the same images: the interval and the test of their difference, and how many images are needed.

Differences are taken per image, over any cells (`ppbench.metrics.per_image`). Images that both models get wrong cancel,
so pairs need far fewer images than two intervals side by side. Intervals and tests also hold if hardly any image
differs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import UsageError
from ppbench.metrics.confidence_sequence import PSEUDO_IMAGES
from ppbench.metrics.intervals import (
    Interval,
    deviation,
    quantile,
    satterthwaite_n,
    student_p,
    student_quantile,
    variance_slope,
)
from ppbench.metrics.quantities import MOST_POINTS

EXACT = 1000
"""The most discordant images (one model right, the other wrong) for which McNemar's mid-p is summed from binomials."""

POWER = 0.8
"""The probability of finding a difference of the size that the images are said to show."""


class Differences(NamedTuple):
    """What intervals and tests use of paired differences. Where several use the same ones, it is computed once."""

    n: int
    mean: float
    deviation: float
    """Over images, as `intervals.deviation` computes it."""
    slope: float
    """As `variance_slope` computes it."""
    farthest: float
    """The largest size of a difference; 0 if no image differs."""
    typical: float
    """The mean square of the differences over their mean size; 0 if no image differs."""
    between: float = 0.0
    """Variance that passes add to the mean where images share draws: that of the difference over passes, divided by
    their number. 0 if each image draws for itself, or nothing is drawn."""
    passes: int = 0
    """Number of these passes, at least 2; 0 without any."""

    @classmethod
    def of(cls, values: NDArray[np.float64] | Differences) -> Differences:
        """Summarise ``(n,)`` differences, one per image, n at least 2; a summary is returned as it is."""
        if isinstance(values, Differences):
            return values
        sizes = np.abs(values)
        farthest = float(sizes.max())
        typical = float((sizes**2).sum() / sizes.sum()) if farthest else 0.0
        return cls(len(values), float(values.mean()), deviation(values), variance_slope(values), farthest, typical)

    def over_passes(self, by_pass: NDArray[np.float64] | None) -> Differences:
        """Add what varies between passes in which all images share draws.

        Two models' passes are paired by their number: whether they have draws in common or not, the differences of the
        passes are independent of each other.

        Args:
            by_pass: ``(passes,)``, the difference in each, in the unit of the images' ones; None: not known.
        """
        if by_pass is None or len(by_pass) < 2:
            return self
        return self._replace(between=float(by_pass.var(ddof=1)) / len(by_pass), passes=len(by_pass))

    def whole_deviation(self, largest: float) -> tuple[float, float | None]:
        """The deviation whose square over n is the whole variance of the mean, and what `student_quantile` is of.

        The first is `floored_deviation`, with what varies between passes. The second is None for the normal quantile.
        """
        own = floored_deviation(self, largest)
        if self.between == 0:
            return own, None
        values = satterthwaite_n(own**2 / self.n, self.n, self.between, self.passes)
        return math.sqrt(own**2 + self.n * self.between), values


def floored_deviation(differences: NDArray[np.float64] | Differences, largest: float = MOST_POINTS) -> float:
    """The standard deviation over images, corrected where few images differ.

    It is at least as large as if `PSEUDO_IMAGES` images had the largest difference. For a cell without differences the
    interval is then nearly Tango's score interval (Statistics in Medicine 1998), of half-width z^2 / (n + z^2). As many
    images again are added at `variance_slope`: the largest difference if all images differ in one direction, 0 if as
    many differ in the other. Agresti & Min (Statistics in Medicine 2005) add half an image to each of the four kinds of
    pair. Here images are added only where the normal interval is wrong, so ordinary differences hardly change.

    Args:
        differences: ``(n,)``, one per image, n at least 2.
        largest: The largest possible difference of an image, in the same unit; used if no image differs.
    """
    seen = Differences.of(differences)
    reach = seen.farthest or largest
    floor = PSEUDO_IMAGES * reach**2 / seen.n
    more = PSEUDO_IMAGES * seen.slope**2 / seen.n
    return math.sqrt(max(seen.deviation**2, floor) + more)


def paired_interval(
    differences: NDArray[np.float64] | Differences, confidence: float, largest: float = MOST_POINTS
) -> Interval:
    """The normal interval of a mean difference with the deviation of `floored_deviation`; never of width 0.

    With what varies between passes it has Student's quantile.
    """
    seen = Differences.of(differences)
    whole, values = seen.whole_deviation(largest)
    errors = quantile(confidence) if values is None else student_quantile(values, confidence)
    reach = errors * whole / math.sqrt(seen.n)
    return Interval(seen.mean, seen.mean - reach, seen.mean + reach)


def paired_test(differences: NDArray[np.float64] | Differences, largest: float = MOST_POINTS) -> float:
    """Two-sided p-value of no mean difference, by the error of `paired_interval`; 1 if the mean is 0."""
    seen = Differences.of(differences)
    if seen.mean == 0:
        return 1.0
    whole, values = seen.whole_deviation(largest)
    errors = abs(seen.mean) / whole * math.sqrt(seen.n)
    p = math.erfc(errors / math.sqrt(2)) if values is None else student_p(errors, values)
    return max(normal_p(seen.mean, seen.deviation, seen.n), p)


def cell_test(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> float:
    """Two-sided p-value of equal accuracy in one cell: the larger of the p-values of McNemar's test and `paired_test`.

    The p-value is therefore never below 1 - confidence if the interval of that confidence contains 0.

    Args:
        right_a: ``(n,)``, True where the first model is right, n at least 2.
        right_b: ``(n,)``, the same for the second model.
    """
    points = MOST_POINTS * (right_a.astype(np.float64) - right_b)
    return max(mcnemar(right_a, right_b), paired_test(points))


def smallest_shown(
    differences: NDArray[np.float64] | Differences,
    alpha: float = 0.05,
    largest: float = MOST_POINTS,
    allowed: float = 0.0,
) -> float:
    """The smallest mean difference that the test finds with probability `POWER` on images like these.

    The variance is that of these images, but at least what the difference itself causes: a difference of d needs at
    least d / D of the images, where D is the typical size of their differences (mean square over mean size). So a small
    number of differing images does not promise that tiny differences can be found: of 500 images, 10 must differ in one
    cell, which is 2 points. The test uses the larger deviation of `floored_deviation`.

    Args:
        differences: ``(n,)``, one per image, n at least 2.
        alpha: Probability of finding a difference if there is none.
        largest: As in `floored_deviation`.
        allowed: The difference must be found to exceed this, not only 0.
    """
    seen, normal = Differences.of(differences), NormalDist()
    n, reach, typical = seen.n, seen.farthest or largest, seen.typical or largest
    tested, missed = normal.inv_cdf(1 - alpha / 2), normal.inv_cdf(POWER)
    values = seen.whole_deviation(largest)[1]
    if values is not None:
        tested, missed = student_quantile(values, 1 - alpha), student_quantile(values, 2 * POWER - 1)
    # Everything that is the same for all sizes: the search below asks for some forty.
    variance_seen, floor, root = seen.deviation**2, PSEUDO_IMAGES * reach**2 / n, math.sqrt(n)
    square_root, shared = math.sqrt, n * seen.between

    def is_shown(size: float) -> bool:
        variance = size * typical
        if variance < variance_seen:
            variance = variance_seen
        # D if all differing images differ in one direction, less if some differ in the other.
        slope = typical * size * typical / variance
        looked_at = (variance if variance > floor else floor) + PSEUDO_IMAGES * slope**2 / n + shared
        return (size - allowed) * root >= tested * square_root(looked_at) + missed * square_root(variance + shared)

    # Every large enough size is shown: double until one is, then bisect.
    low, high = 0.0, reach
    while not is_shown(high):
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if is_shown(middle) else (middle, high)
    return high


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> float:
    """Two-sided p-value of equal accuracy in one cell (McNemar, Psychometrika 1947), mid-p.

    Mid-p is the exact binomial test with half the probability of the observed table. The exact test counts it whole and
    finds too little (Fagerland, Lydersen & Laake, BMC Medical Research Methodology 2013). With more than `EXACT`
    discordant images, chi-square without correction replaces it; there the two differ by less than 1e-4.

    Args:
        right_a: ``(n,)``, True where the first model is right.
        right_b: ``(n,)``, the same for the second model.
    """
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    discordant, fewer = only_a + only_b, min(only_a, only_b)
    if discordant == 0:
        return 1.0
    if discordant > EXACT:
        return math.erfc(abs(only_a - only_b) / math.sqrt(2 * discordant))
    twice = 2 * sum(math.comb(discordant, k) for k in range(fewer)) + math.comb(discordant, fewer)
    # Integers are divided, because 2 to the power of 1000 is near the largest floating-point number.
    return min(1.0, twice / 2**discordant)


def normal_p(mean: float, spread: float, n: int) -> float:
    """Two-sided p-value of a mean difference of 0 over n images, by the normal approximation.

    Args:
        mean: Mean of the differences.
        spread: Their standard deviation, in the same unit.
        n: Number of images.
    """
    if mean == 0:
        return 1.0
    if spread == 0:
        # All images differ equally. The normal approximation would claim certainty; the sign test does not.
        return min(1.0, 2 * 0.5**n)
    return math.erfc(abs(mean) / spread * math.sqrt(n / 2))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of many tests at once, adjusted to keep the family-wise error (Holm, Scand. J. Statist. 1979)."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        # The order of the p-values is kept: none is adjusted to less than a smaller one.
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def images_alone(seen: Differences, difference: float, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """The difference that `images_needed` has to find where passes add a variance that no number of images lowers.

    None if that variance alone hides it.

    Args:
        seen: The differences.
        difference: Size of the difference to find, above 0.
        power: Probability of finding it.
        alpha: Probability of finding a difference if there is none.
    """
    if seen.between == 0:
        return difference
    tested, missed = (student_quantile(seen.passes, level) for level in (1 - alpha, 2 * power - 1))
    rest = difference**2 - (tested + missed) ** 2 * seen.between
    return math.sqrt(rest) if rest > 0 else None


def images_needed(deviation: float, difference: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """The number of images needed to find a mean difference, by the normal approximation.

    With a power of 0.5, it is the number at which an interval of confidence 1 - alpha has ``difference`` as half-width.

    Args:
        deviation: Standard deviation over images of the compared values, as `intervals.deviation` computes it.
        difference: Above 0, in the same unit.
        power: Probability of finding the difference.
        alpha: Probability of finding a difference if there is none.

    Raises:
        UsageError: If ``difference`` is not above 0, or a probability is not between 0 and 1.
    """
    if not difference > 0:
        raise UsageError(f"a difference of {difference:g} is not allowed", "It must be above 0.")
    for name, value in (("power", power), ("alpha", alpha)):
        if not 0 < value < 1:
            raise UsageError(f"{name} {value:g} is not allowed", "It must be a fraction between 0 and 1.")
    normal = NormalDist()
    reach = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)  # standard errors
    return max(2, math.ceil((reach * deviation / difference) ** 2))
