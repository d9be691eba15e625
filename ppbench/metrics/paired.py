"""Two models on the same images: tests of their difference, and how many images a difference needs.

Differences are per image and over any cells (`ppbench.metrics.per_image`): what both models get wrong cancels, so
that pairs need far fewer images than two intervals side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

from ppbench.errors import UsageError
from ppbench.metrics.intervals import deviation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXACT = 1000
"""Up to this many images that one model has right and the other wrong, McNemar's mid-p is summed from binomials."""

BLOCK = 1 << 22
"""Signs drawn at once by `permutation_p`."""


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> float:
    """Two-sided p-value of equal accuracy in one cell (McNemar, Psychometrika 1947), mid-p.

    The exact binomial test with half of the probability of what was seen: the exact one counts it whole, and finds too
    little (Fagerland, Lydersen & Laake, BMC Medical Research Methodology 2013). For more than `EXACT` discordant images
    chi-square without correction, which differs from it by less than 1e-4 there.

    Args:
        right_a: ``(n,)``, where the first model is right.
        right_b: ``(n,)``, the second, of the same images.
    """
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    discordant, fewer = only_a + only_b, min(only_a, only_b)
    if discordant == 0:
        return 1.0
    if discordant > EXACT:
        return math.erfc(abs(only_a - only_b) / math.sqrt(2 * discordant))
    twice = 2 * sum(math.comb(discordant, k) for k in range(fewer)) + math.comb(discordant, fewer)
    # Integers are divided, as 2 to the power of 1000 discordant images is near the end of floating-point numbers.
    return min(1.0, twice / 2**discordant)


def paired_p(differences: NDArray[np.float64], strata: NDArray[np.int64] | None = None) -> float:
    """Two-sided p-value of a mean difference of 0, by the normal approximation.

    Args:
        differences: ``(n,)``, one an image, n at least 2.
        strata: As in `intervals.deviation`.
    """
    mean, spread = abs(float(differences.mean())), deviation(differences, strata)
    if mean == 0:
        return 1.0
    if spread == 0:
        # All differ alike: what the sign test says, where the normal approximation would claim certainty.
        return min(1.0, 2 * 0.5 ** len(differences))
    return math.erfc(mean / spread * math.sqrt(len(differences) / 2))


def permutation_p(differences: NDArray[np.float64], draws: int, seed: int) -> float:
    """Two-sided p-value of exchangeable models: how often random signs give as large a mean difference.

    Args:
        differences: ``(n,)``, one an image.
        draws: Random sets of signs; the smallest p-value is 1 / (draws + 1).
        seed: Same seed, same p-value.
    """
    import numpy as np

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


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of many tests at once, adjusted to keep the family-wise error (Holm, Scand. J. Statist. 1979)."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


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
    return _reach(power, alpha) * deviation(differences, strata) / math.sqrt(len(differences))


def images_needed(deviation: float, difference: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """How many images find a mean difference, by the normal approximation.

    With a power of 0.5 these are the images whose interval (of confidence 1 - alpha) has ``difference`` as half-width.

    Args:
        deviation: Standard deviation over images of what is compared, `intervals.deviation`.
        difference: Above 0, in the same unit.
        power: Probability of finding it.
        alpha: Probability of finding one where there is none.

    Raises:
        UsageError: If ``difference`` is not above 0, or a probability is not between 0 and 1.
    """
    if not difference > 0:
        raise UsageError(f"a difference of {difference:g} is not allowed", "It is above 0.")
    return max(2, math.ceil((_reach(power, alpha) * deviation / difference) ** 2))


def _reach(power: float, alpha: float) -> float:
    """Standard errors between no difference and one that is found with this power."""
    for name, value in (("power", power), ("alpha", alpha)):
        if not 0 < value < 1:
            raise UsageError(f"{name} {value:g} is not allowed", "It is a fraction between 0 and 1.")
    normal = NormalDist()
    return normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
