"""Spectra against a plain sum, and peaks of kernels whose peak is known."""

from __future__ import annotations

import cmath
import math

import pytest
import torch

from ppbench.inspection.spectra import SIZE, peak, spectra
from tests.inspection.layers import gabor


def test_the_spectrum_is_the_fourier_sum() -> None:
    kernel = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    found = spectra(kernel)[0]
    for row, column in ((32, 32), (0, 5), (40, 63), (17, 50)):
        down, across = (row - SIZE / 2) / SIZE, (column - SIZE / 2) / SIZE
        power = 0.0
        for channel in kernel[0].tolist():
            total = 0j
            for i, line in enumerate(channel):
                for j, value in enumerate(line):
                    total += value * cmath.exp(-2j * math.pi * (down * i + across * j))
            power += abs(total) ** 2
        assert float(found[row, column]) == pytest.approx(math.sqrt(power), rel=1e-6)


@pytest.mark.parametrize("orientation", [0, 30, 45, 90, 150])
def test_the_peak_of_a_gabor_filter_is_where_it_was_put(orientation: float) -> None:
    found = peak(spectra(gabor(orientation, 0.25, side=15, width=3))[0])
    assert found.frequency == pytest.approx(0.25, abs=0.012)
    turned = (found.orientation or 0.0) - orientation
    assert min(turned % 180, -turned % 180) < 4


def test_a_mean_and_nothing_have_their_peak_at_0_and_no_orientation() -> None:
    for kernel in (torch.ones(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)):
        assert peak(spectra(kernel)[0]) == (0.0, None)
