"""Error consistency: whether two models get the same images wrong, beyond what their accuracies alone would give.

Source: Geirhos, Meding & Wichmann, "Beyond accuracy: quantifying trial-by-trial behaviour of CNNs and humans by
measuring error consistency", NeurIPS 2020; used for models and people by Geirhos et al., NeurIPS 2021.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.metrics.confidence_sequence import PSEUDO_IMAGES
from ppbench.metrics.intervals import Interval, quantile
from ppbench.metrics.metric import require_cells
from ppbench.metrics.paired import floored_deviation
from ppbench.metrics.per_image import FEWEST
from ppbench.vocabulary import Cell


class ErrorConsistency(NamedTuple):
    """The agreement of two models over cells."""

    observed: float
    """Share of the images that both get right or both get wrong, over all cells; a fraction."""
    expected: float
    """That share for independent models of the same accuracies, over all cells; a fraction."""
    kappa: float | None
    """(observed - expected) / (1 - expected), the mean over the cells in which it is defined; -1 to 1.

    0: as many common errors as independent models. 1: the same errors. None if it is defined in no cell.
    """
    interval: Interval | None
    """Interval of kappa; None without kappa, or for fewer than 2 images."""
    cells: int
    """Number of cells in which kappa is defined."""
    undefined: tuple[Cell, ...]
    """Cells in which both models are right, or both wrong, on every image: agreement is certain there."""


def error_consistency(
    one: Mapping[Cell, NDArray[np.bool_]],
    other: Mapping[Cell, NDArray[np.bool_]],
    cells: Sequence[Cell],
    confidence: float = 0.95,
) -> ErrorConsistency:
    """Cohen's kappa of right and wrong of two models on the same images, as the mean over cells.

    The interval is by the delta method over images, with the deviation of `paired.floored_deviation`, so that it has a
    width even if the models agree on every image.

    Args:
        one: ``(n,)`` by cell, True where the first model is right.
        other: The same of the second model, on the same images in the same order.
        cells: The cells, at least one.
        confidence: Confidence of the interval.

    Raises:
        Unavailable: If a run lacks one of the cells.
    """
    require_cells(one, cells, "the first run")
    require_cells(other, cells, "the second run")
    undefined, kappas, observed, expected, largest = [], [], 0.0, 0.0, 0.0
    influence = np.zeros(len(one[cells[0]]))
    for cell in cells:
        right = one[cell].astype(np.float64), other[cell].astype(np.float64)
        alike = (one[cell] == other[cell]).astype(np.float64)
        a, b, agreed = float(right[0].mean()), float(right[1].mean()), float(alike.mean())
        apart = a + b - 2 * a * b  # 1 - expected
        observed, expected = observed + agreed, expected + 1 - apart
        if apart <= 0:
            undefined.append(cell)
            continue
        kappas.append(1 - (1 - agreed) / apart)
        # What an image adds to kappa through the agreement, and through the two accuracies.
        slopes = (1 - 2 * b) * (right[0] - a) + (1 - 2 * a) * (right[1] - b)
        influence += (alike - agreed) / apart + (1 - agreed) / apart**2 * slopes
        largest += _largest_influence(a, b, agreed, apart)
    mean = observed / len(cells), expected / len(cells)
    if not kappas:
        return ErrorConsistency(*mean, None, None, 0, tuple(undefined))
    kappa, known = math.fsum(kappas) / len(kappas), len(kappas)
    interval = None
    if len(influence) >= FEWEST:
        # Common errors that no image of the sample shows may be the ones that matter, so possible images count.
        floor = math.sqrt(PSEUDO_IMAGES / len(influence)) * largest / known
        spread = max(floored_deviation(influence / known, largest / known), floor)
        reach = quantile(confidence) * spread / math.sqrt(len(influence))
        interval = Interval(kappa, max(-1.0, kappa - reach), min(1.0, kappa + reach))
    return ErrorConsistency(*mean, kappa, interval, known, tuple(undefined))


def _largest_influence(a: float, b: float, agreed: float, apart: float) -> float:
    """The most that one image can add to kappa of a cell, times the number of images."""
    return max(
        abs(
            (float(x == y) - agreed) / apart + (1 - agreed) / apart**2 * ((1 - 2 * b) * (x - a) + (1 - 2 * a) * (y - b))
        )
        for x in (0, 1)
        for y in (0, 1)
    )
