"""The severity at which images flip: the first one at which an image that is right without corruption becomes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.metrics.intervals import Interval, fraction_interval
from ppbench.metrics.metric import Unavailable, require_cells
from ppbench.metrics.per_image import FEWEST
from ppbench.vocabulary import CLEAN, Cell

UNFLIPPED = 0
"""In place of a severity: right on the clean image and at every severity."""

WRONG_FROM_START = -1
"""In place of a severity: wrong on the clean image already, so that nothing can flip."""


class FlipShares(NamedTuple):
    """Shares of the images that are right without corruption, fractions. ``first`` and ``never`` add up to 1.

    Over several corruptions each share is the mean of the corruptions' shares.
    """

    n: int
    """Images that are right without corruption."""
    first: Mapping[int, Interval]
    """By severity: share of the images that are wrong there and right at all lower severities."""
    never: Interval
    """Share of the images that are right at all severities."""
    returned: Interval
    """Share of the images that flip and are right again at a higher severity."""


def first_flips(bits: Mapping[Cell, NDArray[np.bool_]], corruption: str, severities: Sequence[int]) -> NDArray[np.int8]:
    """The first severity at which each image flips.

    Args:
        bits: ``(n,)`` by cell, True where the model is right.
        corruption: Its name.
        severities: At least one.

    Returns:
        ``(n,)`` int8: a severity, `UNFLIPPED` or `WRONG_FROM_START`.

    Raises:
        Unavailable: If one of the cells, or the clean images, are missing.
    """
    levels = sorted(severities)
    require_cells(bits, [(CLEAN, 0)])
    require_cells(bits, [(corruption, severity) for severity in levels])
    wrong = np.stack([~bits[corruption, severity] for severity in levels])
    # `argmax` is 0 as well where no severity is wrong, so `any` decides.
    first = np.where(wrong.any(axis=0), np.array(levels)[wrong.argmax(axis=0)], UNFLIPPED)
    return np.where(bits[CLEAN, 0], first, WRONG_FROM_START).astype(np.int8)


def flip_shares(
    bits: Mapping[Cell, NDArray[np.bool_]],
    corruptions: Sequence[str],
    severities: Sequence[int],
    confidence: float = 0.95,
) -> FlipShares:
    """Shares of images by the first severity at which they flip, over one corruption or as the mean over several.

    The sample of the intervals are the images that are right without corruption.

    Args:
        bits: ``(n,)`` by cell, True where the model is right.
        corruptions: At least one.
        severities: At least one.
        confidence: Confidence of each interval.

    Raises:
        Unavailable: If a cell is missing, or fewer than 2 images are right without corruption.
    """
    levels = sorted(severities)
    require_cells(bits, [(name, severity) for name in corruptions for severity in levels])
    require_cells(bits, [(CLEAN, 0)])
    right = bits[CLEAN, 0]
    n = int(right.sum())
    if n < FEWEST:
        raise Unavailable(f"{n} {'image is' if n == 1 else 'images are'} right without corruption")
    flipped = {severity: np.zeros(n) for severity in levels}
    never, returned = np.zeros(n), np.zeros(n)
    for name in corruptions:
        first = first_flips(bits, name, levels)[right]
        for severity in levels:
            flipped[severity] += first == severity
        never += first == UNFLIPPED
        returned += _is_right_after(bits, name, levels, first, right)

    def share(counts: NDArray[np.float64]) -> Interval:
        values = counts / len(corruptions)
        return fraction_interval(float(values.mean()), float(values.std(ddof=1)), n, confidence)

    return FlipShares(n, {level: share(counts) for level, counts in flipped.items()}, share(never), share(returned))


def _is_right_after(
    bits: Mapping[Cell, NDArray[np.bool_]],
    corruption: str,
    levels: Sequence[int],
    first: NDArray[np.int8],
    images: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Whether each of these images is right at a severity above its first flip."""
    found = np.zeros(len(first), bool)
    for severity in levels:
        found |= (first > UNFLIPPED) & (severity > first) & bits[corruption, severity][images]
    return found
