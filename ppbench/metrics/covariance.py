"""Intervals of weighted sums of cells, from how often pairs of cells are wrong on the same image.

A report has about 300 intervals over the same images. From the bits (`per_image.PerImage.weighted`) each would need a
pass over all images. From the covariance of the cells, made in one pass, each is a product of a few numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.intervals import (
    Interval,
    deviation,
    fraction_interval,
    quantile,
    satterthwaite_n,
    student_quantile,
)
from ppbench.metrics.metric import Metric, Weights
from ppbench.metrics.passes import by_pass
from ppbench.metrics.per_image import BLOCK, FEWEST, PerImage
from ppbench.metrics.quantities import Case, CorruptionError, Quantity
from ppbench.metrics.references import Normalizer
from ppbench.metrics.without_labels import quantities_of
from ppbench.vocabulary import Cell

_ROUNDING = 1e-12
"""A variance below this part of its terms is rounding error, as in a comparison of a model with itself."""

NEAR_ZERO_ERRORS = 3.0
"""Standard errors. A denominator nearer to 0 than this could be 0 or change its sign on other images."""

SAME_SAMPLE = ("dataset", "fingerprint", "ids_sha256", "n")
"""The fields of the protocol that two runs must share for their bits to be of the same images, one by one."""


class ErrorCovariance:
    """The covariance over images of the errors in all cells of one model, or of several on the same images."""

    def __init__(self, models: Sequence[PerImage]) -> None:
        """Count the joint errors. All models must have the same n images, at least 2."""
        self.models = tuple(models)
        self.n = models[0].n
        counts = np.zeros([sum(len(model.errors) for model in models)] * 2)
        sums = np.zeros(len(counts))
        are_bits = all(model.errors.dtype == bool for model in models)
        for start in range(0, self.n, BLOCK):
            rows = [model.errors[:, start : start + BLOCK] for model in models]
            # float32 holds the counts of a block exactly, and its matrix product is by far the fastest. Shares of
            # trials need more digits.
            block: NDArray[Any] = np.concatenate(rows).astype(np.float32 if are_bits else np.float64)
            counts += block @ block.T
            sums += block.sum(axis=1, dtype=np.float64)
        self.covariance = (counts - np.outer(sums, sums) / self.n) / (self.n - 1)
        """``(cells, cells)`` float64, the cells of all models after each other."""

    def deviation(self, *weights: Weights) -> float:
        """Standard deviation over images of a weighted sum of errors, with one set of weights per model.

        Raises:
            Unavailable: If one of the cells is missing.
        """
        factors = np.zeros(len(self.covariance))
        first = 0
        for model, own in zip(self.models, weights, strict=False):
            rows = np.array(model.rows(own), np.int64)
            factors[first + rows] = list(own.values())
            first += len(model.errors)
        variance = float(factors @ self.covariance @ factors)
        # If weights cancel, as for a model against itself, only rounding error is left, which may even be negative.
        terms = float(np.abs(factors) @ np.abs(self.covariance) @ np.abs(factors))
        return math.sqrt(variance) if variance > _ROUNDING * terms else 0.0

    def interval(
        self, quantity: Quantity, value: float, weights: Sequence[Weights], confidence: float,
        between: tuple[float, int] | None = None,
    ) -> Interval:  # fmt: skip
        """The interval of a metric, in percent: that of a proportion for an error, otherwise the normal one.

        Args:
            quantity: The metric.
            value: Its value, percent.
            weights: One set for each model.
            confidence: Probability of covering the true value.
            between: Standard deviation of the metric over passes whose images share draws, percent, and the number of
                passes, at least 2; None: each image draws for itself.
        """
        spread = self.deviation(*weights)
        shared = 0.0 if between is None else _shared_variance(spread**2 / self.n, self.n, *between, confidence)
        if (quantity.lowest, quantity.highest) == (0.0, 100.0):
            found = fraction_interval(value / 100, spread, self.n, confidence, shared)
            # The value as it was given: dividing and multiplying by 100 changes its last bits.
            return found.scaled(100)._replace(value=value)
        error = math.sqrt(spread**2 + self.n * shared) if shared else spread
        reach = 100 * quantile(confidence) * error / self.n**0.5
        return Interval(value, max(quantity.lowest, value - reach), min(quantity.highest, value + reach))


class RunIntervals:
    """The intervals of one run's metrics.

    A normaliser's errors count as exact if they are published, have no bits, or are of other images.
    """

    def __init__(
        self,
        model: CellErrors,
        images: PerImage,
        normalizer: Normalizer | None,
        baseline: CellErrors | None,
        confidence: float,
    ) -> None:
        self.confidence = confidence
        self.paired = {"normalizer": paired_images(model, normalizer), "baseline": paired_images(model, baseline)}
        """The bits of each reference that was measured on the same images, by its role."""
        # The baseline is often the normaliser too. Its bits are counted once.
        self._models = list(dict.fromkeys([images, *(other for other in self.paired.values() if other is not None)]))
        self._covariance = ErrorCovariance(self._models)
        of = {images: model, self.paired["normalizer"]: normalizer, self.paired["baseline"]: baseline}
        errors = [found for known in self._models if isinstance(found := of[known], CellErrors)]
        self._by_pass = [by_pass(one) for one in errors] if any(one.shares_draws for one in errors) else []

    @property
    def n(self) -> int:
        """Images."""
        return self._covariance.n

    def with_interval(self, quantity: Quantity, case: Case, metric: Metric) -> Metric:
        """Add the interval of a metric, unless it has no value or the baseline has no bits."""
        other = self.paired.get(quantity.reference or "")
        # A normaliser without bits is a fixed scale. R_net, however, is a difference to the baseline: an interval from
        # one of the two models would be far too narrow.
        if metric.value is None or (quantity.reference == "baseline" and other is None):
            return metric
        if not quantity.of_errors:
            return _with_interval_of_others(quantity, case, metric, self.confidence)
        weights: list[dict[Cell, float]] = [{} for _ in self._models]
        weights[0].update(quantity.weights(case))
        if other is not None:
            own = weights[self._models.index(other)]
            for cell, weight in quantity.reference_weights(case).items():
                own[cell] = own.get(cell, 0.0) + weight
        found = self._covariance.interval(quantity, metric.value, weights, self.confidence, self._between(weights))
        return replace(metric, interval=found)

    def _between(self, weights: Sequence[Weights]) -> tuple[float, int] | None:
        """Standard deviation over passes of a weighted sum of errors, percent, and their number; None if unknown."""
        if not self._by_pass or self._by_pass[0] is None:
            return None
        passes = self._by_pass[0].n
        # A reference without passes, or with others, is the same in all of them.
        used = [(one, own) for one, own in zip(self._by_pass, weights, strict=True) if one and one.n == passes]
        values = np.sum([one.weighted(own) for one, own in used], axis=0)
        return 100 * float(values.std(ddof=1)), passes


def _shared_variance(own: float, n: int, spread: float, passes: int, confidence: float) -> float:
    """The variance that passes add to that of a mean over images, as a fraction squared.

    The variance between passes is known from few of them, so the sum of both has Student's quantile instead of the
    normal one (`satterthwaite_n`). That is a factor on the sum.

    Args:
        own: Variance of the mean over n images.
        n: Number of images.
        spread: Standard deviation from pass to pass, percent.
        passes: Number of passes, at least 2.
        confidence: Probability of covering the true value.
    """
    added = (spread / 100) ** 2 / passes
    if added == 0:
        return 0.0
    student = student_quantile(satterthwaite_n(own, n, added, passes), confidence)
    return (own + added) * (student / quantile(confidence)) ** 2 - own


def _with_interval_of_others(quantity: Quantity, case: Case, metric: Metric, confidence: float) -> Metric:
    """Add the normal interval of a mean over images of other numbers than errors: confidence lost, distances."""
    images = quantity.images(case.model)
    if images is None or images.n < FEWEST or metric.value is None:
        return metric
    parts = images.weighted(quantity.weights(case))
    if quantity.reference == "normalizer" and isinstance(case.normalizer, CellErrors):
        divisor = quantity.images(case.normalizer)
        if divisor is not None and are_of_same_images(case.model, case.normalizer):
            parts = parts + divisor.weighted(quantity.reference_weights(case))
    reach = quantity.scale * quantile(confidence) * deviation(parts) / images.n**0.5
    ends = max(quantity.lowest, metric.value - reach), min(quantity.highest, metric.value + reach)
    return replace(metric, interval=Interval(metric.value, *ends))


def paired_images(model: CellErrors, other: Normalizer | None) -> PerImage | None:
    """The bits of another run, if there are any and they are of the same images in the same order."""
    if not isinstance(other, CellErrors) or other.per_image is None:
        return None
    return other.per_image if are_of_same_images(model, other) else None


def are_of_same_images(model: CellErrors, other: CellErrors) -> bool:
    """Whether two runs have the same images in the same order, one by one."""
    here, there = model.protocol, other.protocol
    if here is None or there is None:
        return False
    return all(getattr(here, field) == getattr(there, field) for field in SAME_SAMPLE)


def rough_ratios(normalizer: PerImage, case: Case) -> list[str]:
    """Notes on ratios whose denominators these images cannot distinguish from 0.

    The delta method is not valid for them.

    Args:
        normalizer: The model whose errors are the denominators.
        case: The corruptions and severities.
    """
    notes = []
    for quantity in quantities_of(case.model.protocol).values():
        if not isinstance(quantity, CorruptionError) or not quantity.of_errors:
            continue
        near = [
            name for name in case.corruptions if _is_near_zero(normalizer, quantity.denominator_weights(case, name))
        ]
        if near:
            name, above = str(quantity.name_of_one), " above clean" if quantity.needs_clean else ""
            notes.append(
                f"{name[0].upper()}{name[1:].replace('_', ' ')} and its means are unreliable: they divide by the "
                f"{quantity.divided[1]}{above} of {normalizer.source}, which are within {NEAR_ZERO_ERRORS:g} standard "
                f"errors of 0 on {', '.join(near)}. Their intervals are too short on the side of the larger ratios. "
                "Evaluate more images."
            )
    return notes


def _is_near_zero(model: PerImage, weights: Weights) -> bool:
    if model.n < FEWEST or not all(cell in model.cells for cell in weights):
        return False
    values = model.weighted(weights)
    return abs(float(values.mean())) < NEAR_ZERO_ERRORS * deviation(values) / model.n**0.5
