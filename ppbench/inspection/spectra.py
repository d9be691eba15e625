"""Spectra of kernels: the frequency and the orientation that a filter passes most."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ppbench.inspection.stimuli import angle_of

SIZE = 64
"""Side to which kernels are padded with zeros. The spectrum is then sampled every 1/64 cycle per pixel."""


class Peak(NamedTuple):
    """The place where a spectrum is greatest."""

    frequency: float
    """Cycles per pixel; 0 if the filter passes the mean most."""
    orientation: float | None
    """Orientation of the bars, degrees counterclockwise from horizontal, 0 to 180; None at frequency 0."""


def spectra(kernels: Tensor) -> Tensor:
    """Compute the magnitudes of the 2-D Fourier transforms, with zero frequency in the middle.

    Args:
        kernels: ``(filters, channels, height, width)``, at most `SIZE` a side.

    Returns:
        ``(filters, SIZE, SIZE)``, the root of the sum of squares over the channels; row ``i`` and column ``j`` stand
        for ``(i - SIZE / 2) / SIZE`` and ``(j - SIZE / 2) / SIZE`` cycles per pixel down and across.
    """
    magnitudes = torch.fft.fft2(kernels.double(), s=(SIZE, SIZE)).abs()
    return torch.fft.fftshift(magnitudes.square().sum(1).sqrt(), dim=(-2, -1))


def peak(spectrum: Tensor) -> Peak:
    """Find the greatest value of a spectrum ``(SIZE, SIZE)``; a spectrum of zeros has its peak at 0."""
    half = spectrum[: SIZE // 2 + 1]  # the other half is its mirror image
    # Of values that are equal but for rounding, take the one of the lowest frequency.
    frequencies = (torch.arange(SIZE) - SIZE // 2).double() / SIZE
    distance = torch.hypot(frequencies[: SIZE // 2 + 1, None], frequencies[None])
    candidates = torch.where(half >= half.max() * (1 - 1e-9), distance, torch.inf)
    row, column = divmod(int(candidates.argmin()), SIZE)
    down, across = float(frequencies[row]), float(frequencies[column])
    frequency = float(distance[row, column])
    return Peak(frequency, angle_of(down, across) if frequency else None)
