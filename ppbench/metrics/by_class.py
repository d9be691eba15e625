"""Errors and confusions by class. The images of a class are the sample of its numbers.

A class has few images: 50 in ImageNet. Intervals here therefore use Student's quantiles and count a few images more
where most of them agree; docs/statistics.md has the formulas, and how often they cover.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.metrics.confidence_sequence import PSEUDO_IMAGES
from ppbench.metrics.intervals import Interval, deviation, quantile, student_quantile, variance_slope, wilson
from ppbench.metrics.metric import require_cells
from ppbench.metrics.paired import floored_deviation, holm
from ppbench.metrics.per_image import FEWEST
from ppbench.vocabulary import CLEAN, Cell

BLOCK_OF_CELLS = 16
"""The number of cells whose confusions are counted at once; it bounds the memory needed."""


class ClassError(NamedTuple):
    """The errors of one class, fractions."""

    number: int
    """The class."""
    n: int
    """Its images, at least 1."""
    clean: Interval | None
    """Error on the clean images; None if the run lacks them, or the class has a single image."""
    error: float
    """Mean error over the cells."""
    interval: Interval | None
    """Interval of the mean error, for this class alone; None if it has a single image."""
    p: float | None
    """P-value of an error like that of all other images, adjusted over the classes (Holm).

    None if the class has a single image, or there is no other class.
    """


class AddedConfusion(NamedTuple):
    """Images of one class that the model takes for another one more often than without corruption; fractions."""

    label: int
    predicted: int
    n: int
    """Images of the class ``label``."""
    clean: float
    """Share of them that are predicted as ``predicted`` on the clean images."""
    corrupted: float
    """The same as the mean over the cells."""
    added: Interval
    """Corrupted minus clean, paired by image, for this pair of classes alone."""
    p: float
    """P-value of nothing added, adjusted over all pairs of classes (Bonferroni)."""


def class_errors(
    labels: NDArray[np.integer],
    bits: Mapping[Cell, NDArray[np.bool_]],
    cells: Sequence[Cell],
    confidence: float = 0.95,
) -> list[ClassError]:
    """The errors of each class on the clean images and over other cells.

    Args:
        labels: ``(n,)``, the images' classes from 0.
        bits: ``(n,)`` by cell, True where the model is right.
        cells: The cells of the mean, at least one.
        confidence: Confidence of each interval.

    Returns:
        The classes that have images, in ascending order.

    Raises:
        Unavailable: If a cell of the mean is missing.
    """
    require_cells(bits, cells)
    values = np.zeros(len(labels))
    for cell in cells:
        values += ~bits[cell]
    values /= len(cells)
    clean = bits.get((CLEAN, 0))
    # One sort puts the images of each class side by side.
    order = np.argsort(labels, kind="stable")
    numbers, starts = np.unique(labels[order], return_index=True)
    members = np.split(order, starts[1:])
    worth = _effective(values) / len(values) if len(values) >= FEWEST else 1.0
    p_values = [_unlike_others(values, of, worth) for of in members]
    # Classes without a p-value are no tests, and make no other p-value larger.
    adjusted = iter(holm([p for p in p_values if p is not None]))
    found = []
    for number, of, p in zip(numbers, members, p_values, strict=True):
        several = len(of) >= FEWEST
        found.append(
            ClassError(
                number=int(number),
                n=len(of),
                clean=None if clean is None or not several else wilson(int((~clean[of]).sum()), len(of), confidence),
                error=float(values[of].mean()),
                interval=mean_of_few(values[of], confidence) if several else None,
                p=None if p is None else next(adjusted),
            )
        )
    return found


def worst_classes(errors: Sequence[ClassError], most: int) -> list[ClassError]:
    """The classes with the highest error over cells, highest first, the lower number first among equals."""
    return sorted(errors, key=lambda one: (-one.error, one.number))[:most]


def mean_of_few(values: NDArray[np.float64], confidence: float = 0.95) -> Interval:
    """The interval of a mean of fractions over few images: Wilson's, for their effective number of images.

    It is `intervals.fraction_interval` with two corrections for small samples. Student's quantile of n - 1 degrees of
    freedom replaces the normal one in the effective number (Korn & Graubard, Survey Methodology 1998). The variance is
    what it would be with four more images at `intervals.variance_slope`, as in `paired.floored_deviation`.

    Args:
        values: ``(n,)``, each in [0, 1], n at least 2.
        confidence: Probability of covering the true mean.
    """
    n, mean = len(values), float(values.mean())
    ratio = quantile(confidence) / student_quantile(n, confidence)
    effective = max(n, ratio**2 * _effective(values))
    return wilson(mean * effective, effective, confidence)


def added_confusions(
    labels: NDArray[np.integer],
    classes: Mapping[Cell, NDArray[np.integer]],
    cells: Sequence[Cell],
    n_classes: int,
    most: int = 20,
    confidence: float = 0.95,
) -> list[AddedConfusion]:
    """The confusions that corruptions add: pairs of classes whose rate is above that on the clean images.

    The rate of a pair is the share of the images of one class that are predicted as the other. Under corruption it is
    the mean over the cells.

    Args:
        labels: ``(n,)``, the images' classes from 0.
        classes: ``(n,)`` by cell, the predicted classes. Those from ``n_classes`` on are other outputs of the model.
        cells: The cells of the mean, at least one.
        n_classes: Number of classes of the dataset.
        most: The number of pairs to return.
        confidence: Confidence of each interval.

    Returns:
        The pairs with the largest added rate, largest first, then by class. Pairs that became no more frequent are left
        out, and so are classes of a single image.

    Raises:
        Unavailable: If one of the cells, or the clean images, are missing.
    """
    require_cells(classes, cells)
    require_cells(classes, [(CLEAN, 0)])
    width = max(n_classes, *(int(classes[cell].max(initial=0)) + 1 for cell in (*cells, (CLEAN, 0))))
    sizes = np.bincount(labels, minlength=n_classes)
    pairs, weights = _pair_counts(labels, classes, cells, width)
    rates = weights / sizes[pairs // width]
    kept = (rates > 0) & (sizes[pairs // width] >= FEWEST)
    pairs, rates = pairs[kept], rates[kept]
    # Any class of the images may be taken for any other class.
    tests = int(np.count_nonzero(sizes)) * (width - 1)
    found = []
    for place in np.lexsort((pairs, -rates))[:most]:
        label, predicted = divmod(int(pairs[place]), width)
        of = np.flatnonzero(labels == label)
        clean = (classes[CLEAN, 0][of] == predicted).astype(np.float64)
        corrupted = np.mean([classes[cell][of] == predicted for cell in cells], axis=0)
        added, p = _added(corrupted - clean, confidence)
        rate = float(corrupted.mean())
        found.append(AddedConfusion(label, predicted, len(of), float(clean.mean()), rate, added, min(1.0, tests * p)))
    return found


def _unlike_others(values: NDArray[np.float64], of: NDArray[np.int64], worth: float) -> float | None:
    """Two-sided p-value of a class having the mean of all other images; None if there are too few images.

    It is the score test that belongs to `mean_of_few`: its variance is that of the mean over all images.

    Args:
        values: ``(n,)`` of all images.
        of: Places of the class's images.
        worth: The number of images with one cell that one image is worth.
    """
    n, n_others = len(of), len(values) - len(of)
    if n < FEWEST or n_others < FEWEST:
        return None
    own, mean = float(values[of].mean()), float(values.mean())
    # From the two means: a mask of all images for each of a thousand classes would cost more than the rest.
    others = (len(values) * mean - n * own) / n_others
    variance = mean * (1 - mean) * (1 / _effective(values[of]) + 1 / (worth * n_others))
    return _two_sided(abs(own - others) / math.sqrt(variance), n) if variance > 0 else 1.0


def _effective(values: NDArray[np.float64]) -> float:
    """The number of images with one cell that are worth as much as these, at least n."""
    n, mean = len(values), float(values.mean())
    variance = deviation(values) ** 2 + PSEUDO_IMAGES * variance_slope(values) ** 2 / n
    return max(n, n * mean * (1 - mean) / variance) if variance > 0 else n


def _pair_counts(
    labels: NDArray[np.integer], classes: Mapping[Cell, NDArray[np.integer]], cells: Sequence[Cell], width: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Wrong predictions by pair, as label * width + predicted, and how many more there are than on clean images.

    A prediction in one cell counts one part of the number of cells.
    """
    parts = [_counted_pairs(labels, [classes[CLEAN, 0]], width, -1.0)]
    for start in range(0, len(cells), BLOCK_OF_CELLS):
        block = [classes[cell] for cell in cells[start : start + BLOCK_OF_CELLS]]
        parts.append(_counted_pairs(labels, block, width, 1.0 / len(cells)))
    pairs, places = np.unique(np.concatenate([pairs for pairs, _ in parts]), return_inverse=True)
    added = np.bincount(places, np.concatenate([counts for _, counts in parts]), len(pairs))
    # Rounding errors of sums that cancel are no confusions.
    return pairs, np.where(np.abs(added) > 1e-9, added, 0.0)


def _counted_pairs(
    labels: NDArray[np.integer], predictions: Sequence[NDArray[np.integer]], width: int, weight: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    keys = np.concatenate([(labels.astype(np.int64) * width + own)[own != labels] for own in predictions])
    pairs, counts = np.unique(keys, return_counts=True)
    return pairs, weight * counts.astype(np.float64)


def _added(differences: NDArray[np.float64], confidence: float) -> tuple[Interval, float]:
    """The interval of a mean difference of rates, and the p-value of none."""
    n, value = len(differences), float(differences.mean())
    error = floored_deviation(differences, 1.0) / math.sqrt(n)
    reach = student_quantile(n, confidence) * error
    return Interval(value, max(-1.0, value - reach), min(1.0, value + reach)), _two_sided(abs(value) / error, n)


def _two_sided(errors: float, n: int) -> float:
    """P-value of a distance in standard errors over n images."""
    from scipy.special import stdtr

    return float(2 * stdtr(n - 1, -errors))
