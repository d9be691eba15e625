"""What differs between two models on the same images, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ppbench.compare.intervals import POINTS, paired_interval, paired_test
from ppbench.compare.measured import Key, Measured, in_common
from ppbench.metrics.corruption_error import (
    clean_error,
    mean_corruption_error,
    mean_error,
    relative_mean_corruption_error,
)
from ppbench.metrics.intervals import Interval
from ppbench.metrics.metric import Metric, Unavailable
from ppbench.metrics.normalizers import Normalizer
from ppbench.metrics.paired import detectable, holm, mcnemar
from ppbench.metrics.per_image import PerImage
from ppbench.vocabulary import CLEAN, family_of

Group = Literal["metric", "family", "corruption", "cell"]
ADJUSTED: tuple[Group, ...] = ("family", "corruption", "cell")
"""Groups of many tests: the p-values of each are adjusted together (Holm)."""

FEWEST = 2
"""Images of which a deviation can be had."""


@dataclass(frozen=True)
class Difference:
    """One number of both models, in percent, and their difference in points."""

    group: Group
    name: str
    """``mean_error``, a family, a corruption, or ``fog/3``."""
    label: str
    """The definition of both numbers."""
    reference: float | None
    value: float | None
    points: Interval | None
    """``value - reference`` with its paired interval; None if one of them is n/a."""
    p: float | None
    """Two-sided, of no difference; adjusted within the group for many tests."""
    detectable: float | None
    """The smallest difference that these images would show with a probability of 80 %, points."""
    reason: str | None = None
    """Why there is no difference."""

    def is_shown(self, alpha: float) -> bool:
        """Whether there is a difference at this level."""
        return self.p is not None and self.p < alpha


@dataclass(frozen=True)
class Comparison:
    """A model against a reference."""

    reference: Measured
    other: Measured
    confidence: float
    normalizer: str
    differences: tuple[Difference, ...]
    allowed: tuple[str, ...] = ()
    """What differs between the protocols and was allowed to, in words."""

    def group(self, group: Group) -> list[Difference]:
        """The differences of one group, in canonical order."""
        return [difference for difference in self.differences if difference.group == group]

    def metric(self, name: str) -> Difference:
        """A headline metric."""
        return next(difference for difference in self.group("metric") if difference.name == name)

    @property
    def alpha(self) -> float:
        """The probability of a difference where there is none."""
        return 1 - self.confidence

    @property
    def same_weights(self) -> bool:
        """Whether both are one model."""
        return self.reference.run.model.weights_sha256 == self.other.run.model.weights_sha256


@dataclass(frozen=True)
class _Quantity:
    """What is compared: how a table has it, and how images make it up."""

    group: Group
    name: str
    metric: Callable[[Measured], Metric]
    influence: Callable[[PerImage], NDArray[np.float64]]
    """``(n,)`` fractions, up to a constant."""
    cell: Key | None = None


def compare(
    reference: Measured,
    other: Measured,
    normalizer: Normalizer | None,
    confidence: float = 0.95,
    allowed: Sequence[str] = (),
) -> Comparison:
    """Compare two runs of the same images over the cells that both were asked for.

    Args:
        reference: What differences are from.
        other: What they are to.
        normalizer: Denominators of mCE. The reference's own accuracies count as estimated from these images (delta
            method); any others are taken as exact.
        confidence: Of each interval.
        allowed: What differs between their protocols, in words.
    """
    own = normalizer is reference.accuracies
    first, second = in_common(reference, other)
    divisor = first.accuracies if own else normalizer
    found = [_difference(q, first, second, confidence) for q in _quantities(first, divisor)]
    source = normalizer.source if normalizer else "none"
    return Comparison(first, second, confidence, source, tuple(_adjusted(found)), tuple(allowed))


def _quantities(reference: Measured, normalizer: Normalizer | None) -> Iterator[_Quantity]:
    """All that is compared, from means over much to single cells."""
    accuracies = reference.accuracies
    severities = accuracies.severities
    yield from _headline(reference, normalizer)
    for family, members in groupby(accuracies.corruptions, family_of):
        yield _mean_of("family", family, tuple(members), severities)
    for corruption in accuracies.corruptions:
        yield _mean_of("corruption", corruption, (corruption,), severities)
    for corruption in accuracies.corruptions:
        for severity in severities:
            name = f"{corruption}/{severity}"
            yield replace(_mean_of("cell", name, (corruption,), (severity,)), cell=(corruption, severity))


def _headline(reference: Measured, normalizer: Normalizer | None) -> Iterator[_Quantity]:
    accuracies, images = reference.accuracies, reference.images
    names, severities = accuracies.headline, accuracies.severities
    yield _Quantity("metric", "clean_error", lambda m: clean_error(m.accuracies), PerImage.clean, (CLEAN, 0))
    yield replace(_mean_of("metric", "mean_error", names, severities))
    is_own = normalizer is accuracies

    def ce(model: PerImage) -> NDArray[np.float64]:
        if is_own:
            return model.corruption_error_ratio(images, names, severities)[1]
        return model.corruption_error(_given(normalizer), names, severities)

    def relative_ce(model: PerImage) -> NDArray[np.float64]:
        if is_own:
            return model.relative_corruption_error_ratio(images, names, severities)[1]
        return model.relative_corruption_error(_given(normalizer), names, severities)

    yield _Quantity("metric", "mCE", lambda m: mean_corruption_error(m.accuracies, normalizer), ce)
    yield _Quantity(
        "metric", "relative_mCE", lambda m: relative_mean_corruption_error(m.accuracies, normalizer), relative_ce
    )


def _given(normalizer: Normalizer | None) -> Normalizer:
    if normalizer is None:
        raise Unavailable("no normaliser")
    return normalizer


def _mean_of(group: Group, name: str, corruptions: tuple[str, ...], severities: tuple[int, ...]) -> _Quantity:
    return _Quantity(
        group,
        name,
        lambda measured: mean_error(measured.accuracies, corruptions, severities),
        lambda images: images.mean_error(corruptions, severities),
    )


def _difference(quantity: _Quantity, reference: Measured, other: Measured, confidence: float) -> Difference:
    before, after = quantity.metric(reference), quantity.metric(other)
    labels = dict.fromkeys([before.label, after.label])
    label = " / ".join(labels)
    reason = before.reason or after.reason
    if before.value is None or after.value is None:
        return Difference(quantity.group, quantity.name, label, before.value, after.value, None, None, None, reason)
    if reference.images.n < FEWEST:
        reason = f"{reference.images.n} image has no interval"
        return Difference(quantity.group, quantity.name, label, before.value, after.value, None, None, None, reason)
    points = 100 * (quantity.influence(other.images) - quantity.influence(reference.images))
    # Influences are up to a constant: their mean becomes the difference of the two numbers in the table.
    points += after.value - before.value - points.mean()
    largest = _largest(quantity.name, before.value, reference)
    if quantity.cell is not None:
        p = mcnemar(reference.right[quantity.cell], other.right[quantity.cell])
    else:
        p = paired_test(points, largest)
    return Difference(
        quantity.group,
        quantity.name,
        label,
        before.value,
        after.value,
        paired_interval(points, confidence, largest),
        p,
        detectable(points, alpha=1 - confidence),
    )


def _largest(name: str, value: float, reference: Measured) -> float:
    """Points by which an image may make a number differ: 100 of errors, and more where a normaliser divides them."""
    if name not in ("mCE", "relative_mCE"):
        return POINTS
    accuracies = reference.accuracies
    undivided = mean_error(accuracies, accuracies.headline, accuracies.severities).value or 0.0
    if name == "relative_mCE":
        undivided -= clean_error(accuracies).value or 0.0
    return POINTS * max(1.0, value / undivided) if undivided > 0 else POINTS


def _adjusted(differences: Sequence[Difference]) -> Iterator[Difference]:
    """The same with the p-values of each group of many tests adjusted."""
    for group, members in groupby(differences, lambda difference: difference.group):
        if group not in ADJUSTED:
            yield from members
            continue
        tested = list(members)
        values = iter(holm([difference.p for difference in tested if difference.p is not None]))
        yield from (d if d.p is None else replace(d, p=next(values)) for d in tested)
