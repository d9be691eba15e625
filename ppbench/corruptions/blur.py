"""Blur: defocus_blur, glass_blur, motion_blur, zoom_blur, gaussian_blur.

All work per channel. Images are ``(n, H, W, C)`` uint8. Sums are of grey levels, 0 to 255. They are float32, or float64
if the precision decides how more than a few pixels are truncated.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions import constants as c
from ppbench.corruptions.axes import margins
from ppbench.corruptions.disks import Disk, disk_of
from ppbench.corruptions.dispatch import on_cpu, on_cuda
from ppbench.corruptions.filters import clipped_zoom, smooth, trail
from ppbench.corruptions.fused.blur_graphs import (
    blur_disk_in_graph,
    mean_of_zooms_in_graph,
    smooth_levels_in_graph,
    trail_levels_in_graph,
)
from ppbench.corruptions.fused.graphs import in_graph
from ppbench.corruptions.kernels import blur as kernels
from ppbench.corruptions.levels import FRACTIONS, Ties, ties_of, to_levels
from ppbench.corruptions.random import MASK, Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.taps import gaussian_weights, trail_counts, trail_offsets, trail_weights
from ppbench.corruptions.types import Doubles, Floats, Indices
from ppbench.corruptions.uploads import uploaded
from ppbench.errors import UsageError


def gaussian_blur(images: Tensor, k: c.Gaussian, recipe: Recipe, draws: Draws) -> Tensor:
    """Blur with a Gaussian. Beyond the border the edge pixel is repeated."""
    return gaussian_levels(images, k.sigma, np.float64 if k.sigma <= 1 else np.float32)


def gaussian_levels(images: Tensor, sigma: float, dtype: type) -> Tensor:
    """Blur with a Gaussian of width ``sigma`` px, cut off at 4 widths, and truncate to whole levels.

    Args:
        images: ``(n, H, W, C)`` uint8.
        sigma: Width of the Gaussian, in pixels.
        dtype: Type to compute in. In float32, an area in which only pixels with the last, small weights differ looks
            flat. With a narrow Gaussian there are many such areas, which need float64.
    """
    weights: Floats | Doubles = gaussian_weights(sigma, 4).astype(dtype)
    if weights.size == 1:
        return images
    rows, columns = (margins(side, weights.size - 1, "nearest") for side in images.shape[1:3])
    return smooth_levels(images, weights, rows, columns, _gaussian_ties(sigma, dtype))


@on_cuda("filters")
@in_graph(smooth_levels_in_graph)
@on_cpu(kernels.smooth_levels)
def smooth_levels(images: Tensor, weights: Floats | Doubles, rows: Indices, columns: Indices, ties: Ties) -> Tensor:
    """Truncate the result of `ppbench.corruptions.filters.smooth` with the same weights along both axes."""
    return to_levels(smooth(images.to(_torch(weights)), weights, weights, rows, columns), ties)


def _torch(array: Floats | Doubles) -> torch.dtype:
    return torch.float32 if array.dtype == np.float32 else torch.float64


@lru_cache(maxsize=64)
def _gaussian_ties(sigma: float, dtype: type) -> Ties:
    """Ties in the reference's arithmetic: scipy's, float64, the centre first and then pairs from the outside in."""
    weights = gaussian_weights(sigma, 4)
    flat = FRACTIONS
    for _ in ("down", "across"):
        total = flat * weights[0]
        for weight in weights[:0:-1]:
            total = total + (flat + flat) * weight
        flat = total
    return ties_of(np.clip(flat, 0, 1) * 255, dtype)


def defocus_blur(images: Tensor, k: c.Defocus, recipe: Recipe, draws: Draws) -> Tensor:
    """Blur with a disk that has a softened rim. Beyond the border the image is mirrored without repeating the edge.

    Strong severities brighten by a percent, see `ppbench.corruptions.disks.disk_kernel`.
    """
    # OpenCV mirrors without the edge pixel by default (BORDER_REFLECT_101), and the scripts leave it so.
    disk = disk_of(k.radius, k.alias_sigma)
    rows, columns = (margins(side, len(disk.kernel) // 2, "mirror") for side in images.shape[1:3])
    return blur_disk(images, disk, rows, columns)


@in_graph(blur_disk_in_graph)
@on_cpu(kernels.blur_disk)
def blur_disk(images: Tensor, disk: Disk, rows: Indices, columns: Indices) -> Tensor:
    """Correlate with a disk.

    Args:
        images: ``(n, H, W, C)`` uint8.
        disk: The disk, of radius r.
        rows: `ppbench.corruptions.axes.margins` of the height and r.
        columns: The same of the width.
    """
    n, height, width, channels = images.shape
    row, column = uploaded(rows, images.device), uploaded(columns, images.device)
    # float64, because GPUs may be set to use only 10 bits of a float32's mantissa, and libraries choose the order of
    # sums.
    kernel = uploaded(disk.kernel, images.device).double()
    planes = images.index_select(1, row).index_select(2, column).movedim(3, 1).flatten(0, 1)[:, None].double()
    blurred = torch.conv2d(planes, kernel[None, None])
    return to_levels(blurred.view(n, channels, height, width).movedim(1, 3), disk.ties)


def glass_blur(images: Tensor, k: c.Glass, recipe: Recipe, draws: Draws) -> Tensor:
    """Copy pixels from near ones, between two Gaussians.

    Draws: ``shift`` (n, passes, H, W, 2), integers from ``-max_shift`` to ``max_shift - 1``: the steps right and down
    to the pixel that each pixel is copied from.
    """
    height, width = images.shape[1:3]
    needed = 2 * k.max_shift + 1
    if min(height, width) < needed:
        raise UsageError(
            f"glass_blur cannot work on images of {height} x {width} pixels",
            f"At this severity, recipe {recipe.name} moves pixels by up to {k.max_shift} and leaves margins as wide, "
            f"which takes at least {needed} pixels a side. Recipe cifar-c is for small images.",
        )
    shift = draws.given("shift", (k.passes, height, width, 2), -k.max_shift, k.max_shift - 1)
    words = draws.words("shift", k.passes, height, width) if shift is None else _words_for(shift, k.max_shift)
    # float64: copies spread the errors of the first Gaussian, and it leaves almost flat areas for the second one.
    blurred = gaussian_levels(images, k.sigma, np.float64)
    return gaussian_levels(shuffle(blurred, words, k.max_shift), k.sigma, np.float64)


def _words_for(shift: Tensor, reach: int) -> Tensor:
    """Return words that `shuffle` reads as these shifts."""
    # The smallest half from which `shuffle` computes the shift: it rounds down, so this division rounds up.
    halves = ((shift.long() + reach) * 2**16 + 2 * reach - 1) // (2 * reach)
    return (halves[..., 0] << 16 | halves[..., 1]).to(torch.int32)


@on_cuda("glass")
@on_cpu(kernels.shuffle)
def shuffle(images: Tensor, words: Tensor, reach: int) -> Tensor:
    """Copy pixels from near ones, in place and one after the other, so that later copies see earlier ones.

    The original is meant to swap two pixels, but its second assignment reads what the first has written. Each pass goes
    from the last row to the first and from the last column to the first, and leaves the margins as they are.

    Args:
        images: ``(n, H, W, C)`` uint8.
        words: ``(n, passes, H, W)`` int32: random bits for each pixel. The upper half gives the step to the right to
            the pixel that is copied, the lower half the step down, both uniform on ``-reach`` to ``reach - 1``.
        reach: The longest step.
    """
    n, height, width, channels = images.shape
    size = height * width
    row, column = torch.arange(height, device=images.device)[:, None], torch.arange(width, device=images.device)
    # As `range(height - d, d, -1)` in the scripts: row `height - d` is visited, row d is not.
    visited = _between(row, reach, height - reach) & _between(column, reach, width - reach)
    place = row * width + column
    pixels = images.view(n, size, channels)
    # Places from `size` on are the pixels before the pass. They point to themselves: there a chain of copies ends.
    old = torch.arange(size, 2 * size, device=images.device).expand(n, size)
    for step in range(words.shape[1]):
        bits = words[:, step].long() & MASK
        right, down = ((half * 2 * reach >> 16) - reach for half in (bits >> 16, bits & 0xFFFF))
        y, x = row + down, column + right
        source = torch.where(visited, y * width + x, place)
        # A source that this pass visits sooner is copied as it is after the pass, any other as it was before.
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
    """Average each pixel with those ahead of it, the nearest most. Draws: ``angle`` (n,), degrees, -45 to 45.

    The original blurs 16-bit numbers in ImageMagick, which rounds, and then truncates; the package only truncates.
    """
    offsets = trail_offsets(draws.between("angle", -45, 45), 2 * k.radius + 1)
    counts = trail_counts(offsets, images.shape[1], images.shape[2], recipe.is_package)
    weights = trail_weights(k.radius, k.sigma)
    if recipe.is_package:  # float64: the last weights are so small that areas are almost flat
        return trail_levels(images, offsets, counts, weights, 0.0, _trail_ties(k.radius, k.sigma))
    # Half of a 16-bit step, of which there are 257 to a level: the original rounds to 16 bits before it truncates.
    return trail_levels(images, offsets, counts, weights.astype(np.float32), 1 / 514, _NO_TIES)


# With half a step added, a flat area lies above its whole level, and rounding cannot push it below.
_NO_TIES = Ties(np.arange(256, dtype=np.uint8), 0.0)


@lru_cache(maxsize=64)
def _trail_ties(radius: int, sigma: float) -> Ties:
    """Ties in the package's arithmetic: float64, one tap after the other."""
    taps = trail_weights(radius, sigma)[:, None] * np.arange(256)
    return ties_of(np.clip(np.cumsum(taps, axis=0)[-1], 0, 255), np.float64)


@in_graph(trail_levels_in_graph)
@on_cpu(kernels.trail_levels)
def trail_levels(
    images: Tensor, offsets: Indices, counts: Indices, weights: Floats | Doubles, added: float, ties: Ties
) -> Tensor:
    """Add a number to the result of `ppbench.corruptions.filters.trail`, and truncate."""
    return to_levels(trail(images.to(_torch(weights)), offsets, counts, weights) + added, ties)


def zoom_blur(images: Tensor, k: c.Zoom, recipe: Recipe, draws: Draws) -> Tensor:
    """Average the image and enlargements of its middle. One of these is by 1, so the image counts twice."""
    # The rounding of `np.arange` decides how many layers there are: up to 1.11 it has 12, up to 1.16 it has 16. The
    # published sets were made with these.
    factors = tuple(np.arange(k.start, k.stop, k.step).tolist())
    return mean_of_zooms(images, factors, not recipe.is_package, _zoom_ties(len(factors)))


@lru_cache(maxsize=64)
def _zoom_ties(layers: int) -> Ties:
    """Ties in the reference's arithmetic: float32, one layer after the other."""
    x = FRACTIONS.astype(np.float32)
    total = np.zeros_like(x)
    for _ in range(layers):
        total += x
    return ties_of(np.clip((x + total) / np.float32(layers + 1), 0, 1) * np.float32(255), np.float32)


@in_graph(mean_of_zooms_in_graph)
@on_cpu(kernels.mean_of_zooms)
def mean_of_zooms(images: Tensor, factors: tuple[float, ...], trim: bool, ties: Ties) -> Tensor:
    """Average images and their `ppbench.corruptions.filters.clipped_zoom` by some factors, and truncate."""
    x = images.float()
    total = x.clone()
    for factor in factors:
        # Untrimmed enlargements may be a pixel larger; the package keeps their upper left part.
        total += clipped_zoom(x, factor, trim)[:, : x.shape[1], : x.shape[2]]
    return to_levels(total / (len(factors) + 1), ties)
