"""Which images two runs have in common."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FEWEST = 2
"""Images of which a deviation can be had."""


class Shared(NamedTuple):
    """Images that are on both sides."""

    one: NDArray[np.int64]
    """``(k,)`` their places on the first side, in the order of the keys, whichever side is the first."""
    other: NDArray[np.int64]
    """``(k,)`` on the second, in the same order."""


def shared_images(one: NDArray[np.uint64] | None, other: NDArray[np.uint64] | None) -> Shared | None:
    """Find the images that are on both sides by their keys (`ppbench.run.image_keys`).

    Args:
        one: ``(n,)``, no two the same; None if unknown.
        other: ``(m,)``, the same of the other side.

    Returns:
        Their places; None if a side has no keys.
    """
    if one is None or other is None:
        return None
    _, here, there = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return Shared(here, there)
