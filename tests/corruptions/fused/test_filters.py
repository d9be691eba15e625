"""Fused Gaussians, run by Triton's interpreter, against numba's: equal pixels and numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppbench.corruptions import fused
from ppbench.corruptions.axes import margins
from ppbench.corruptions.blur import gaussian_levels
from ppbench.corruptions.filters import smooth
from ppbench.corruptions.taps import gaussian_weights


@pytest.mark.parametrize(
    ("size", "sigma", "dtype"),
    [((1, 9, 11, 3), 0.4, np.float64), ((2, 8, 9, 1), 1.0, np.float64), ((1, 10, 10, 3), 2.2, np.float32)],
)
def test_levels_are_those_of_the_cpu(size: tuple[int, int, int, int], sigma: float, dtype: type) -> None:
    """Radii of 2, 4 and 9: without fours, with one, with two and a rest. Half of each image is flat."""
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8))
    images[:, :, size[2] // 2 :] = 200
    expected = gaussian_levels(images, sigma, dtype)
    with fused.interpreted():
        assert torch.equal(gaussian_levels(images, sigma, dtype), expected)
        assert gaussian_levels(images[:0], sigma, dtype).shape == (0, *size[1:])


def test_numbers_are_those_of_the_cpu() -> None:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 9, 12, 1)))
    down, across = gaussian_weights(1.3, 4), gaussian_weights(0.6, 4)
    rows, columns = margins(9, down.size - 1, "nearest"), margins(12, across.size - 1, "mirror")
    for numbers in (np.float64, np.float32):
        weights = down.astype(numbers), across.astype(numbers)
        expected = smooth(x.to(torch.from_numpy(weights[0]).dtype), *weights, rows, columns)
        with fused.interpreted():
            got = smooth(x.to(expected.dtype), *weights, rows, columns)
        assert got.dtype == expected.dtype
        assert torch.equal(got, expected)
