"""Digital: elastic_transform and pixelate.

Images are ``(n, H, W, C)`` uint8. elastic_transform computes in float32 grey levels, 0 to 255, so that areas of one
colour stay exactly as they are, and truncates the result. pixelate computes in whole levels throughout.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.corruptions import constants as c
from ppbench.corruptions.dispatch import on_cpu
from ppbench.corruptions.filters import gaussian_filter
from ppbench.corruptions.fused.digital_graphs import elastic_in_graph, pixelated_in_graph
from ppbench.corruptions.fused.graphs import in_graph
from ppbench.corruptions.kernels import digital as kernels
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.sampling import mirrored, reflected, sampled
from ppbench.corruptions.types import Indices
from ppbench.corruptions.uploads import sent, uploaded


def pixelate(images: Tensor, k: c.Pixelate, recipe: Recipe, draws: Draws) -> Tensor:
    """Make fewer, larger pixels: Pillow's BOX down, then BOX (in the package: NEAREST) up again. No draws."""
    sides = images.shape[1:3]
    fewer = [max(1, int(side * k.fraction)) for side in sides]  # a large scale would leave no pixel of a small image
    rows, columns = (_nearest(few, side, recipe.is_package) for few, side in zip(fewer, sides, strict=True))
    down, across = (_boxes(side, few) for side, few in zip(sides, fewer, strict=True))
    return pixelated(images, down, across, rows, columns)


@in_graph(pixelated_in_graph)
def pixelated(images: Tensor, down: Boxes, across: Boxes, rows: Indices, columns: Indices) -> Tensor:
    """Take means over boxes (`shrink`), and repeat them (`enlarge`)."""
    return enlarge(shrink(images, down, across), rows, columns)


class Boxes(NamedTuple):
    """The pixels of an axis whose mean is each pixel of a shorter axis."""

    first: Indices
    number: Indices
    weight: NDArray[np.int32]
    """1 / number, times 2^22."""


@lru_cache(maxsize=64)
def _boxes(size: int, shorter: int) -> Boxes:
    """Return the pixels whose centres are in the interval that a new pixel covers, with its right end, not its left."""
    ratio = size / shorter
    centre = (np.arange(shorter) + 0.5) * ratio
    first = np.maximum((centre - ratio / 2 + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + ratio / 2 + 0.5).astype(np.int64), size) - 1
    # The bounds so far are those of Pillow's loop. Its filter then drops pixels at the ends, by the distance of their
    # centre.
    first += (first - centre + 0.5) * (1 / ratio) <= -0.5
    last -= (last - centre + 0.5) * (1 / ratio) > 0.5
    number = last - first + 1
    # Pillow keeps weights with 22 binary digits (PRECISION_BITS in Resample.c).
    return Boxes(first, number, (0.5 + 1 / number * 2**22).astype(np.int32))


@lru_cache(maxsize=64)
def _nearest(size: int, longer: int, accumulated: bool) -> Indices:
    """Return which pixel of an axis each pixel of a longer one is; ``accumulated``: with a running sum's rounding."""
    ratio = size / longer
    place = (np.arange(longer) + 0.5) * ratio
    if accumulated:
        place = np.cumsum(np.concatenate([[0.5 * ratio], np.full(longer - 1, ratio)]))
    return np.minimum(place.astype(np.int64), size - 1)


@on_cpu(kernels.shrink)
def shrink(images: Tensor, rows: Boxes, columns: Boxes) -> Tensor:
    """Take means over boxes, across and then down, and round to whole levels after each, halves up."""
    return _shrink_axis(_shrink_axis(images, 2, columns), 1, rows)


def _shrink_axis(images: Tensor, axis: int, boxes: Boxes) -> Tensor:
    first, number, weight = (uploaded(part, images.device) for part in boxes)
    shape = [-1 if i == axis else 1 for i in range(4)]
    total = images.index_select(axis, first).int()
    for k in range(1, int(boxes.number.max())):
        # Pixels beyond the end of a shorter box, or of the image, are read but count zero times.
        place = (first + k).clamp(max=images.shape[axis] - 1)
        total += images.index_select(axis, place) * (number > k).int().view(shape)
    return ((total * weight.view(shape) + (1 << 21)) >> 22).to(torch.uint8)


@on_cpu(kernels.enlarge)
def enlarge(images: Tensor, rows: Indices, columns: Indices) -> Tensor:
    """Repeat pixels: the pixel at (y, x) is the one in row ``rows[y]`` and column ``columns[x]``."""
    down, across = (uploaded(places, images.device) for places in (rows, columns))
    return images.index_select(1, down).index_select(2, across)


def elastic_transform(images: Tensor, k: c.Elastic, recipe: Recipe, draws: Draws) -> Tensor:
    """Stretch and shear at random (not in the package), then ripple by a smooth random displacement.

    Draws, all uniform on [-1, 1): ``dx`` and ``dy`` (n, H, W); not in the package ``jitter`` (n, 3, 2), the moves
    (x, y) of three points.
    """
    height, width = images.shape[1:3]
    if recipe.native_size is None:
        # The package scales the displacement by the height, in both directions.
        # The package draws displacements within half a percent of the height, where the scripts draw within 1.
        return _ripple(images, None, (k.sigma * height, k.sigma * width), k.alpha * 0.005 * height, draws)
    scale = min(height, width) / recipe.native_size
    corners = _corners(height, width)
    moves = draws.between("jitter", -1, 1, 3, 2) * (k.jitter * scale)
    maps = sent(_maps_back(corners, moves), images.device)
    return _ripple(images, maps, (k.sigma * scale, k.sigma * scale), k.alpha * scale, draws)


def _ripple(images: Tensor, maps: Tensor | None, sigma: tuple[float, float], alpha: float, draws: Draws) -> Tensor:
    """Displace by noise smoothed by ``sigma`` px and multiplied by ``alpha`` px, after the affine ``maps``."""
    if alpha == 0:
        for name in ("dx", "dy"):  # not used here, but callers may give at any severity what others need
            draws.given(name, images.shape[1:3], -1, 1)
        return rippled(images, maps, None, sigma, alpha)
    right, down = (draws.between(name, -1, 1, *images.shape[1:3]).float() for name in ("dx", "dy"))
    return rippled(images, maps, (right, down), sigma, alpha)


@in_graph(elastic_in_graph)
def rippled(
    images: Tensor, maps: Tensor | None, fields: tuple[Tensor, Tensor] | None, sigma: tuple[float, float], alpha: float
) -> Tensor:
    """Bend images by ``maps`` (n, 2, 3), if any (`affine`), and displace them by smoothed fields (`displace`).

    Args:
        images: ``(n, H, W, C)`` uint8.
        maps: As `affine` takes them.
        fields: Steps to the right and down before they are smoothed, ``(n, H, W)`` each; None: no displacement.
        sigma: Width of the Gaussian, (down, across), in pixels.
        alpha: Factor of the smoothed steps.
    """
    x = images if maps is None else affine(images, maps)
    if fields is None:
        return x.to(torch.uint8)
    right, down = gaussian_filter(torch.cat(fields)[..., None], sigma, 3.0, "reflect")[..., 0].chunk(2)
    return displace(x, right, down, alpha)


def _corners(height: int, width: int) -> Tensor:
    """Return the three points (x, y) that move, float32 ``(3, 2)``: corners of a square.

    x is half the height, as in the scripts, which only know square images.
    """
    x, y, reach = height // 2, width // 2, min(height, width) // 3
    return torch.tensor([(x + reach, y + reach), (x + reach, y - reach), (x - reach, y - reach)], dtype=torch.float32)


def _maps_back(corners: Tensor, moves: Tensor) -> Tensor:
    """Return the affine maps from where the points are after their moves ``(n, 3, 2)`` to where they were before.

    Returns:
        float32 ``(n, 2, 3)``: source x and y as weights of x, y and 1.
    """
    after = (corners + moves).float().double()
    before = corners.double()
    side = before[0, 1] - before[1, 1]
    ux, uy = (after[:, 0] - after[:, 1]).unbind(1)  # before its moves (0, side)
    vx, vy = (after[:, 1] - after[:, 2]).unbind(1)  # before its moves (side, 0)
    area = vx * uy - ux * vy
    area = torch.where(area.abs() < 1e-6, 1e-6, area)  # small images may collapse to a line
    linear = torch.stack((uy, -ux, -vy, vx), dim=1).view(-1, 2, 2) * (side / area)[:, None, None]
    offset = before[1] - (linear @ after[:, 1, :, None])[..., 0]
    return torch.cat((linear, offset[..., None]), dim=2).float()


@on_cpu(kernels.affine)
def affine(images: Tensor, maps: Tensor) -> Tensor:
    """Read images where ``maps`` (n, 2, 3) sends their pixels; outside they are mirrored without repeating the edge.

    Returns:
        float32, ``(n, H, W, C)``.
    """
    height, width = images.shape[1:3]
    y = torch.arange(height, device=images.device, dtype=torch.float32)[:, None]
    x = torch.arange(width, device=images.device, dtype=torch.float32)
    across, down = (row[:, 0] * x + (row[:, 1] * y + row[:, 2]) for row in maps[..., None, None].unbind(1))
    return sampled(images.float(), mirrored(down, height), mirrored(across, width))


@on_cpu(kernels.displace)
def displace(x: Tensor, right: Tensor, down: Tensor, scale: float) -> Tensor:
    """Read images ``scale`` times ``right`` and ``down`` (n, H, W) away; outside they are mirrored, edge included.

    Returns:
        uint8, truncated.
    """
    height, width = x.shape[1:3]
    down = scale * down + torch.arange(height, device=x.device, dtype=torch.float32)[:, None]
    across = scale * right + torch.arange(width, device=x.device, dtype=torch.float32)
    return sampled(x.float(), reflected(down, height), reflected(across, width)).to(torch.uint8)
