"""Spatter: drops of water, or splashes of mud.

Images are ``(n, H, W, C)`` uint8, results truncated to whole levels. The liquid is smoothed in float64, because its
levels decide where edges are: one pixel rounded differently can add or remove a whole edge. Everything else is in whole
numbers, as in OpenCV, or in float32.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ppbench.corruptions import constants as c
from ppbench.corruptions.axes import Mode, margins
from ppbench.corruptions.colour import luma
from ppbench.corruptions.dispatch import on_cpu, on_cuda
from ppbench.corruptions.filters import smooth
from ppbench.corruptions.kernels import spatter as kernels
from ppbench.corruptions.levels import divide
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.scale import coarse, enlarged
from ppbench.corruptions.taps import gaussian_weights
from ppbench.corruptions.types import Doubles, Floats
from ppbench.corruptions.uploads import uploaded

WATER = np.array([175, 238, 238], np.float32) / np.float32(255)
MUD = np.array([63, 42, 20]) / 255


def spatter(images: Tensor, k: c.Spatter, recipe: Recipe, draws: Draws) -> Tensor:
    """Put water or mud on the lens; other pixels do not change. Draws: ``layer`` (n, H, W), standard normal."""
    if images.shape[3] == 1:
        return luma(spatter(images.expand(-1, -1, -1, 3).contiguous(), k, recipe, draws))
    height, width = images.shape[1:3]
    layer = draws.normal("layer", *coarse(height, width, draws.scale)).double()
    liquid = smooth_liquid(layer * k.std + k.mean, k.sigma)

    def grown(x: Tensor) -> Tensor:
        return x if draws.scale == 1 else enlarged(x[..., None], height, width, draws.scale)[..., 0]

    if k.is_mud:
        thickness = grown(smooth_liquid((liquid > k.threshold).double(), k.last).float())
        # The scripts drop mud thinner than 0.8.
        return cover(images, torch.where(thickness < 0.8, 0, thickness), MUD)
    # The scripts convert to uint8 without clipping. Of layers of 64 px, a third has values above 255 at severity 3.
    levels = torch.where(liquid < k.threshold, 0, liquid * 255).to(torch.int32).to(torch.uint8)  # wraps around at 256
    water, light = (grown(x).round().to(torch.uint8) for x in (levels, shine(levels)))
    return brighten(images, water, light, k.last, WATER)


def smooth_liquid(x: Tensor, sigma: float) -> Tensor:
    """Smooth float64 ``(n, H, W)`` by ``sigma`` px, cut off at 4 sigma; beyond the border the edge is repeated."""
    weights = gaussian_weights(sigma, 4)
    rows, columns = (margins(side, weights.size - 1, "nearest") for side in x.shape[1:])
    return smooth(x[..., None], weights, weights, rows, columns)[..., 0]


@on_cuda("spatter")
@on_cpu(kernels.cover)
def cover(images: Tensor, thickness: Tensor, colour: Doubles) -> Tensor:
    """Cover RGB images with something of a ``colour`` (3,), 0 to 1, and of a ``thickness`` (n, H, W), 0 to 1.

    The sum is in float64, as in the references: if image and mud are alike, it is a whole level up to rounding.
    """
    opacity = thickness[..., None]
    added = opacity * uploaded(colour, images.device)
    return ((divide(images.float(), 255) * (1 - opacity) + added) * 255).to(torch.uint8)


@on_cuda("spatter")
@on_cpu(kernels.brighten)
def brighten(images: Tensor, levels: Tensor, shine: Tensor, opacity: float, colour: Floats) -> Tensor:
    """Add light of a ``colour`` (3,) to RGB images.

    The light is in proportion to ``levels * shine``, both uint8 ``(n, H, W)``; its maximum is ``opacity``.
    """
    product = levels.float() * shine
    # The clamp is for images without a drop, where the scripts would divide 0 by 0.
    light = product / product.amax((1, 2), keepdim=True).clamp(min=1) * opacity
    added = light[..., None] * uploaded(colour, images.device)
    return ((divide(images.float(), 255) + added).clamp(max=1) * 255).to(torch.uint8)


@on_cuda("spatter")
@on_cpu(kernels.shine)
def shine(levels: Tensor) -> Tensor:
    """Return the brightness of the water's surface, lit from one side: uint8 ``(n, H, W)``, from distances to edges."""
    distance = _sum_of_nine(distances(edges(levels))) // (9 * STEPS[1])
    at = _around(equalised(distance), 1, "mirror")
    light = 2 * (at(1, 1) - at(-1, -1)) + at(1, 0) + at(0, 1) + at(0, 0) - at(-1, 0) - at(0, -1)
    return ((_sum_of_nine(light.clamp(0, 255)) + 4) // 9).to(torch.uint8)


def _around(x: Tensor, reach: int, mode: Mode) -> Callable[[int, int], Tensor]:
    """Return a function of (down, right), up to ``reach``, that gives the pixels at this offset from each pixel."""
    height, width = x.shape[1:]
    rows, columns = (uploaded(margins(side, reach, mode), x.device) for side in (height, width))
    return _at(x.index_select(1, rows).index_select(2, columns), reach)


def _at(padded: Tensor, reach: int) -> Callable[[int, int], Tensor]:
    height, width = (side - 2 * reach for side in padded.shape[1:])
    return lambda y, x: padded[:, reach + y : reach + y + height, reach + x : reach + x + width]


def _sum_of_nine(x: Tensor) -> Tensor:
    at = _around(x, 1, "mirror")
    # Threes of threes: four additions instead of eight.
    rows = at(0, -1) + at(0, 0) + at(0, 1)
    at = _around(rows, 1, "mirror")
    return at(-1, 0) + at(0, 0) + at(1, 0)


WEAK, STRONG = 50, 150
"""Slopes, in levels times 8, above which a ridge is an edge: if it touches another edge, or by itself."""


@on_cuda("edges")
def edges(levels: Tensor) -> Tensor:
    """Find edges by Canny's method (PAMI 1986), in OpenCV's whole numbers: bool ``(n, H, W)`` from uint8."""
    # Only here OpenCV repeats the edge pixel; its other filters mirror the image.
    at = _around(levels.int(), 1, "nearest")
    gx = at(-1, 1) + 2 * at(0, 1) + at(1, 1) - at(-1, -1) - 2 * at(0, -1) - at(1, -1)
    gy = at(1, -1) + 2 * at(1, 0) + at(1, 1) - at(-1, -1) - 2 * at(-1, 0) - at(-1, 1)
    slope = gx.abs() + gy.abs()
    ridge = _ridges(slope, gx, gy) & (slope > WEAK)
    return _grown(ridge & (slope > STRONG), ridge)


def _ridges(slope: Tensor, gx: Tensor, gy: Tensor) -> Tensor:
    """Find where the slope exceeds that of both neighbours along the gradient, in the nearest of eight directions."""
    at = _at(F.pad(slope, (1, 1, 1, 1)), 1)
    tangent = 13573  # of 22.5 degrees, times 2^15
    rise, run = gy.abs() << 15, gx.abs()
    # `>` on one side and `>=` on the other keep one of two equal neighbours. OpenCV compares diagonals with `>` on both
    # sides.
    across = (slope > at(0, -1)) & (slope >= at(0, 1))
    down = (slope > at(-1, 0)) & (slope >= at(1, 0))
    falling = (slope > at(-1, -1)) & (slope > at(1, 1))
    rising = (slope > at(-1, 1)) & (slope > at(1, -1))
    # `^` of two whole numbers is negative if their signs differ.
    oblique = torch.where((gx ^ gy) < 0, rising, falling)
    steep = rise > run * (tangent + (1 << 16))
    return torch.where(rise < run * tangent, across, torch.where(steep, down, oblique))


def _grown(seeds: Tensor, ground: Tensor) -> Tensor:
    """Return the part of the ``ground`` connected, by sides or corners, to ``seeds``; all bool ``(n, H, W)``."""
    while True:
        grown = seeds
        for _ in range(8):  # a comparison takes longer than a step
            grown = ground & (F.max_pool2d(grown.float()[:, None], 3, 1, 1)[:, 0] > 0)
        if torch.equal(grown, seeds):
            return seeds
        seeds = grown


FARTHEST = 20
"""Greatest distance, in pixels."""

STEPS = {1: 10000, 2: 14000, 5: 21969}
"""Lengths of steps to a neighbour, to a diagonal one and of a knight's move, by their squares; in 1e-4 px.

Borgefors, "Distance transformations in digital images" (1986), with OpenCV's figures.
"""


@on_cuda("edges")
def distances(edges: Tensor) -> Tensor:
    """Return the distance of the nearest edge, int32 ``(n, H, W)`` in 1e-4 px, at most `FARTHEST`."""
    limit = FARTHEST * STEPS[1]
    steps = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if y * y + x * x in STEPS]
    distance = torch.where(edges, 0, limit).int()
    for _ in range(FARTHEST):  # no step is shorter than a pixel
        at = _at(F.pad(distance, (2, 2, 2, 2), value=limit), 2)
        for y, x in steps:
            distance = torch.minimum(distance, at(y, x) + STEPS[y * y + x * x])
    return distance


def equalised(levels: Tensor) -> Tensor:
    """Spread levels of 0 to `FARTHEST` over 0 to 255 by the histogram of each image; flat images stay as they are."""
    pixels = levels[0].numel()
    counts = torch.stack([(levels == level).sum((1, 2)) for level in range(FARTHEST + 1)], dim=1)
    lowest = counts.gather(1, (counts > 0).int().argmax(1, keepdim=True))
    rest = (pixels - lowest).clamp(min=1).float()
    scale = torch.full_like(rest, 255) / rest  # torch computes 255 / rest as a product with the reciprocal
    spread = ((counts.cumsum(1) - lowest).float() * scale).round().int().clamp_(min=0)
    table = torch.where(lowest == pixels, torch.arange(FARTHEST + 1, device=levels.device, dtype=torch.int32), spread)
    return table.gather(1, levels.flatten(1).long()).view_as(levels)
