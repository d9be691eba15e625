"""Cubic splines: circular_motion_blur, transverse_chromatic_abberation.

Images are ``(n, H, W, C)`` uint8. Sums over the 16 pixels around a place are in float64, in the order of rows and
columns, because halves are frequent in enlargements by 1 and their rounding depends on it.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions.axes import margins
from ppbench.corruptions.bar.draws import grid
from ppbench.corruptions.colour import luma
from ppbench.corruptions.dispatch import on_cpu
from ppbench.corruptions.filters import smooth
from ppbench.corruptions.kernels import bar_splines as kernels
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.strengths import Strength
from ppbench.corruptions.types import Doubles, Floats, Indices
from ppbench.corruptions.uploads import uploaded
from ppbench.errors import UsageError

_POLE = math.sqrt(3) - 2
_ROTATIONS = 21
_RADIUS = 32
"""Taps on each side of the filter that makes a spline's coefficients; the next one is below 1e-18."""


def circular_motion_blur(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Average 21 rotations about the middle, by up to 1.5 s degrees, black outside the image. It is not random."""
    weights = -6 * _POLE / (1 - _POLE**2) * _POLE ** np.arange(_RADIUS + 1)
    places = (margins(side, _RADIUS, "mirror") for side in images.shape[1:3])
    splines = smooth(images.double(), weights, weights, *places)
    turns = np.linspace(-1, 1, _ROTATIONS)
    radians = np.radians(1.5 * k.value * turns)
    share = np.exp(-2 * turns**2).astype(np.float32)
    total = np.float32(0)
    for one in share:  # numpy's sum adds in another order
        total += one
    return mean_of_turned(splines, np.sin(radians), np.cos(radians), share, total)


@on_cpu(kernels.mean_of_turned)
def mean_of_turned(splines: Tensor, sines: Doubles, cosines: Doubles, weights: Floats, whole: np.float32) -> Tensor:
    """Return the weighted mean of rotations, uint8.

    Args:
        splines: Coefficients ``(n, H, W, C)`` float64.
        sines: Of the angles.
        cosines: Of the angles.
        weights: Of the rotations.
        whole: Their sum.
    """
    height, width = splines.shape[1:3]
    rows, columns = grid(splines)
    y0, x0 = (height - 1) / 2, (width - 1) / 2
    total = torch.zeros_like(splines, dtype=torch.float32)
    for sine, cosine, weight in zip(sines.tolist(), cosines.tolist(), weights.tolist(), strict=True):
        y = cosine * rows + sine * columns + (y0 - (cosine * y0 + sine * x0))
        x = -sine * rows + cosine * columns + (x0 - (cosine * x0 - sine * y0))
        inside = (y >= 0) & (y <= height - 1) & (x >= 0) & (x <= width - 1)
        (down, by_row), (across, by_column) = _taps_at(y, height), _taps_at(x, width)
        value = torch.zeros_like(splines)
        for i in range(4):
            for j in range(4):
                value += splines[:, down[i], across[j]] * by_row[i][..., None] * by_column[j][..., None]
        total += weight * torch.where(inside[..., None], value, 0).float()
    return (total / torch.full((), float(whole), device=total.device)).clamp(0, 255).to(torch.uint8)


def _taps_at(place: Tensor, side: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return the four pixels around places on an axis, mirrored at the border, and their weights."""
    first = place.floor()
    y = place - first
    z = 1 - y
    second, third = ((w * w * (w - 2) * 3 + 4) / 6 for w in (y, z))
    outer = z * z * z / 6
    taps = [(first.long() - 1 + k).abs() for k in range(4)]
    taps = [torch.where(tap >= side, 2 * (side - 1) - tap, tap).clamp(0, side - 1) for tap in taps]
    return taps, [outer, second, third, 1 - outer - second - third]


def transverse_chromatic_abberation(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Enlarge the channels by 1, 1 + 0.025 s and 1 + 0.05 s, in random order. Even the first is blurred a little.

    Grey images keep the luma of the colour result.
    Draws: ``order`` (n, 3), a permutation of 0, 1, 2: which of the three each channel has.
    """
    if images.shape[3] == 1:
        return luma(transverse_chromatic_abberation(images.expand(-1, -1, -1, 3).contiguous(), k, recipe, draws))
    order = draws.given("order", (3,), 0, 2)
    if order is None:
        order = draws.words("order", 3).argsort(dim=1, stable=True)
    elif not bool((order.sort(dim=1).values == torch.arange(3, device=order.device)).all()):
        raise UsageError("draw 'order' has values that are not allowed", "They are 0, 1 and 2, each once.")
    tables = [_zooms(side, k.value) for side in images.shape[1:3]]
    (rows, down), (columns, across) = ((uploaded(one, images.device) for one in pair) for pair in tables)
    return zoom_channels(images, order.to(images.device).long(), rows, down, columns, across)


@lru_cache(maxsize=32)
def _zooms(side: int, s: float) -> tuple[Indices, Doubles]:
    """Return the four pixels and weights for each place of an axis in the three enlargements, ``(3, side, 4)``."""
    taps, weights = np.empty((3, side, 4), np.int64), np.empty((3, side, 4))
    for number in range(3):
        size = round(side * (1 + 0.025 * s * number))
        # Corner pixels stay corner pixels; the middle is kept.
        places = (side - 1) / (size - 1) * (np.arange(side) + (size - side) // 2)
        found, parts = _taps_at(torch.from_numpy(places), side)
        taps[number], weights[number] = (torch.stack(both, dim=1).numpy() for both in (found, parts))
    return taps, weights


@on_cpu(kernels.zoom_channels)
def zoom_channels(images: Tensor, order: Tensor, rows: Tensor, down: Tensor, columns: Tensor, across: Tensor) -> Tensor:
    """Read each channel of ``(n, H, W, 3)`` by the taps and weights ``(3, side, 4)`` that ``order`` (n, 3) selects."""
    made = torch.empty_like(images)
    for c in range(3):
        k = order[:, c]
        image = torch.arange(len(images), device=images.device).view(-1, 1, 1)
        value = torch.zeros(images.shape[:3], dtype=torch.float64, device=images.device)
        for i in range(4):
            for j in range(4):
                pixel = images[image, rows[k, :, i][:, :, None], columns[k, :, j][:, None], c]
                value += pixel * down[k, :, i][:, :, None] * across[k, :, j][:, None]
        made[..., c] = (value + 0.5).to(torch.uint8)
    return made
