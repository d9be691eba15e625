"""Noise: gaussian_noise, shot_noise, impulse_noise, speckle_noise.

Each channel value has a draw of its own. Images are ``(n, H, W, C)`` uint8; results are truncated to whole levels, not
rounded, as everywhere in ImageNet-C.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.corruptions import constants as c
from ppbench.corruptions.dispatch import on_cpu, on_cuda
from ppbench.corruptions.kernels import noise as kernels
from ppbench.corruptions.levels import divide
from ppbench.corruptions.photons import poisson
from ppbench.corruptions.random import MASK, Draws, normals, philox, stream_of
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.types import Pixels
from ppbench.corruptions.uploads import uploaded
from ppbench.errors import UsageError


def gaussian_noise(images: Tensor, k: c.Noise, recipe: Recipe, draws: Draws) -> Tensor:
    """Add normal noise of one width. Draws: ``noise`` (n, H, W, C), standard normal."""
    return _with_normal(images, k.std, False, draws)


def speckle_noise(images: Tensor, k: c.Noise, recipe: Recipe, draws: Draws) -> Tensor:
    """Add normal noise in proportion to the value. Draws: ``noise`` (n, H, W, C), standard normal."""
    return _with_normal(images, k.std, True, draws)


def _with_normal(images: Tensor, std: float, relative: bool, draws: Draws) -> Tensor:
    noise = draws.given("noise", images.shape[1:])
    if noise is None and draws.is_single("noise"):
        return noisy(images, draws.keys_for("noise"), stream_of("noise"), std, relative)
    return add_noise(images, draws.normal("noise", *images.shape[1:]), std, relative)


@on_cuda("noise")
def noisy(images: Tensor, keys: Tensor, stream: int, std: float, relative: bool) -> Tensor:
    """Add normal noise of a stream of keys, see `add_noise` and `ppbench.corruptions.random.normals`."""
    return add_noise(images, normals(keys, stream, images.shape[1:].numel()).view(images.shape), std, relative)


@on_cpu(kernels.add_noise)
def add_noise(images: Tensor, noise: Tensor, std: float, relative: bool) -> Tensor:
    """Compute ``x + std * noise``, or ``x + x * std * noise``, clipped to black and white."""
    x = divide(images.float(), 255)
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
    if draws.is_single("values"):
        return replaced(images, draws.keys_for("values"), stream_of("values"), k.fraction)
    return replace(images, draws.words("values", *images.shape[1:]), k.fraction)


@on_cuda("noise")
def replaced(images: Tensor, keys: Tensor, stream: int, fraction: float) -> Tensor:
    """Replace a fraction of the values by a stream of keys, see `replace`."""
    return replace(images, philox(keys, stream, images.shape[1:].numel()).view(images.shape), fraction)


@on_cpu(kernels.replace)
def replace(images: Tensor, words: Tensor, fraction: float) -> Tensor:
    """Replace a fraction of the values. The upper 31 bits of a word decide whether, the lowest bit black or white."""
    bits = words.long() & MASK
    salt = ((bits & 1) * 255).to(torch.uint8)
    return torch.where((bits >> 1) < round(fraction * 2**31), salt, images)


def shot_noise(images: Tensor, k: c.Shot, recipe: Recipe, draws: Draws) -> Tensor:
    """Count photons instead of measuring light. Draws: ``photons`` (n, H, W, C), Poisson counts."""
    law = poisson(k.photons)
    photons = draws.given("photons", images.shape[1:], 0)
    if photons is not None:
        return uploaded(law.levels, images.device)[photons.long().clamp(max=k.photons)]
    if draws.is_single("photons"):
        return detected(images, draws.keys_for("photons"), stream_of("photons"), k.photons)
    return detect(images, draws.words("photons", *images.shape[1:]), *law)


@on_cuda("noise")
def detected(images: Tensor, keys: Tensor, stream: int, white: int) -> Tensor:
    """Draw Poisson counts by a stream of keys, see `detect`; ``white`` is the rate of white."""
    return detect(images, philox(keys, stream, images.shape[1:].numel()).view(images.shape), *poisson(white))


@on_cuda("noise")
@on_cpu(kernels.detect)
def detect(
    images: Tensor, words: Tensor, thresholds: NDArray[np.uint32], guide: NDArray[np.uint16], levels: Pixels
) -> Tensor:
    """Draw Poisson counts with the images' values as rates, and return their levels.

    A count is the smallest one whose threshold is above the word.
    """
    table = uploaded(thresholds, images.device).view(torch.int32).long() & MASK
    # One sorted table for all 256 rates: 2^32 times the value keeps their rows apart.
    rows = torch.arange(256, device=images.device)[:, None] << 32
    wanted = (images.long() << 32) | (words.long() & MASK)
    places = torch.searchsorted((table + rows).flatten(), wanted, right=True)
    return uploaded(levels, images.device)[places - images.long() * thresholds.shape[1]]
