"""All that images tell apart between two models: how a table has each number, and how images make it up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ppbench.compare.difference import Group
from ppbench.compare.intervals import POINTS
from ppbench.compare.measured import ComparedRun
from ppbench.metrics.corruption_error import (
    clean_error,
    mean_corruption_error,
    mean_error,
    net_robustness,
    relative_mean_corruption_error,
)
from ppbench.metrics.intervals import ratio_influence
from ppbench.metrics.margins import paired_images
from ppbench.metrics.metric import Metric, Unavailable
from ppbench.metrics.per_image import PerImage
from ppbench.metrics.references import Normalizer
from ppbench.vocabulary import CLEAN, Cell, family_of


@dataclass(frozen=True)
class Quantity:
    """What is compared."""

    group: Group
    name: str
    metric: Callable[[ComparedRun], Metric]
    influence: Callable[[PerImage], NDArray[np.float64]]
    """``(n,)`` fractions, up to a constant."""
    cell: Cell | None = None
    """Of what is one cell."""
    largest: Callable[[ComparedRun, float], float] = lambda reference, value: POINTS
    """Points by which an image may make the number differ, from the reference and its number in percent."""


def quantities(reference: ComparedRun, normalizer: Normalizer | None) -> Iterator[Quantity]:
    """All of one comparison, from means over much to single cells, then ratios to the normaliser.

    Args:
        reference: What differences are from, and what R_net is against.
        normalizer: Denominators of CE. Where it is the reference, or a run on the same images with its bits, its
            errors count as estimated from these images (delta method); any others are taken as exact.
    """
    accuracies = reference.accuracies
    names, severities = accuracies.corruptions, accuracies.severities
    families = [(family, tuple(members)) for family, members in groupby(names, family_of)]
    ratios = _Ratios(normalizer, normalizer_images(reference, normalizer), severities)
    yield Quantity("metric", "clean_error", lambda m: clean_error(m.accuracies), PerImage.clean, (CLEAN, 0))
    yield _mean_of("metric", "mean_error", accuracies.headline, severities)
    for relative in (False, True):
        name = "relative_mCE" if relative else "mCE"
        yield ratios.over("metric", name, accuracies.headline, relative=relative, called=name)
    yield _net_robustness(reference)
    for family, members in families:
        yield _mean_of("family", family, members, severities)
    for corruption in names:
        yield _mean_of("corruption", corruption, (corruption,), severities)
    for corruption in names:
        for severity in severities:
            cell = _mean_of("cell", f"{corruption}/{severity}", (corruption,), (severity,))
            yield replace(cell, cell=(corruption, severity))
    yield from _ratios_by_corruption(ratios, families, names)


def _ratios_by_corruption(
    ratios: _Ratios, families: list[tuple[str, tuple[str, ...]]], names: tuple[str, ...]
) -> Iterator[Quantity]:
    """CE and relative CE of each family and corruption."""
    of_families: tuple[Group, Group] = ("ce_family", "relative_ce_family")
    of_corruptions: tuple[Group, Group] = ("ce_corruption", "relative_ce_corruption")
    for relative, prefix in ((False, ""), (True, "relative_")):
        for family, members in families:
            yield ratios.over(of_families[relative], family, members, relative=relative, called=f"{prefix}mCE")
        for corruption in names:
            group = of_corruptions[relative]
            yield ratios.over(group, corruption, (corruption,), relative=relative, called=f"{prefix}CE")


def normalizer_images(reference: ComparedRun, normalizer: Normalizer | None) -> PerImage | None:
    """The bits of the normaliser, if they are of the images that the reference saw."""
    if normalizer is reference.accuracies:
        return reference.images
    return paired_images(reference.accuracies, normalizer)


def _mean_of(group: Group, name: str, corruptions: tuple[str, ...], severities: tuple[int, ...]) -> Quantity:
    return Quantity(
        group,
        name,
        lambda measured: mean_error(measured.accuracies, corruptions, severities),
        lambda images: images.mean_error(corruptions, severities),
    )


def _net_robustness(reference: ComparedRun) -> Quantity:
    """R_net against the reference, whose own is 0."""
    names, severities = reference.accuracies.headline, reference.accuracies.severities

    def influence(model: PerImage) -> NDArray[np.float64]:
        return ratio_influence(*model.net_robustness_ratio(reference.images, names, severities))[1]

    def largest(measured: ComparedRun, value: float) -> float:
        return POINTS / measured.accuracies.clean_error()

    return Quantity(
        "metric",
        "R_net",
        lambda measured: net_robustness(measured.accuracies, reference.accuracies),
        influence,
        largest=largest,
    )


@dataclass(frozen=True)
class _Ratios:
    """Makes CE and its kin."""

    normalizer: Normalizer | None
    images: PerImage | None
    """Of the normaliser, if it saw the same ones."""
    severities: tuple[int, ...]

    def over(self, group: Group, name: str, corruptions: tuple[str, ...], *, relative: bool, called: str) -> Quantity:
        """CE (relative CE) of these corruptions, as a metric of this name."""
        compute = relative_mean_corruption_error if relative else mean_corruption_error
        return Quantity(
            group,
            name,
            lambda measured: compute(measured.accuracies, self.normalizer, corruptions, called),
            lambda model: self._influence(model, corruptions, relative=relative),
            largest=lambda reference, value: _stretched(reference, value, corruptions, relative=relative),
        )

    def _influence(self, model: PerImage, corruptions: tuple[str, ...], *, relative: bool) -> NDArray[np.float64]:
        if model is self.images:
            return np.zeros(model.n)  # against itself it is 1 whatever the images are
        if self.images is not None:
            of = PerImage.relative_corruption_error_ratio if relative else PerImage.corruption_error_ratio
            return of(model, self.images, corruptions, self.severities)[1]
        if self.normalizer is None:
            raise Unavailable("no normaliser")
        exact = PerImage.relative_corruption_error if relative else PerImage.corruption_error
        return exact(model, self.normalizer, corruptions, self.severities)


def _stretched(reference: ComparedRun, value: float, corruptions: tuple[str, ...], *, relative: bool) -> float:
    """100 points of errors are more where a normaliser divides them."""
    accuracies = reference.accuracies
    undivided = mean_error(accuracies, corruptions, accuracies.severities).value or 0.0
    if relative:
        undivided -= clean_error(accuracies).value or 0.0
    return POINTS * max(1.0, value / undivided) if undivided > 0 else POINTS
