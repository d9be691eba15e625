"""Metrics of models known image by image, from the definitions in `ppbench.metrics.quantities`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.per_image import PerImage
from ppbench.metrics.quantities import QUANTITIES, Case
from ppbench.metrics.references import Normalizer
from ppbench.vocabulary import CLEAN, in_order

_RECENT: deque[tuple[PerImage, CellErrors]] = deque(maxlen=4)
"""A simulation asks for a dozen metrics of the same two models, then for those of the next."""


def cell_errors(images: PerImage) -> CellErrors:
    """The errors by cell, as means over the images."""
    found = next((errors for known, errors in _RECENT if known is images), None)
    if found is None:
        found = _cell_errors(images)
        _RECENT.append((images, found))
    return found


def _cell_errors(images: PerImage) -> CellErrors:
    errors = dict(zip(images.cells, images.errors.mean(axis=1).tolist(), strict=True))
    clean = errors.pop((CLEAN, 0), None)
    names, severities = in_order({name for name, _ in errors}), tuple(sorted({s for _, s in errors}))
    return CellErrors(images.source, errors, clean, names, severities)


def case(
    model: PerImage, corruptions: Sequence[str], severities: Sequence[int], other: PerImage | Normalizer | None = None
) -> Case:
    """A metric of a model over these cells, against another model or published errors."""
    reference = cell_errors(other) if isinstance(other, PerImage) else other
    baseline = reference if isinstance(reference, CellErrors) else None
    return Case(cell_errors(model), tuple(corruptions), tuple(severities), reference, baseline)


def parts(
    name: str,
    model: PerImage,
    corruptions: Sequence[str],
    severities: Sequence[int],
    other: PerImage | Normalizer | None = None,
) -> NDArray[np.float64]:
    """``(n,)``: each image's part in a metric with its denominators taken as exact; the mean is the metric."""
    of = case(model, corruptions, severities, other)
    return QUANTITIES[name].constant(of) + model.weighted(QUANTITIES[name].weights(of))


def estimated(
    name: str, model: PerImage, corruptions: Sequence[str], severities: Sequence[int], other: PerImage
) -> tuple[float, NDArray[np.float64]]:
    """A metric against a model that saw the same images, a fraction, and its influence ``(n,)`` of mean 0."""
    of, quantity = case(model, corruptions, severities, other), QUANTITIES[name]
    influence = model.weighted(quantity.weights(of)) + other.weighted(quantity.reference_weights(of))
    return quantity.value(of) / 100, influence


def mean_error(model: PerImage, corruptions: Sequence[str], severities: Sequence[int]) -> NDArray[np.float64]:
    """``(n,)`` in [0, 1]; the mean is the mean error over these cells."""
    return parts("mean_error", model, corruptions, severities)
