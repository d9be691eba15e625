"""Sums that are whole levels but for rounding."""

from __future__ import annotations

import torch

from ppbench.corruptions.levels import Ties, to_levels
from tests.corruptions.flat import LEVELS


def test_what_is_nearly_whole_goes_where_the_reference_takes_it() -> None:
    flat = LEVELS.copy()
    flat[7] = 6
    x = torch.tensor([6.9999, 7, 7.0001, 6.99, 7.01, 7.99995, 8.00005, -1, 255.00001, 300])
    assert to_levels(x, Ties(flat, 2e-4)).tolist() == [6, 6, 6, 6, 7, 8, 8, 0, 255, 255]
    assert to_levels(x, Ties(flat, 0)).tolist() == [6, 7, 7, 6, 7, 7, 8, 0, 255, 255]
