"""A confidence sequence: intervals of a mean over images that hold at every look, so an evaluation may stop at any.

An ordinary interval assumes a fixed number of images. If it is looked at again and again until it is narrow or excludes
a value, it covers less often than it claims. The sum of the deviations from the mean behaves like a Brownian motion in
the information gathered. Here two bounds that hold for all time enclose it:

- Up to the planned information, a constant bound from the reflection principle. It is narrowest where the plan ends,
  like the boundary of O'Brien & Fleming, Biometrics 1979, but for any number of looks.
- At all times, the normal mixture of Robbins, Ann. Math. Statist. 1970, as in Waudby-Smith et al., "Time-uniform
  central limit theory and asymptotic confidence sequences", 2021. With it the evaluation may continue after the plan.

Both hold asymptotically, like every normal interval. Pseudo-images guard against what a few images cannot show, and
simulations measure the coverage (docs/statistics.md). The mixture alone would need 2.4 times as many images as an
interval for a fixed number of images; with the first bound it is 1.36 times, in practice 1.4 to 1.6.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import UsageError
from ppbench.metrics.intervals import (
    Interval,
    SequenceInterval,
    deviation,
    quantile,
    variance_slope,
    without_replacement,
)

PLANNED_SHARE = 0.9
"""Share of the error probability for the bound up to the planned information. The mixture has the rest."""
MIXTURE_SCALE = 2.0
"""Robbins' t rho^2 at the planned information. In standard errors the mixture is narrowest at six times this plan."""
PSEUDO_IMAGES = 4.0
"""Images as far from the mean as possible that are added to the variance, as Agresti & Coull (Am. Stat. 1998) add four
observations. Rare images far from the mean may not have been seen yet, and only the possible range says how far they
can be. Until the first of them is seen, the sequence reaches 2.28 sqrt(4) / n of that distance: it excludes a share p
of them only if the probability of not having met one, exp(-n p), is 1 %."""
SLOPE_IMAGES = 10.0
"""Images at `variance_slope` from the mean, added likewise. If the variance rises with the mean, both are too low at
the same time, and the sequence would stop too early on the wrong side. The number comes from simulations: with five,
sequences of an error of 3 % held in 94.5 % of the runs, with ten in 95.6 % (docs/statistics.md)."""
_ROUNDING = 1e-9
"""Part of the possible range by which a value may exceed it: sums of weights are rounded."""
FIRST_LOOK = 30
"""Images before the first finite interval. With fewer, the deviation is too uncertain to divide by."""


class ConfidenceSequence:
    """Intervals of a mean over images that come in chunks, in a random order."""

    def __init__(
        self,
        confidence: float = 0.95,
        *,
        half_width: float | None = None,
        images: int | None = None,
        available: int | None = None,
        total: int | None = None,
        bounds: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        """Plan a sequence. Either ``half_width`` or ``images`` says where it is narrowest.

        The plan must not depend on anything that the images will show.

        Args:
            confidence: Probability of covering the mean at all looks.
            half_width: Half-width at which the evaluation will stop, in the values' unit.
            images: Or the number of images at which it will stop.
            available: Number of images that can be looked at; None if it is unlimited. If they are too few for
                ``half_width``, the sequence is narrowest at the last of them. Planned for more images it would be wide
                there, and leave open what it could decide.
            total: Number of images in the finite dataset. The sequence is then about its mean and has no width at all
                images. None: it is about images like these.
            bounds: Smallest and largest possible value of an image: 0 and 1 for errors, -1 and 1 for differences of
                errors, the sums of the negative and of the positive weights for a weighted sum of errors. No interval
                exceeds them, and the variance allows for unseen rare images at these bounds.

        Raises:
            UsageError: If not exactly one plan is given, a number is not above 0, or the bounds have no width.
        """
        quantile(confidence)  # refuses what is none
        given = {"half_width": half_width, "images": images, "available": available}
        bad = [name for name, value in given.items() if value is not None and not value > 0]
        if bad:
            raise UsageError(f"{bad[0]} {given[bad[0]]:g} is not allowed", "It is above 0.")
        if not bounds[0] < bounds[1]:
            raise UsageError(f"bounds {bounds[0]:g}, {bounds[1]:g} are not allowed", "Give the smaller one first.")
        if (half_width is None) == (images is None):
            raise UsageError("a confidence sequence needs half_width or images", "Give one of the two.")
        self.confidence, self.half_width, self.images = confidence, half_width, images
        self.available, self.total, self.bounds = available, total, bounds
        error = 1 - confidence
        # Reflection principle: a Brownian motion leaves [-b, b] by time 1 with probability 4 (1 - Phi(b)) at most.
        self._bound = NormalDist().inv_cdf(1 - PLANNED_SHARE * error / 4)
        self._rest = (1 - PLANNED_SHARE) * error
        self._values: list[NDArray[np.float64]] = []
        self._strata: list[NDArray[np.int64]] = []
        self._plan_is_over = False
        self.interval: Interval = SequenceInterval(math.nan, *bounds)
        """The latest one."""

    @property
    def n(self) -> int:
        """The number of images so far."""
        return sum(map(len, self._values))

    def add(self, values: NDArray[np.float64], strata: NDArray[np.int64] | None = None) -> Interval:
        """Take the next images and return the interval of the mean.

        Values that an earlier look has excluded stay excluded, so the mean need not be in the middle.

        Args:
            values: ``(k,)``, one per image.
            strata: ``(k,)`` classes of these images, if the order takes equal shares of all classes. They are given
                with every chunk or with none.

        Raises:
            UsageError: If a value is beyond the bounds, so that the interval would not hold.
        """
        self._values.append(self._within_bounds(np.asarray(values, np.float64)))
        if strata is not None:
            self._strata.append(np.asarray(strata, np.int64))
        seen = np.concatenate(self._values)
        self.interval = self.interval._replace(value=float(seen.mean()))
        if without_replacement(len(seen), self.total) == 0:
            self._rule_out(self.interval.value, 0.0)
        elif len(seen) >= FIRST_LOOK:
            spread = self._deviation(seen)
            self._look_by_plan(seen, spread)
            self._look_by_mixture(len(seen), spread)
        return self.interval

    @property
    def is_narrow(self) -> bool:
        """Whether the planned half-width, or number of images, is reached."""
        if self.half_width is not None:
            # The bound meets the plan exactly, but for the last bits.
            return (self.interval.high - self.interval.low) / 2 <= self.half_width * (1 + 1e-9)
        return self.n >= (self.images or 0)

    def _within_bounds(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = self.bounds
        slack = _ROUNDING * (high - low)  # sums of weights in another order
        bad = values[~((values >= low - slack) & (values <= high + slack))]
        if len(bad):
            raise UsageError(
                f"the value {bad[0]:g} is beyond the bounds {low:g}, {high:g}",
                "Give the smallest and the largest possible value of an image as bounds.",
            )
        return values

    def _deviation(self, seen: NDArray[np.float64]) -> float:
        """Standard deviation of the images seen and of a few more, which guard against a variance low by chance."""
        strata = np.concatenate(self._strata) if self._strata else None
        mean = float(seen.mean())
        farthest = max(self.bounds[1] - mean, mean - self.bounds[0])
        more = PSEUDO_IMAGES * farthest**2 + SLOPE_IMAGES * variance_slope(seen) ** 2
        return math.sqrt(deviation(seen, strata) ** 2 + more / len(seen))

    def _look_by_plan(self, seen: NDArray[np.float64], spread: float) -> None:
        """Use the constant bound, for the last time at the look that reaches the plan."""
        if self._plan_is_over:
            return
        planned = self._planned(spread)
        information = self._information(len(seen), spread)
        self._plan_is_over = information >= planned
        if not self._plan_is_over:
            self._rule_out(self.interval.value, self._bound * math.sqrt(planned) / information)
            return
        # At n images the information reaches the plan if n / (1 - n / total) = planned * spread^2.
        needed = planned * spread**2
        at_plan = math.ceil(needed / (1 + needed / self.total) if self.total else needed)
        self._rule_out(self._mean_of(seen, at_plan), self._bound / math.sqrt(planned))

    def _mean_of(self, seen: NDArray[np.float64], images: int) -> float:
        """The mean at the end of the plan, if every image of the latest chunk had the chunk's mean.

        The result does not depend on the order within a chunk, and this sum varies less than one of single images.
        """
        newest = self._values[-1]
        before = seen[: len(seen) - len(newest)]
        # The end of the plan is estimated by the spread of this look, so it may seem to be outside the latest chunk.
        images = min(len(seen), max(FIRST_LOOK, len(before), images))
        return float(before.sum() + (images - len(before)) * newest.mean()) / images

    def _look_by_mixture(self, n: int, spread: float) -> None:
        information = self._information(n, spread)
        scale = MIXTURE_SCALE * information / self._planned(spread)
        # Robbins' boundary; scale is his rho^2 t.
        logarithm = math.log1p(scale) - 2 * math.log(self._rest)
        self._rule_out(self.interval.value, math.sqrt((1 + 1 / scale) * logarithm / information))

    def _rule_out(self, mean: float, reach: float) -> None:
        """Keep the part of the interval that is within ``reach`` of ``mean``."""
        value, low, high = self.interval
        low, high = max(low, mean - reach), min(high, mean + reach)
        # If two looks exclude each other, one of them missed the mean, as a share 1 - confidence of sequences may.
        if low > high:
            low, high = max(self.bounds[0], mean - reach), min(self.bounds[1], mean + reach)
        self.interval = SequenceInterval(value, low, high)

    def _information(self, n: int, spread: float) -> float:
        """1 / variance of the mean of n images.

        If images are drawn without replacement, the deviations form a Brownian bridge, which in this time is a motion.
        """
        return n / without_replacement(n, self.total) / spread**2

    def _planned(self, spread: float) -> float:
        """Information, 1 / variance of the mean, at which the sequence is narrowest."""
        images = self.images or self.available
        ends = [] if self.half_width is None else [(self._bound / self.half_width) ** 2]
        if images is not None:
            # All images of a dataset have no interval, so the plan is a little before them.
            last = images if self.total is None else min(images, self.total - 1)
            ends.append(self._information(last, spread))
        return min(ends)


def decided(interval: Interval, tolerance: float = 0.0) -> bool | None:
    """Decide whether an error has grown by no more than a tolerance.

    Args:
        interval: Interval of the new error minus the old one, such as that of a `ConfidenceSequence` at any look.
        tolerance: Allowed growth, in the same unit.

    Returns:
        True if the whole interval is within the tolerance, False if all of it is above, None if neither holds.
    """
    if interval.high <= tolerance:
        return True
    return False if interval.low > tolerance else None
