"""Tables for drawing Poisson counts."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.types import Doubles, Indices, Pixels


class Poisson(NamedTuple):
    """Tables for drawing Poisson counts with 256 rates, by the inverse of the distribution function."""

    thresholds: NDArray[np.uint32]
    """``(256, n)``: the count is above k if the word is not below entry k."""
    guide: NDArray[np.uint16]
    """``(256, 512)``: the count at which a search begins, for the upper 9 bits of the word."""
    levels: Pixels
    """``(n + 1,)``: the grey level of each count."""


@lru_cache(maxsize=8)
def poisson(white: float) -> Poisson:
    """Return the tables for ``white`` photons in white. Counts end there, because higher ones are white too."""
    rates, last = np.arange(256)[:, None] / 255 * white, math.ceil(white)
    counts = np.arange(1, last)
    below = np.minimum(np.cumsum(_probabilities(rates, counts, last), axis=1), 1)
    thresholds = np.minimum(np.floor(below * 2**32), 2**32 - 1).astype(np.uint32)
    first_words = np.arange(512, dtype=np.uint32) << np.uint32(23)
    guide = [np.searchsorted(row, first_words, side="right") for row in thresholds]
    levels = np.clip(np.arange(last + 1) / white, 0, 1) * 255
    return Poisson(thresholds, np.array(guide, np.uint16), levels.astype(np.uint8))


_MOST_STEPS = 700
"""The rate beyond which the probability of no photon is too small for a number of 64 bits."""


def _probabilities(rates: Doubles, counts: Indices, last: int) -> Doubles:
    """Return ``(256, last)``: the probabilities of 0, 1, … photons."""
    if last <= _MOST_STEPS:
        none = np.array([[math.exp(-rate)] for rate in rates[:, 0]])  # numpy's exp differs between processors
        # P(k) is P(k - 1) * rate / k: products of these steps are the probabilities.
        steps = np.concatenate([none, np.repeat(rates, last - 1, axis=1) / counts], axis=1)
        return np.cumprod(steps, axis=1)
    of_counts = [math.lgamma(count + 1) for count in range(last)]
    rows = [[1.0] + [0.0] * (last - 1)]
    for rate in rates[1:, 0].tolist():
        each = math.log(rate)
        rows.append([math.exp(count * each - rate - of_counts[count]) for count in range(last)])
    return np.array(rows)
