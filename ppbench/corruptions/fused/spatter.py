"""Spatter on a GPU: how water shines, and what water and mud do to the image."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ppbench.corruptions.fused.edges import distances, edges
from ppbench.corruptions.fused.pixels import greatest_of, mirrored_at, pixels_of, start_on_pixels, sum_of
from ppbench.corruptions.fused.random import OPTIONS
from ppbench.corruptions.types import Doubles, Floats
from ppbench.corruptions.uploads import uploaded

_UNIT, _FARTHEST = 10000, 20
"""A pixel in the unit of distances, and the farthest one in pixels."""


@triton.jit
def _at(values, y, x, height, width):
    """Return values of an image, mirrored beyond the border."""
    return tl.load(values + mirrored_at(y, height) * width + mirrored_at(x, width)).to(tl.int32)


@triton.jit
def _sum_of_nine(values, y, x, height, width):
    total = _at(values, y, x, height, width)
    for down in tl.static_range(-1, 2):
        for right in tl.static_range(-1, 2):
            if down != 0 or right != 0:
                total += _at(values, y + down, x + right, height, width)
    return total


@triton.jit
def _mean_distances(distance, levels, counts, unit: tl.constexpr, height, width, programs, block: tl.constexpr):
    """Make means of 3 x 3 distances, in whole pixels, and count how many there are of each."""
    image, place, y, x = pixels_of(programs, width, block)
    first, inside = image * height * width, place < height * width
    y = tl.minimum(y, height - 1)
    level = _sum_of_nine(distance + first, y, x, height, width) // (9 * unit)
    tl.store(levels + first + place, level.to(tl.uint8), mask=inside)
    # What is beyond the last pixel counts as 31, which no distance is.
    found = tl.histogram(tl.where(inside, level, 31), 32)
    tl.atomic_add(counts + image * 32 + tl.arange(0, 32), found)


@triton.jit
def _spread(counts, tables, pixels, farthest: tl.constexpr):
    """Make the table of an image that spreads levels over 0 to 255 by their counts."""
    image = tl.program_id(0)
    level = tl.arange(0, 32)
    count = tl.load(counts + image * 32 + level)
    count = tl.where(level <= farthest, count, 0)
    is_lowest = level == -greatest_of(tl.where(count > 0, -level, -farthest))
    lowest = tl.reduce(tl.where(is_lowest, count, 0), 0, sum_of)
    rest = tl.maximum(pixels - lowest, 1).to(tl.float32)
    scale = tl.math.div_rn((rest * 0) + 255.0, rest)
    above = tl.maximum(tl.associative_scan(count, 0, sum_of) - lowest, 0).to(tl.float32) * scale
    # Adding 1.5 * 2^23 leaves no digits after the point: that rounds, halves to even.
    rounded = ((above + 12582912.0) - 12582912.0).to(tl.int32)
    tl.store(tables + image * 32 + level, tl.where(lowest == pixels, level, rounded).to(tl.uint8))


@triton.jit
def _relief(levels, tables, out, height, width, programs, block: tl.constexpr):
    """Light the spread levels from one side."""
    image, place, y, x = pixels_of(programs, width, block)
    first = image * height * width
    y = tl.minimum(y, height - 1)
    table, here = tables + image * 32, levels + first
    light = tl.load(table + _at(here, y, x, height, width)).to(tl.int32)
    light += 2 * tl.load(table + _at(here, y + 1, x + 1, height, width)).to(tl.int32)
    light -= 2 * tl.load(table + _at(here, y - 1, x - 1, height, width)).to(tl.int32)
    light += tl.load(table + _at(here, y + 1, x, height, width)).to(tl.int32)
    light += tl.load(table + _at(here, y, x + 1, height, width)).to(tl.int32)
    light -= tl.load(table + _at(here, y - 1, x, height, width)).to(tl.int32)
    light -= tl.load(table + _at(here, y, x - 1, height, width)).to(tl.int32)
    light = tl.minimum(tl.maximum(light, 0), 255)
    tl.store(out + first + place, light.to(tl.uint8), mask=place < height * width)


@triton.jit
def _means(light, out, height, width, programs, block: tl.constexpr):
    image, place, y, x = pixels_of(programs, width, block)
    first = image * height * width
    total = _sum_of_nine(light + first, tl.minimum(y, height - 1), x, height, width)
    tl.store(out + first + place, ((total + 4) // 9).to(tl.uint8), mask=place < height * width)


@triton.jit
def _greatest_products(levels, shine, greatest, height, width, programs, block: tl.constexpr):
    image, place, _, _ = pixels_of(programs, width, block)
    at, inside = image * height * width + place, place < height * width
    product = tl.load(levels + at, mask=inside, other=0).to(tl.int32)
    product = product * tl.load(shine + at, mask=inside, other=0).to(tl.int32)
    tl.atomic_max(greatest + image, greatest_of(product))


@triton.jit
def _brighten(
    images, levels, shine, greatest, out, colour, opacity, height, width, programs, block: tl.constexpr
):  # fmt: skip
    image, place, _, _ = pixels_of(programs, width, block)
    at, inside = image * height * width + place, place < height * width
    product = tl.load(levels + at, mask=inside, other=0).to(tl.int32)
    product = product * tl.load(shine + at, mask=inside, other=0).to(tl.int32)
    most = tl.maximum(tl.load(greatest + image), 1).to(tl.float32)
    light = tl.math.div_rn(product.to(tl.float32), most) * opacity
    for channel in tl.static_range(3):
        x = tl.load(images + 3 * at + channel, mask=inside, other=0).to(tl.int32).to(tl.float32)
        x = tl.minimum(tl.math.div_rn(x, 255.0) + light * tl.load(colour + channel), 1.0) * 255
        tl.store(out + 3 * at + channel, x.to(tl.int32).to(tl.uint8), mask=inside)


@triton.jit
def _cover(images, thickness, out, colour, height, width, programs, block: tl.constexpr):
    image, place, _, _ = pixels_of(programs, width, block)
    at, inside = image * height * width + place, place < height * width
    thick = tl.load(thickness + at, mask=inside, other=0)
    for channel in tl.static_range(3):
        x = tl.load(images + 3 * at + channel, mask=inside, other=0).to(tl.int32).to(tl.float32)
        rest = (tl.math.div_rn(x, 255.0) * (1 - thick)).to(tl.float64)
        x = (rest + thick.to(tl.float64) * tl.load(colour + channel)) * 255
        tl.store(out + 3 * at + channel, x.to(tl.int32).to(tl.uint8), mask=inside)


def shine(levels: Tensor) -> Tensor:
    """Kernel of `ppbench.corruptions.spatter.shine`."""
    n, height, width = shape = (len(levels), levels.shape[1], levels.shape[2])
    distance = distances(edges(levels))
    means, light, out = torch.empty_like(levels), torch.empty_like(levels), torch.empty_like(levels)
    counts = torch.zeros((n, 32), dtype=torch.int32, device=levels.device)
    tables = torch.empty((n, 32), dtype=torch.uint8, device=levels.device)
    start_on_pixels(_mean_distances, shape, distance, means, counts, _UNIT)
    if n:
        _spread[(n,)](counts, tables, height * width, _FARTHEST, **{**OPTIONS, "num_warps": 1})
    start_on_pixels(_relief, shape, means, tables, light)
    start_on_pixels(_means, shape, light, out)
    return out


def brighten(images: Tensor, levels: Tensor, shine: Tensor, opacity: float, colour: Floats) -> Tensor:
    """Kernel of `ppbench.corruptions.spatter.brighten`."""
    shape = (len(levels), levels.shape[1], levels.shape[2])
    greatest = torch.zeros(len(levels), dtype=torch.int32, device=levels.device)
    start_on_pixels(_greatest_products, shape, levels, shine, greatest)
    out = torch.empty_like(images)
    start_on_pixels(
        _brighten, shape, images, levels, shine, greatest, out, uploaded(colour, images.device), float(opacity)
    )
    return out


def cover(images: Tensor, thickness: Tensor, colour: Doubles) -> Tensor:
    """Kernel of `ppbench.corruptions.spatter.cover`."""
    shape = (len(images), images.shape[1], images.shape[2])
    out = torch.empty_like(images)
    start_on_pixels(_cover, shape, images, thickness, out, uploaded(colour, images.device))
    return out
