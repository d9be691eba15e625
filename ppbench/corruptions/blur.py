"""Blur: defocus_blur, glass_blur, motion_blur, zoom_blur, gaussian_blur.

All work per channel. Images are ``(n, H, W, C)`` uint8. Sums are of grey levels, 0 to 255, and float32, but float64
where that decides what is truncated in more than a few pixels.
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
from ppbench.corruptions.filters import (
    Doubles,
    Floats,
    Indices,
    clipped_zoom,
    gaussian_weights,
    margins,
    smooth,
    trail,
    trail_counts,
    trail_offsets,
    trail_weights,
)
from ppbench.corruptions.kernels import blur as kernels
from ppbench.corruptions.kernels import on_cpu
from ppbench.corruptions.random import MASK, Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.errors import UsageError


class Ties(NamedTuple):
    """What becomes of sums that are whole levels but for rounding, as they are in flat areas such as a white sky.

    Truncation makes such rounding visible, over the whole area; so it is decided by the reference's arithmetic.
    """

    flat: NDArray[np.uint8]
    """``(256,)``: what the reference makes of an area flat at each of the levels; one level less, or the same."""
    close: float
    """How near a whole level, in levels, a sum counts as on it."""


_CLOSE: dict[type, float] = {np.float32: 2e-4, np.float64: 2e-12}
"""Sums were found to err by up to 7.5e-5 and 1.1e-13, measured against longer numbers over all recipes and severities,
on noise and on flat, striped and speckled images. By chance 0.04 % of values are as near to a level as the first."""


def ties(flat: NDArray[np.floating], dtype: type) -> Ties:
    """Ties of a filter.

    Args:
        flat: ``(256,)``: what the reference's arithmetic makes of areas flat at 0 to 255, in levels, not yet truncated.
        dtype: What sums are computed in here.
    """
    close = _CLOSE[dtype]
    below = np.arange(256)
    whole = np.round(flat).astype(np.int64)
    is_below = (np.abs(flat - whole) < close) & (flat < whole)
    below[whole[is_below]] -= 1
    return Ties(below.astype(np.uint8), close)


def to_levels(x: Tensor, ties: Ties) -> Tensor:
    """Truncate grey levels, float of any shape, to uint8; they are clipped to 0..255."""
    x = x.clamp(0, 255)
    whole = (x + 0.5).int()
    flat = torch.from_numpy(ties.flat).to(x.device)
    return torch.where((x - whole).abs() < ties.close, flat[whole], x.to(torch.uint8))


_LEVELS = np.arange(256) / 255


def gaussian_blur(images: Tensor, k: c.Gaussian, recipe: Recipe, draws: Draws) -> Tensor:
    """A Gaussian; beyond the border stands the edge's pixel."""
    return gaussian_levels(images, k.sigma, np.float64 if k.sigma <= 1 else np.float32)


def gaussian_levels(images: Tensor, sigma: float, dtype: type) -> Tensor:
    """Gaussian of width ``sigma`` px, cut off at 4 widths; truncated to whole levels.

    Args:
        images: ``(n, H, W, C)`` uint8.
        sigma: In pixels.
        dtype: What to compute in. float32 cannot tell an area that is flat but for pixels with the last, small weights
            from one that is flat. With a narrow Gaussian there are many such areas.
    """
    weights: Floats | Doubles = gaussian_weights(sigma, 4).astype(dtype)
    if weights.size == 1:
        return images
    rows, columns = (margins(side, weights.size - 1, "nearest") for side in images.shape[1:3])
    return smooth_levels(images, weights, rows, columns, _gaussian_ties(sigma, dtype))


@on_cpu(kernels.smooth_levels)
def smooth_levels(images: Tensor, weights: Floats | Doubles, rows: Indices, columns: Indices, ties: Ties) -> Tensor:
    """`ppbench.corruptions.filters.smooth` with the same weights along both axes, truncated."""
    return to_levels(smooth(images.to(_torch(weights)), weights, weights, rows, columns), ties)


def _torch(array: Floats | Doubles) -> torch.dtype:
    return torch.float32 if array.dtype == np.float32 else torch.float64


@lru_cache(maxsize=64)
def _gaussian_ties(sigma: float, dtype: type) -> Ties:
    """By the reference's arithmetic: scipy's, float64, the centre first and then pairs from the outside in."""
    weights = gaussian_weights(sigma, 4)
    flat = _LEVELS
    for _ in ("down", "across"):
        total = flat * weights[0]
        for weight in weights[:0:-1]:
            total = total + (flat + flat) * weight
        flat = total
    return ties(np.clip(flat, 0, 1) * 255, dtype)


def defocus_blur(images: Tensor, k: c.Defocus, recipe: Recipe, draws: Draws) -> Tensor:
    """A disk with softened rim; beyond the border the image is mirrored, the edge's pixel not repeated.

    Strong severities brighten by a percent, see `disk_kernel`.
    """
    disk = disk_of(k.radius, k.alias_sigma)
    rows, columns = (margins(side, len(disk.kernel) // 2, "mirror") for side in images.shape[1:3])
    return blur_disk(images, disk, rows, columns)


class Disk(NamedTuple):
    """A disk to blur with: as a kernel, and for running sums with each column of the kernel as a sum of boxes."""

    kernel: Floats | Doubles
    """``(2 r + 1, 2 r + 1)``. float64, like the weights, where float32 cannot tell which sums are whole."""
    first: Indices
    """``(r + 2,)``: columns k and -k have the boxes from ``first[k]`` to ``first[k + 1]``."""
    reaches: Indices
    """Where each box ends: so many pixels above and below the centre."""
    weights: Floats | Doubles
    """What is in each box."""
    ties: Ties


@lru_cache(maxsize=64)
def disk_of(radius: float, alias_sigma: float) -> Disk:
    """Everything `blur_disk` needs to know of a disk."""
    kernel = _cropped(disk_kernel(radius, alias_sigma).astype(np.float64))
    half = len(kernel) // 2
    steps = -np.diff(kernel[half:, half:].T, axis=1, append=0)
    # Of the recipes' disks, those left out are float32's rounding and corners too faint to be seen: 1e-5 of a level.
    is_step = np.abs(steps) > 1e-7 * kernel.max()
    first = np.concatenate([[0], np.cumsum(is_step.sum(axis=1))])
    # With a rim so faint, sums are all but multiples of 1 / n, and float32 takes them for the whole levels among these.
    # Of the recipes' disks one has such a rim, of 4e-6; the next faintest is 0.04.
    dtype: type = np.float64 if 0 < kernel[half].min() < 1e-4 * kernel.max() else np.float32
    flat = np.minimum(_LEVELS * math.fsum(kernel.ravel()), 1) * 255
    reaches, weights = np.nonzero(is_step)[1], steps[is_step].astype(dtype)
    return Disk(kernel.astype(dtype), first, reaches, weights, ties(flat, dtype))


def disk_kernel(radius: float, alias_sigma: float) -> Floats:
    """A flat disk smoothed by a small Gaussian, float32.

    It is not normalised after the smoothing, and smoothed with the kernel's own border mirrored: where the disk
    touches the border its sum exceeds 1, up to 1.013. In flat areas float32's rounding is seen, hence every operation
    is as OpenCV's, which fuses multiplications with additions.
    """
    half = 8 if radius <= 8 else int(radius)
    across = np.arange(-half, half + 1)
    disk = (across**2 + across[:, None] ** 2 <= radius**2).astype(np.float32)
    disk /= disk.sum()
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
    """Without margins that are nothing: of the recipes' disks, under 2e-11 of the largest value, else over 5e-8."""
    half = len(kernel) // 2
    reach = int(np.abs(np.argwhere(kernel > 1e-9 * kernel.max()) - half).max())
    return kernel[half - reach : half + reach + 1, half - reach : half + reach + 1]


@on_cpu(kernels.blur_disk)
def blur_disk(images: Tensor, disk: Disk, rows: Indices, columns: Indices) -> Tensor:
    """Correlate with a disk.

    Args:
        images: ``(n, H, W, C)`` uint8.
        disk: The disk, of radius r.
        rows: `ppbench.corruptions.filters.margins` of the height and r.
        columns: The same of the width.
    """
    n, height, width, channels = images.shape
    row, column = torch.from_numpy(rows).to(images.device), torch.from_numpy(columns).to(images.device)
    # float64: of float32, GPUs may be set to use 10 bits of mantissa, and the order of sums is the library's choice.
    kernel = torch.from_numpy(disk.kernel).to(images.device).double()
    planes = images.index_select(1, row).index_select(2, column).movedim(3, 1).flatten(0, 1)[:, None].double()
    blurred = torch.conv2d(planes, kernel[None, None])
    return to_levels(blurred.view(n, channels, height, width).movedim(1, 3), disk.ties)


def glass_blur(images: Tensor, k: c.Glass, recipe: Recipe, draws: Draws) -> Tensor:
    """Pixels copied from near ones, between two Gaussians.

    Draws: ``shift`` (n, passes, H, W, 2), integers from ``-max_shift`` to ``max_shift - 1``: where each pixel is copied
    from, to the right and down.
    """
    height, width = images.shape[1:3]
    needed = 2 * k.max_shift + 1
    if min(height, width) < needed:
        raise UsageError(
            f"glass_blur cannot work on images of {height} x {width} pixels",
            f"At this severity of recipe {recipe.name} it moves pixels by up to {k.max_shift} and leaves margins as "
            f"wide: the least is {needed} pixels a side. Recipe cifar-c is for small images.",
        )
    shift = draws.given("shift", (k.passes, height, width, 2), -k.max_shift, k.max_shift - 1)
    words = draws.words("shift", k.passes, height, width) if shift is None else _words_for(shift, k.max_shift)
    # float64: errors of the first are carried about, and the second meets areas that the first left all but flat.
    blurred = gaussian_levels(images, k.sigma, np.float64)
    return gaussian_levels(shuffle(blurred, words, k.max_shift), k.sigma, np.float64)


def _words_for(shift: Tensor, reach: int) -> Tensor:
    """Words that `shuffle` reads as these shifts."""
    halves = ((shift.long() + reach) * 2**16 + 2 * reach - 1) // (2 * reach)
    return (halves[..., 0] << 16 | halves[..., 1]).to(torch.int32)


@on_cpu(kernels.shuffle)
def shuffle(images: Tensor, words: Tensor, reach: int) -> Tensor:
    """Copy pixels from near ones, in place and one after the other, so that later copies see earlier ones.

    The original means to swap the two, but its second assignment reads what the first has written. Each pass goes
    from the last row to the first and from the last column to the first, and leaves margins as they are.

    Args:
        images: ``(n, H, W, C)`` uint8.
        words: ``(n, passes, H, W)`` int32: random bits for each pixel, the upper half for the step to the right from
            which it is copied, the lower for the step down; uniform on ``-reach`` to ``reach - 1``.
        reach: The longest step.
    """
    n, height, width, channels = images.shape
    size = height * width
    row, column = torch.arange(height, device=images.device)[:, None], torch.arange(width, device=images.device)
    visited = _between(row, reach, height - reach) & _between(column, reach, width - reach)
    place = row * width + column
    pixels = images.view(n, size, channels)
    old = torch.arange(size, 2 * size, device=images.device).expand(n, size)
    for step in range(words.shape[1]):
        bits = words[:, step].long() & MASK
        right, down = ((half * 2 * reach >> 16) - reach for half in (bits >> 16, bits & 0xFFFF))
        y, x = row + down, column + right
        source = torch.where(visited, y * width + x, place)
        # Copied from the pixel as it is after this pass if that comes sooner in the pass, else as it was before.
        is_new = (source > place) & _between(y, reach, height - reach) & _between(x, reach, width - reach)
        points_to = torch.where(is_new, source, source + size).view(n, size)
        for _ in range(size.bit_length()):  # each round doubles how far along its chain of copies a pixel sees
            points_to = torch.cat([points_to, old], dim=1).gather(1, points_to)
        pixels = pixels.gather(1, (points_to - size)[..., None].expand(-1, -1, channels))
    return pixels.view(images.shape)


def _between(place: Tensor, low: int, high: int) -> Tensor:
    """Whether above ``low`` and not above ``high``."""
    return (place > low) & (place <= high)


def motion_blur(images: Tensor, k: c.Motion, recipe: Recipe, draws: Draws) -> Tensor:
    """Each pixel averaged with those ahead of it, most with the nearest. Draws: ``angle`` (n,), degrees, -45 to 45.

    The original blurs 16-bit numbers in ImageMagick and truncates what it rounded there; the package truncates.
    """
    offsets = trail_offsets(draws.between("angle", -45, 45), 2 * k.radius + 1)
    counts = trail_counts(offsets, images.shape[1], images.shape[2], recipe.is_package)
    weights = trail_weights(k.radius, k.sigma)
    if recipe.is_package:  # float64: the last weights are so small that areas are all but flat
        return trail_levels(images, offsets, counts, weights, 0.0, _trail_ties(k.radius, k.sigma))
    # Numbers of 16 bits, 257 to a level, were rounded before they were truncated.
    return trail_levels(images, offsets, counts, weights.astype(np.float32), 1 / 514, _NO_TIES)


_NO_TIES = Ties(np.arange(256, dtype=np.uint8), 0.0)


@lru_cache(maxsize=64)
def _trail_ties(radius: int, sigma: float) -> Ties:
    """By the package's arithmetic: float64, one tap after the other."""
    taps = trail_weights(radius, sigma)[:, None] * np.arange(256)
    return ties(np.clip(np.cumsum(taps, axis=0)[-1], 0, 255), np.float64)


@on_cpu(kernels.trail_levels)
def trail_levels(
    images: Tensor, offsets: Indices, counts: Indices, weights: Floats | Doubles, added: float, ties: Ties
) -> Tensor:
    """`ppbench.corruptions.filters.trail`, with something added, truncated."""
    return to_levels(trail(images.to(_torch(weights)), offsets, counts, weights) + added, ties)


def zoom_blur(images: Tensor, k: c.Zoom, recipe: Recipe, draws: Draws) -> Tensor:
    """The mean of the image and of enlargements of its middle, one of them by 1: the image counts twice."""
    factors = tuple(np.arange(k.start, k.stop, k.step).tolist())
    return mean_of_zooms(images, factors, not recipe.is_package, _zoom_ties(len(factors)))


@lru_cache(maxsize=64)
def _zoom_ties(layers: int) -> Ties:
    """By the reference's arithmetic: float32, one layer after the other."""
    x = _LEVELS.astype(np.float32)
    total = np.zeros_like(x)
    for _ in range(layers):
        total += x
    return ties(np.clip((x + total) / np.float32(layers + 1), 0, 1) * np.float32(255), np.float32)


@on_cpu(kernels.mean_of_zooms)
def mean_of_zooms(images: Tensor, factors: tuple[float, ...], trim: bool, ties: Ties) -> Tensor:
    """The mean of images and their `ppbench.corruptions.filters.clipped_zoom` by some factors, truncated."""
    x = images.float()
    total = x.clone()
    for factor in factors:
        total += clipped_zoom(x, factor, trim)[:, : x.shape[1], : x.shape[2]]
    return to_levels(total / (len(factors) + 1), ties)
