"""Flat images of every level: truncation shows there over whole areas how a sum was rounded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.constants import constants
from ppbench.corruptions.kernels import disabled
from ppbench.corruptions.recipes import RECIPES

LEVELS = np.arange(256, dtype=np.uint8)
FLAT = np.broadcast_to(LEVELS[:, None, None, None], (256, 8, 9, 1)).copy()
"""A flat image of each level."""


def cells(name: str) -> Iterator[tuple[str, int]]:
    """Recipes and severities with constants of their own."""
    seen = set()
    for recipe in RECIPES:
        for severity in range(1, 6):
            k = (constants(recipe, name, severity), RECIPES[recipe].is_package)
            if k not in seen:
                seen.add(k)
                yield recipe, severity


def assert_flat_levels(name: str, recipe: str, severity: int, expected: NDArray[np.floating], **draws: object) -> None:
    """Flat images become what is expected after truncation, by the kernels and by the tensor code."""
    for how in (nullcontext, disabled):
        with how():
            got = corrupt(FLAT, name, severity, recipe=recipe, draws=draws)
        assert np.array_equal(got[:, 4, 4, 0], np.floor(expected)), (recipe, severity)
        assert (got == got[:, :1, :1]).all(), (recipe, severity)
