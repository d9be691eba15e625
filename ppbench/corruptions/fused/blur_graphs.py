"""Graphs of the blurs: each is a sum over taps, whose number, places and weights are tables.

A sum over taps is one kernel. Sums are float64, because the compiler chooses their order; those of zoom_blur are
float32, as in its definition.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions.axes import margins, zoomed_layers
from ppbench.corruptions.disks import Disk
from ppbench.corruptions.fused.graphs import INLINED, graph
from ppbench.corruptions.levels import Ties, snapped
from ppbench.corruptions.types import Doubles, Floats, Indices
from ppbench.corruptions.uploads import numbers, sent, uploaded


def weighed(x: Tensor, axis: int, places: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Sum weighted pixels along an axis of ``(n, H, W, C)``: for each pixel those at some offsets, by ``places``."""
    at = places[torch.arange(x.shape[axis], device=x.device)[:, None] + offsets]
    if axis == 1:
        return (x[:, at].double() * weights[:, None, None]).sum(2)
    return (x[:, :, at].double() * weights[:, None]).sum(3)


class Taps(NamedTuple):
    """A symmetric filter as a list of taps, from the farthest on one side to the farthest on the other."""

    offsets: Indices
    """Places in `margins`, from the one of the first pixel's first tap."""
    weights: Doubles


@lru_cache(maxsize=64)
def _taps(weights: tuple[float, ...]) -> Taps:
    return Taps(np.arange(2 * len(weights) - 1), np.array([*weights[:0:-1], *weights], np.float64))


def taps_of(weights: Floats | Doubles) -> Taps:
    """Return the taps of a filter with the weights of the centre and of the pixels 1, 2, … from it."""
    # Torch compiles a length of one apart from all others.
    return _taps(tuple(weights.tolist()) if weights.size > 1 else (float(weights[0]), 0.0))


@graph("n r c t t - -")
def _smooth_levels(
    images: Tensor, rows: Tensor, columns: Tensor, offsets: Tensor, weights: Tensor, flat: Tensor, close: Tensor
) -> Tensor:
    x = weighed(weighed(images, 1, rows, offsets, weights), 2, columns, offsets, weights)
    return snapped(x, flat, close)


def smooth_levels_in_graph(
    images: Tensor, weights: Floats | Doubles, rows: Indices, columns: Indices, ties: Ties
) -> Tensor:
    """Graph of `ppbench.corruptions.blur.smooth_levels`: 2 kernels."""
    device = images.device
    tables = (uploaded(part, device) for part in (rows, columns, *taps_of(weights), ties.flat))
    return _smooth_levels(images, *tables, numbers(ties.close, device=device))


@graph("n r c t t u u")
def _smooth(
    x: Tensor, rows: Tensor, columns: Tensor, down: Tensor, down_weights: Tensor, across: Tensor, across_weights: Tensor
) -> Tensor:
    return weighed(weighed(x, 1, rows, down, down_weights), 2, columns, across, across_weights).to(x.dtype)


def smooth_in_graph(
    x: Tensor, down: Floats | Doubles, across: Floats | Doubles, rows: Indices, columns: Indices
) -> Tensor:
    """Graph of `ppbench.corruptions.filters.smooth`: 2 kernels."""
    device = x.device
    places = [
        sent(_and_beyond(lines), device) if weights.size == 1 else uploaded(lines, device)
        for lines, weights in ((rows, down), (columns, across))
    ]
    return _smooth(x, *places, *(uploaded(part, device) for part in (*taps_of(down), *taps_of(across))))


def _and_beyond(lines: Indices) -> Indices:
    """Return margins of a filter of a single weight for one with three, of which two are 0."""
    return np.concatenate([lines[:1], lines, lines[-1:]])


def dragged(
    x: Tensor, offsets: Tensor, counts: Tensor, weights: Tensor, height: Tensor | int, width: Tensor | int
) -> Tensor:
    """`ppbench.corruptions.filters.trail`, in float64, of images that end at a ``height`` and a ``width``."""
    number = torch.arange(offsets.shape[1], device=x.device)
    used = torch.where(number < counts[:, None], weights, 0)
    rows = torch.arange(x.shape[1], device=x.device)[:, None] + offsets[:, None, :, 0]
    columns = torch.arange(x.shape[2], device=x.device)[:, None] + offsets[:, None, :, 1]
    # Twice, since a height may be a tensor: `clamp` takes two numbers or two tensors.
    rows, columns = rows.clamp(min=0).clamp(max=height - 1), columns.clamp(min=0).clamp(max=width - 1)
    image = torch.arange(x.shape[0], device=x.device)[:, None, None, None]
    taps = x[image, rows[:, :, None], columns[:, None]]
    return (taps.double() * used[:, None, None, :, None]).sum(3)


@graph("n nt n t - -")
def _trail_levels(
    images: Tensor, offsets: Tensor, counts: Tensor, weights: Tensor, flat: Tensor, constants: Tensor
) -> Tensor:
    added, close = constants.unbind()
    x = dragged(images, offsets, counts, weights, images.shape[1], images.shape[2])
    return snapped(x + added, flat, close)


@lru_cache(maxsize=64)
def table_of_doubles(weights: tuple[float, ...]) -> Doubles:
    """Return numbers as an array: always the same one, as a table that is kept has to be."""
    return np.array(weights, np.float64)


def trail_levels_in_graph(
    images: Tensor, offsets: Indices, counts: Indices, weights: Floats | Doubles, added: float, ties: Ties
) -> Tensor:
    """Graph of `ppbench.corruptions.blur.trail_levels`: 1 kernel."""
    device = images.device
    moved = (sent(part, device) for part in (offsets, counts))
    tables = (uploaded(part, device) for part in (table_of_doubles(tuple(weights.tolist())), ties.flat))
    return _trail_levels(images, *moved, *tables, numbers(added, ties.close, device=device))


class _Boxes(NamedTuple):
    """A disk as boxes one pixel wide, ``(T,)`` each."""

    offsets: Indices
    """Columns of the boxes, from the one of the first pixel's leftmost box."""
    low: Indices
    """Sums of rows, from those of the first pixel's uppermost box, that the box does not have."""
    high: Indices
    """The same for the sums that it ends with."""
    weights: Doubles


@lru_cache(maxsize=64)
def _boxes_of(first: bytes, reaches: bytes, weights: tuple[float, ...]) -> _Boxes:
    bounds, reach = np.frombuffer(first, np.int64), np.frombuffer(reaches, np.int64)
    radius = len(bounds) - 2
    column = np.repeat(np.arange(radius + 1), np.diff(bounds))
    twice = column > 0  # the middle column has no mirror image
    columns = np.concatenate([radius + column, radius - column[twice]])
    both, values = np.concatenate([reach, reach[twice]]), np.array(weights)
    return _Boxes(columns, radius - both, radius + 1 + both, np.concatenate([values, values[twice]]))


@graph("n r c t t t t - -")
def _blur_disk(
    images: Tensor, rows: Tensor, columns: Tensor, offsets: Tensor, low: Tensor, high: Tensor, weights: Tensor,
    flat: Tensor, close: Tensor,
) -> Tensor:  # fmt: skip
    # Whole numbers, whose differences are exact whatever the order of the sums.
    sums = images[:, rows].int().cumsum(1, dtype=torch.int32)
    down, across = (torch.arange(side, device=images.device)[:, None] for side in images.shape[1:3])
    at = columns[across + offsets]
    boxes = sums[:, (down + high)[:, None], at] - sums[:, (down + low)[:, None], at]
    return snapped((boxes.double() * weights[:, None]).sum(3), flat, close)


def blur_disk_in_graph(images: Tensor, disk: Disk, rows: Indices, columns: Indices) -> Tensor:
    """Graph of `ppbench.corruptions.blur.blur_disk`, by running sums down the columns: 2 kernels, or 3."""
    device, radius = images.device, len(disk.kernel) // 2
    # As bytes and a tuple, because a cache cannot have arrays as keys.
    boxes = _boxes_of(disk.first.tobytes(), disk.reaches.tobytes(), tuple(disk.weights.tolist()))
    lines = margins(images.shape[1], radius + 1, "mirror"), columns
    tables = (uploaded(part, device) for part in (*lines, *boxes, disk.ties.flat))
    return _blur_disk(images, *tables, numbers(disk.ties.close, device=device))


@graph("n l l l l - -", **INLINED)
def _mean_of_zooms(
    images: Tensor, top: Tensor, down: Tensor, left: Tensor, right: Tensor, flat: Tensor, constants: Tensor
) -> Tensor:
    number, close = constants.unbind()
    y, x = top[:, :, None], left[:, None]
    below = down[:, :, None, None]
    before, after = (
        (upper := images[:, y, column].float()) + (images[:, y + 1, column].float() - upper) * below
        for column in (x, x + 1)
    )
    total = (before + (after - before) * right[:, None, :, None]).sum(1)
    return snapped((images.float() + total) / number, flat, close)


def mean_of_zooms_in_graph(images: Tensor, factors: tuple[float, ...], trim: bool, ties: Ties) -> Tensor:
    """Graph of `ppbench.corruptions.blur.mean_of_zooms`: 1 kernel."""
    device = images.device
    layers = zoomed_layers(images.shape[1], images.shape[2], factors, trim)
    tables = (uploaded(part, device) for part in (*layers, ties.flat))
    return _mean_of_zooms(images, *tables, numbers(len(factors) + 1, ties.close, device=device, dtype=torch.float32))
