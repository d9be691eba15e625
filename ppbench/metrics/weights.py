"""Metrics as weighted sums of an image's errors over cells: what an interval over images needs of a formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ppbench.metrics.corruption_error import NEAR_ZERO
from ppbench.metrics.metric import Unavailable, ratio
from ppbench.metrics.references import Normalizer
from ppbench.vocabulary import CLEAN

Key = tuple[str, int]
"""(corruption, severity); ``("clean", 0)`` is the uncorrupted images."""
Weights = dict[Key, float]
"""By cell. With e_cs = 1 where an image is wrong, the sum of weight times e_cs is the image's part in a metric."""

CLEAN_WEIGHTS: Weights = {(CLEAN, 0): 1.0}
"""Of the clean error."""


def over_corruptions(factors: Mapping[str, float], severities: Sequence[int], *, relative: bool = False) -> Weights:
    """Weights of: sum over corruptions of factor times mean error over the severities.

    Args:
        factors: By corruption.
        severities: At least one.
        relative: Subtract the clean error from each mean error.
    """
    _require_cells(factors, severities)
    weights = {(name, s): factor / len(severities) for name, factor in factors.items() for s in severities}
    return {**weights, (CLEAN, 0): -sum(factors.values())} if relative else weights


def mean_error_weights(corruptions: Sequence[str], severities: Sequence[int]) -> Weights:
    """Of the mean error over all of these cells."""
    return over_corruptions({name: 1 / len(corruptions) for name in corruptions}, severities)


def excess(
    model: Normalizer, corruptions: Sequence[str], severities: Sequence[int], *, relative: bool
) -> dict[str, float]:
    """A model's mean error by corruption, fractions; above its clean error if relative.

    Raises:
        Unavailable: If one of them is not known.
    """
    _require_cells(corruptions, severities)
    clean = model.clean_error() if relative else 0.0
    return {name: model.mean_error([name], severities) - clean for name in corruptions}


def denominators(
    normalizer: Normalizer, corruptions: Sequence[str], severities: Sequence[int], *, relative: bool
) -> dict[str, float]:
    """The `excess` of a normaliser, which CE divides by.

    Raises:
        Unavailable: If one of them is not known, or nearer to zero than `NEAR_ZERO`.
    """
    found = excess(normalizer, corruptions, severities, relative=relative)
    for name, value in found.items():
        ratio(1, value, f"the error of {normalizer.source} on {name}", NEAR_ZERO)
    return found


def corruption_error_weights(found: Mapping[str, float], severities: Sequence[int], *, relative: bool) -> Weights:
    """Of mCE (relative mCE) with these `denominators`, taken as exact."""
    factors = {name: 1 / (len(found) * value) for name, value in found.items()}
    return over_corruptions(factors, severities, relative=relative)


def normalizer_weights(
    found: Mapping[str, float], ratios: Mapping[str, float], severities: Sequence[int], *, relative: bool
) -> Weights:
    """Of the normaliser's errors in the linear part of mCE, where these are estimated from images too.

    The delta method: a ratio N / D changes by dN / D - (N / D) dD / D; this is the mean of the second part.

    Args:
        found: The `denominators`.
        ratios: CE (relative CE) by corruption, fractions.
        severities: Of the mean errors.
        relative: As in `denominators`.
    """
    factors = {name: -ratios[name] / (len(found) * value) for name, value in found.items()}
    return over_corruptions(factors, severities, relative=relative)


def net_robustness_weights(
    value: float, baseline_clean: float, corruptions: Sequence[str], severities: Sequence[int]
) -> tuple[Weights, Weights]:
    """Of the model's and of the baseline's errors in the linear part of R_net, by the delta method.

    Args:
        value: R_net, a fraction.
        baseline_clean: B_0, a fraction.
        corruptions: Of the mean errors.
        severities: Of the mean errors.
    """
    size = 1 / (2 * baseline_clean)
    both = {**mean_error_weights(corruptions, severities), **CLEAN_WEIGHTS}
    model = {key: -size * weight for key, weight in both.items()}
    baseline = {key: size * weight for key, weight in both.items()}
    baseline[CLEAN, 0] -= 2 * size * value
    return model, baseline


def _require_cells(corruptions: Sequence[str] | Mapping[str, float], severities: Sequence[int]) -> None:
    if not corruptions or not severities:
        raise Unavailable("there are no corrupted cells")
