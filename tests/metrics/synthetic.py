"""Synthetic runs whose true errors are known: images have a difficulty, which their cells share.

An image is wrong in a cell where a normal variable is above the cell's threshold. Of that variable's variance `SHARED`
is the image's own difficulty (a part of which is its class's), `OF_CORRUPTION` how hard this corruption makes this
image, at all severities, and the rest is of the cell alone. A second model sees the same images: it has `SAME` of all
of this in common with the first. The embedded networks on 500 embedded images vary as with 0.46 and 0.53 shared, and
their difference as with 0.9 the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ppbench.metrics.per_image import PerImage
from ppbench.vocabulary import C15, CLEAN, SEVERITIES
from tests.builders import RESNET50_ACCURACY, Key

SHARED, OF_CORRUPTION, SAME = 0.5, 0.2, 0.9
SPREAD = 0.35
"""Between the thresholds of neighbouring severities, in standard deviations."""

THREE = ("gaussian_noise", "fog", "pixelate")
"""Few corruptions, where many runs are drawn."""


def truth(corruptions: Sequence[str] = C15, severities: Sequence[int] = SEVERITIES) -> dict[Key, float]:
    """True errors like ResNet-50's: clean 23.87 %, and each corruption's published mean at these severities."""
    errors = {(CLEAN, 0): 0.2387}
    for corruption in corruptions:
        errors |= _by_severity(corruption, 1 - RESNET50_ACCURACY[corruption] / 100, severities)
    return errors


def _by_severity(corruption: str, mean: float, severities: Sequence[int]) -> dict[Key, float]:
    """Errors whose mean is given, rising by `SPREAD` a severity; the offset is found by bisection."""
    normal, middle = NormalDist(), np.mean(severities)
    low, high = -6.0, 6.0
    for _ in range(60):
        offset = (low + high) / 2
        errors = {(corruption, s): normal.cdf(offset + SPREAD * (s - middle)) for s in severities}
        low, high = (offset, high) if np.mean(list(errors.values())) < mean else (low, offset)
    return errors


def draw(
    random: np.random.Generator,
    errors: Sequence[dict[Key, float]],
    images: int,
    *,
    classes: NDArray[np.int64] | None = None,
    of_class: float = 0.0,
    class_effects: NDArray[np.float64] | None = None,
    shared: float = SHARED,
    same: float = SAME,
) -> list[NDArray[np.bool_]]:
    """Draw images and what models get wrong of them.

    Args:
        random: Source of all draws.
        errors: True errors by cell, one dict a model; all have the same cells.
        images: n.
        classes: ``(n,)`` of the images, if classes differ in difficulty.
        of_class: Part of the images' difficulty (a variance, 0 to 1) that is their class's.
        class_effects: ``(classes,)`` standard normal, the difficulty of each class.
        shared: Of the variance of a cell's variable, in place of `SHARED`.
        same: Of the variance but the classes', common to all models, in place of `SAME`.

    Returns:
        ``(cells, n)`` booleans a model.
    """
    keys = list(errors[0])
    names = list(dict.fromkeys(name for name, _ in keys))
    rows = [names.index(name) for name, _ in keys]
    by_corruption = OF_CORRUPTION * (1 - shared) / (1 - SHARED)
    rest = 1 - shared - by_corruption

    def part() -> NDArray[np.float64]:
        difficulty = np.sqrt(1 - of_class) * random.standard_normal(images)
        of_corruption = random.standard_normal((len(names), images))[rows]
        alone = random.standard_normal((len(keys), images))
        return np.sqrt(shared) * difficulty + np.sqrt(by_corruption) * of_corruption + np.sqrt(rest) * alone

    of_classes = 0.0
    if classes is not None and class_effects is not None:
        of_classes = np.sqrt(shared * of_class) * class_effects[classes]
    common = part() if len(errors) > 1 else 0.0
    models = []
    for model in errors:
        latent = np.sqrt(same) * common + np.sqrt(1 - same) * part() if len(errors) > 1 else part()
        thresholds = np.array([_threshold(model[key]) for key in keys])
        models.append(latent + of_classes > thresholds[:, None])
    return models


@cache
def _threshold(error: float) -> float:
    """Above which a standard normal variable is with this probability."""
    return NormalDist().inv_cdf(1 - error)


def per_image(keys: Sequence[Key], errors: NDArray[np.bool_], source: str = "net") -> PerImage:
    """The model whose cells are ``keys``."""
    return PerImage(source, errors, {key: row for row, key in enumerate(keys)})


def mean_of(errors: dict[Key, float], corruptions: Sequence[str], severities: Sequence[int]) -> float:
    """True mean error over cells, a fraction."""
    return float(np.mean([errors[name, s] for name in corruptions for s in severities]))


def stratified_order(strata: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """A random order of images of which every beginning has equal shares of all classes, in proportion to their sizes.

    Args:
        strata: ``(n,)`` class numbers from 0.
        seed: Another seed, another order.

    Returns:
        ``(n,)`` places.
    """
    random = np.random.default_rng([0x57A7, seed])
    draw = random.permutation(len(strata))
    order = np.lexsort((draw, strata))
    counts = np.bincount(strata)
    rank = np.concatenate([np.arange(count) for count in counts]) if len(counts) else np.zeros(0)
    share = (rank + 0.5) / counts[strata[order]]
    # Ties between classes of equal size are broken by the draw, so that no class is always first.
    return order[np.lexsort((draw[order], share))]
