"""Means of small images, run by Triton's interpreter, against sums one after another."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppbench.corruptions import fused
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.colour import sums_in_order
from ppbench.corruptions.kernels import disabled


@pytest.mark.parametrize("size", [(1, 8, 9, 3), (12, 11, 8, 3), (35, 8, 8, 1), (0, 8, 8, 3)])
def test_sums_are_those_of_the_definition(size: tuple[int, int, int, int]) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8))
    expected = sums_in_order(images)
    with fused.interpreted():
        assert torch.equal(sums_in_order(images), expected)


def test_contrast_is_the_same_with_it() -> None:
    image = torch.full((1, 3, 12, 10), 77, dtype=torch.uint8)  # every pixel is a tie
    expected = corrupt(image, "contrast", 3, recipe="cifar-c", ids=["a"])
    with disabled(), fused.interpreted():
        assert torch.equal(corrupt(image, "contrast", 3, recipe="cifar-c", ids=["a"]), expected)
