"""Edges and the distances to them, on a GPU, without a step that waits for the CPU.

Weak ridges that touch strong ones are found by joining ridges to sets: each pixel points to an earlier one of its set,
and the first one of all to itself (union and find, with atomic minima). A path of ridges may wind through the whole
image: steps from pixel to pixel would be as many as it is long, and nobody knows how many.

Distances are sums of the same few steps on every shortest path, which for a given number of columns and rows are a
formula. It grows with the rows, so the nearest edge of each column suffices: first down, then across.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ppbench.corruptions.fused.pixels import greatest_of, pixels_of, start_on_pixels

_WEAK, _STRONG, _FARTHEST, _STEPS = 50, 150, 20, (10000, 14000, 21969)


@triton.jit
def _gradients(all_levels, right, down, height, width, programs, block: tl.constexpr):
    """Make the slopes to the right and down, times 8, as int16; beyond the border the edge is repeated."""
    image, place, y, x = pixels_of(programs, width, block)
    levels = all_levels + image * height * width
    inside = place < height * width
    y = tl.minimum(y, height - 1)
    above, below = tl.maximum(y - 1, 0) * width, tl.minimum(y + 1, height - 1) * width
    left, after = tl.maximum(x - 1, 0), tl.minimum(x + 1, width - 1)
    a, b = tl.load(levels + above + left).to(tl.int32), tl.load(levels + above + x).to(tl.int32)
    c, d = tl.load(levels + above + after).to(tl.int32), tl.load(levels + y * width + left).to(tl.int32)
    e, f = tl.load(levels + y * width + after).to(tl.int32), tl.load(levels + below + left).to(tl.int32)
    g, h = tl.load(levels + below + x).to(tl.int32), tl.load(levels + below + after).to(tl.int32)
    at = image * height * width + place
    tl.store(right + at, (c + 2 * e + h - a - 2 * d - f).to(tl.int16), mask=inside)
    tl.store(down + at, (f + 2 * g + h - a - 2 * b - c).to(tl.int16), mask=inside)


@triton.jit
def _slope(right, down, is_there):
    """Return the sum of both slopes; beyond the border there is none."""
    gx, gy = tl.load(right, mask=is_there, other=0), tl.load(down, mask=is_there, other=0)
    return tl.abs(gx.to(tl.int32)) + tl.abs(gy.to(tl.int32))


@triton.jit
def _ridges(
    right, down, parents, marks, flags, weak: tl.constexpr, strong: tl.constexpr, height, width, programs,
    block: tl.constexpr,
):  # fmt: skip
    """Mark ridges by 1, strong ones by 2. Ridges are their own parents, other pixels have -1. No flag is set."""
    image, place, y, x = pixels_of(programs, width, block)
    inside = place < height * width
    at = image * height * width + place
    gx_at, gy_at = right + at, down + at
    gx, gy = tl.load(gx_at, mask=inside, other=0).to(tl.int32), tl.load(gy_at, mask=inside, other=0).to(tl.int32)
    slope = tl.abs(gx) + tl.abs(gy)
    has_left, has_right = inside & (x > 0), inside & (x < width - 1)
    has_above, has_below = inside & (y > 0), inside & (y < height - 1)
    across = slope > _slope(gx_at - 1, gy_at - 1, has_left)
    across = across & (slope >= _slope(gx_at + 1, gy_at + 1, has_right))
    straight = slope > _slope(gx_at - width, gy_at - width, has_above)
    straight = straight & (slope >= _slope(gx_at + width, gy_at + width, has_below))
    falling = slope > _slope(gx_at - width - 1, gy_at - width - 1, has_above & has_left)
    falling = falling & (slope > _slope(gx_at + width + 1, gy_at + width + 1, has_below & has_right))
    rising = slope > _slope(gx_at - width + 1, gy_at - width + 1, has_above & has_right)
    rising = rising & (slope > _slope(gx_at + width - 1, gy_at + width - 1, has_below & has_left))
    # See the definition, `ppbench.corruptions.spatter.edges`.
    rise, run = tl.abs(gy) << 15, tl.abs(gx)
    is_flat, is_steep = rise < run * 13573, rise > run * (13573 + 65536)
    oblique = tl.where((gx ^ gy) < 0, rising, falling)
    ridge = tl.where(is_flat, across, tl.where(is_steep, straight, oblique)) & (slope > weak)
    mark = ridge.to(tl.int32) + (ridge & (slope > strong)).to(tl.int32)
    tl.store(marks + at, mark.to(tl.uint8), mask=inside)
    tl.store(parents + at, tl.where(ridge, place, -1), mask=inside)
    tl.store(flags + at, (place * 0).to(tl.uint8), mask=inside)


@triton.jit
def _root_of(parents, place, asked):
    """Return the first pixels of the sets; where it is not ``asked`` for, ``place``."""
    parent = tl.load(parents + place, mask=asked, other=0)
    moves = asked & (parent != place)
    while greatest_of(moves.to(tl.int32)) > 0:
        place = tl.where(moves, parent, place)
        parent = tl.load(parents + place, mask=moves, other=0)
        moves = moves & (parent != place)
    return place


@triton.jit
def _unite(parents, place, other, apart):
    """Join the sets of pixels and their neighbours where they are ``apart``."""
    one = place
    apart = apart & (tl.load(parents + other, mask=apart, other=-1) >= 0)
    while greatest_of(apart.to(tl.int32)) > 0:
        one, other = _root_of(parents, one, apart), _root_of(parents, other, apart)
        apart = apart & (one != other)
        later, earlier = tl.maximum(one, other), tl.minimum(one, other)
        parent = tl.atomic_min(parents + later, earlier, mask=apart)
        # If another program gave it a parent in the meantime, that one's set has to be joined too.
        one, other = tl.where(apart, parent, one), tl.where(apart, earlier, other)
        apart = apart & (parent != later)


@triton.jit
def _join(all_parents, height, width, programs, block: tl.constexpr):
    """Join the sets of ridges with those of the pixel before and of the three above."""
    image, place, y, x = pixels_of(programs, width, block)
    parents = all_parents + image * height * width
    is_ridge = tl.load(parents + place, mask=place < height * width, other=-1) >= 0
    _unite(parents, place, place - 1, is_ridge & (x > 0))
    _unite(parents, place, place - width - 1, is_ridge & (y > 0) & (x > 0))
    _unite(parents, place, place - width, is_ridge & (y > 0))
    _unite(parents, place, place - width + 1, is_ridge & (y > 0) & (x < width - 1))


@triton.jit
def _flag(all_parents, marks, flags, height, width, programs, block: tl.constexpr):
    """Flag the first pixels of sets with a strong ridge."""
    image, place, _, _ = pixels_of(programs, width, block)
    first = image * height * width
    is_strong = tl.load(marks + first + place, mask=place < height * width, other=0) == 2
    root = _root_of(all_parents + first, place, is_strong)
    tl.store(flags + first + root, tl.full(root.shape, 1, tl.uint8), mask=is_strong)


@triton.jit
def _pick(all_parents, marks, flags, out, height, width, programs, block: tl.constexpr):
    """Pick the ridges whose set has a flag."""
    image, place, _, _ = pixels_of(programs, width, block)
    first = image * height * width
    inside = place < height * width
    is_ridge = tl.load(marks + first + place, mask=inside, other=0) > 0
    root = _root_of(all_parents + first, place, is_ridge)
    tl.store(out + first + place, tl.load(flags + first + root, mask=is_ridge, other=0), mask=inside)


@triton.jit
def _rows_to_edges(all_edges, out, farthest: tl.constexpr, height, width, programs, block: tl.constexpr):
    """Count the rows to the nearest edge of the column, up to ``farthest``."""
    image, place, y, _ = pixels_of(programs, width, block)
    inside = place < height * width
    edges = all_edges + image * height * width + place
    rows = tl.full(place.shape, farthest, tl.int32)
    for nearer in range(farthest):
        away = farthest - 1 - nearer
        above = tl.load(edges - away * width, mask=inside & (y >= away), other=0)
        below = tl.load(edges + away * width, mask=inside & (y < height - away), other=0)
        rows = tl.where((above | below) != 0, away, rows)
    tl.store(out + image * height * width + place, rows.to(tl.uint8), mask=inside)


@triton.jit
def _distances(
    all_rows, out, farthest: tl.constexpr, straight: tl.constexpr, diagonal: tl.constexpr, knight: tl.constexpr,
    height, width, programs, block: tl.constexpr,
):  # fmt: skip
    image, place, _, x = pixels_of(programs, width, block)
    inside = place < height * width
    rows = all_rows + image * height * width + place
    distance = tl.full(place.shape, farthest * straight, tl.int32)
    for step in range(1 - farthest, farthest):
        here = inside & (x + step >= 0) & (x + step < width)
        down = tl.load(rows + step, mask=here, other=farthest).to(tl.int32)
        across = tl.abs(place * 0 + step)
        more, less = tl.maximum(down, across), tl.minimum(down, across)
        # Knight's moves go 2 to 1. Beyond that there are straight steps, and short of that diagonal ones.
        far = straight * (more - 2 * less) + knight * less
        near = knight * (more - less) + diagonal * (2 * less - more)
        distance = tl.minimum(distance, tl.where(more >= 2 * less, far, near))
    tl.store(out + image * height * width + place, distance, mask=inside)


def edges(levels: Tensor) -> Tensor:
    """Kernel of `ppbench.corruptions.spatter.edges`."""
    shape = (len(levels), levels.shape[1], levels.shape[2])
    parents = torch.empty(shape, dtype=torch.int32, device=levels.device)
    right, down = torch.empty((2, *shape), dtype=torch.int16, device=levels.device)
    marks, flags, out = torch.empty_like(levels), torch.empty_like(levels), torch.empty_like(levels)
    start_on_pixels(_gradients, shape, levels, right, down)
    start_on_pixels(_ridges, shape, right, down, parents, marks, flags, _WEAK, _STRONG)
    start_on_pixels(_join, shape, parents)
    start_on_pixels(_flag, shape, parents, marks, flags)
    start_on_pixels(_pick, shape, parents, marks, flags, out)
    return out.view(torch.bool)


def distances(edges: Tensor) -> Tensor:
    """Kernel of `ppbench.corruptions.spatter.distances`."""
    shape = (len(edges), edges.shape[1], edges.shape[2])
    rows = torch.empty(shape, dtype=torch.uint8, device=edges.device)
    out = torch.empty(shape, dtype=torch.int32, device=edges.device)
    start_on_pixels(_rows_to_edges, shape, edges.view(torch.uint8), rows, _FARTHEST)
    start_on_pixels(_distances, shape, rows, out, _FARTHEST, *_STEPS)
    return out
