"""The disks of defocus_blur, as OpenCV makes them, split into boxes for running sums."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ppbench.corruptions.levels import FRACTIONS, Ties, ties_of
from ppbench.corruptions.types import Doubles, Floats, Indices


class Disk(NamedTuple):
    """A disk to blur with: as a kernel, and with each of its columns as a sum of boxes, for running sums."""

    kernel: Floats | Doubles
    """``(2 r + 1, 2 r + 1)``. float64, like the weights, if float32 cannot tell which sums are whole."""
    first: Indices
    """``(r + 2,)``: columns k and -k have the boxes from ``first[k]`` to ``first[k + 1]``."""
    reaches: Indices
    """How many pixels each box extends above and below the centre."""
    weights: Floats | Doubles
    """The value in each box."""
    ties: Ties


@lru_cache(maxsize=64)
def disk_of(radius: float, alias_sigma: float) -> Disk:
    """Return a disk for `ppbench.corruptions.blur.blur_disk`."""
    kernel = _cropped(disk_kernel(radius, alias_sigma).astype(np.float64))
    half = len(kernel) // 2
    steps = -np.diff(kernel[half:, half:].T, axis=1, append=0)
    # The steps left out of the recipes' disks are float32's rounding, and corners too faint to see: 1e-5 of a level.
    is_step = np.abs(steps) > 1e-7 * kernel.max()
    first = np.concatenate([[0], np.cumsum(is_step.sum(axis=1))])
    # With such a faint rim, sums are almost multiples of 1 / n, and float32 cannot tell them from whole levels. Of the
    # recipes' disks, one has a rim of 4e-6; the next faintest is 0.04.
    dtype: type = np.float64 if 0 < kernel[half].min() < 1e-4 * kernel.max() else np.float32
    flat = np.minimum(FRACTIONS * math.fsum(kernel.ravel()), 1) * 255
    reaches, weights = np.nonzero(is_step)[1], steps[is_step].astype(dtype)
    return Disk(kernel.astype(dtype), first, reaches, weights, ties_of(flat, dtype))


def disk_kernel(radius: float, alias_sigma: float) -> Floats:
    """Return a flat disk smoothed by a small Gaussian, float32.

    As in the original, the smoothing mirrors the kernel's own border, and the result is not normalised: if the disk
    touches the border, its sum exceeds 1, by up to 0.013. Flat areas show float32's rounding, so every operation is as
    in OpenCV, which fuses multiplications with additions.
    """
    # The scripts use a grid of 17 x 17 for all radii up to 8.
    half = 8 if radius <= 8 else int(radius)
    across = np.arange(-half, half + 1)
    disk = (across**2 + across[:, None] ** 2 <= radius**2).astype(np.float32)
    disk /= disk.sum()
    # The blur that softens the rim has 3 x 3 pixels, or 5 x 5 for large disks.
    reach = 1 if radius <= 8 else 2
    weights = np.array([math.exp(-(x**2) / (2 * alias_sigma**2)) for x in range(reach + 1)])
    weights = (weights / (weights[0] + 2 * weights[1:].sum())).astype(np.float32)
    centre_last, centre_first = range(reach, -1, -1), range(reach + 1)
    return _soften(_soften(disk, weights, centre_last).T, weights, centre_first).T.copy()


def _soften(image: Floats, weights: Floats, order: range) -> Floats:
    """Correlate lines with symmetric weights, adding the taps at the distances in ``order``."""
    side, reach = image.shape[1], weights.size - 1
    padded = np.pad(image, ((0, 0), (reach, reach)), mode="reflect")
    total = np.zeros_like(image)
    for k in order:
        left, right = padded[:, reach - k :][:, :side], padded[:, reach + k :][:, :side]
        taps = left + right if k else left
        total = (taps.astype(np.float64) * weights[k] + total).astype(np.float32)  # one rounding: a fused operation
    return total


def _cropped(kernel: Doubles) -> Doubles:
    """Cut off empty margins. In the recipes' disks these are under 2e-11 of the largest value, all others over 5e-8."""
    half = len(kernel) // 2
    reach = int(np.abs(np.argwhere(kernel > 1e-9 * kernel.max()) - half).max())
    return kernel[half - reach : half + reach + 1, half - reach : half + reach + 1]
