"""Noise: gaussian_noise, shot_noise, impulse_noise, speckle_noise.

Each channel value has a draw of its own. Images are ``(n, H, W, C)`` uint8; results are truncated to whole levels, not
rounded, as everywhere in ImageNet-C.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.corruptions import constants as c
from ppbench.corruptions.kernels import noise as kernels
from ppbench.corruptions.kernels import on_cpu
from ppbench.corruptions.random import MASK, Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.types import Pixels
from ppbench.errors import UsageError


def gaussian_noise(images: Tensor, k: c.Noise, recipe: Recipe, draws: Draws) -> Tensor:
    """Add normal noise of one width. Draws: ``noise`` (n, H, W, C), standard normal."""
    return add_noise(images, draws.normal("noise", *images.shape[1:]), k.std, False)


def speckle_noise(images: Tensor, k: c.Noise, recipe: Recipe, draws: Draws) -> Tensor:
    """Add normal noise in proportion to the value. Draws: ``noise`` (n, H, W, C), standard normal."""
    return add_noise(images, draws.normal("noise", *images.shape[1:]), k.std, True)


@on_cpu(kernels.add_noise)
def add_noise(images: Tensor, noise: Tensor, std: float, relative: bool) -> Tensor:
    """Compute ``x + std * noise``, or ``x + x * std * noise``, clipped to black and white."""
    x = images / 255
    x = x + noise * std * x if relative else x + noise * std
    return (x.clamp_(0, 1) * 255).to(torch.uint8)


def impulse_noise(images: Tensor, k: c.Impulse, recipe: Recipe, draws: Draws) -> Tensor:
    """Replace values by black or white. Draws: ``flipped`` and ``salted`` (n, H, W, C), boolean."""
    # Two fields, as scikit-image draws them: which values are replaced, and which of these become white.
    flipped, salted = (draws.given(name, images.shape[1:], 0, 1) for name in ("flipped", "salted"))
    if (flipped is None) != (salted is None):
        raise UsageError("one of the draws 'flipped' and 'salted' is missing", "Hand in both, or none.")
    if flipped is not None:
        return torch.where(flipped.bool(), salted.to(torch.uint8) * 255, images)
    return replace(images, draws.words("values", *images.shape[1:]), k.fraction)


@on_cpu(kernels.replace)
def replace(images: Tensor, words: Tensor, fraction: float) -> Tensor:
    """Replace a fraction of the values. The upper 31 bits of a word decide whether, the lowest bit black or white."""
    bits = words.long() & MASK
    salt = ((bits & 1) * 255).to(torch.uint8)
    return torch.where((bits >> 1) < round(fraction * 2**31), salt, images)


def shot_noise(images: Tensor, k: c.Shot, recipe: Recipe, draws: Draws) -> Tensor:
    """Count photons instead of measuring light. Draws: ``photons`` (n, H, W, C), Poisson counts."""
    law = _poisson(k.photons)
    photons = draws.given("photons", images.shape[1:], 0)
    if photons is not None:
        return _table(law.levels, images)[photons.long().clamp(max=k.photons)]
    return detect(images, draws.words("photons", *images.shape[1:]), *law)


class _Poisson(NamedTuple):
    """Tables for drawing Poisson counts with 256 rates, by the inverse of the distribution function."""

    thresholds: NDArray[np.uint32]
    """``(256, n)``: the count is above k if the word is not below entry k."""
    guide: NDArray[np.uint16]
    """``(256, 512)``: the count at which a search begins, for the upper 9 bits of the word."""
    levels: Pixels
    """``(n + 1,)``: the grey level of each count."""


@lru_cache(maxsize=8)
def _poisson(white: int) -> _Poisson:
    """Return the tables for ``white`` photons in white. Counts end there, because higher ones are white too."""
    rates = np.arange(256)[:, None] / 255 * white
    counts = np.arange(1, white)
    none = np.array([[math.exp(-rate)] for rate in rates[:, 0]])  # numpy's exp differs between processors
    # P(k) is P(k - 1) * rate / k: products of these steps are the probabilities, their sums the distribution function.
    steps = np.concatenate([none, np.repeat(rates, white - 1, axis=1) / counts], axis=1)
    below = np.minimum(np.cumsum(np.cumprod(steps, axis=1), axis=1), 1)
    thresholds = np.minimum(np.floor(below * 2**32), 2**32 - 1).astype(np.uint32)
    first_words = np.arange(512, dtype=np.uint32) << np.uint32(23)
    guide = [np.searchsorted(row, first_words, side="right") for row in thresholds]
    levels = np.clip(np.arange(white + 1) / white, 0, 1) * 255
    return _Poisson(thresholds, np.array(guide, np.uint16), levels.astype(np.uint8))


@on_cpu(kernels.detect)
def detect(
    images: Tensor, words: Tensor, thresholds: NDArray[np.uint32], guide: NDArray[np.uint16], levels: Pixels
) -> Tensor:
    """Draw Poisson counts with the images' values as rates, and return their levels.

    A count is the smallest one whose threshold is above the word.
    """
    table = _table(thresholds.astype(np.int64), images)
    # One sorted table for all 256 rates: 2^32 times the value keeps their rows apart.
    rows = torch.arange(256, device=images.device)[:, None] << 32
    wanted = (images.long() << 32) | (words.long() & MASK)
    places = torch.searchsorted((table + rows).flatten(), wanted, right=True)
    return _table(levels, images)[places - images.long() * thresholds.shape[1]]


def _table(values: NDArray[np.generic], images: Tensor) -> Tensor:
    return torch.from_numpy(values).to(images.device)
