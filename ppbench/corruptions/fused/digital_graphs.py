"""Graphs of elastic_transform and pixelate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.corruptions.axes import margins
from ppbench.corruptions.fused.blur_graphs import taps_of, weighed
from ppbench.corruptions.fused.graphs import graph
from ppbench.corruptions.sampling import mirrored, reflected, sampled
from ppbench.corruptions.taps import gaussian_matrix, gaussian_weights
from ppbench.corruptions.types import Doubles, Indices
from ppbench.corruptions.uploads import numbers, uploaded


@graph("n n n n - - -")
def _elastic(
    images: Tensor,
    maps: Tensor,
    right: Tensor,
    down: Tensor,
    rows: Tensor,
    columns: Tensor,
    alpha: Tensor,
    *,
    bent: bool,
) -> Tensor:
    fields = torch.cat((right, down)).double() @ columns.T
    return _rippled(images, maps, (rows @ fields).float(), alpha, bent)


@graph("n n n n r c t t u u -")
def _elastic_by_taps(
    images: Tensor, maps: Tensor, right: Tensor, down: Tensor, rows: Tensor, columns: Tensor, lower: Tensor,
    lower_weights: Tensor, beyond: Tensor, beyond_weights: Tensor, alpha: Tensor, *, bent: bool,
) -> Tensor:  # fmt: skip
    fields = weighed(torch.cat((right, down))[..., None], 1, rows, lower, lower_weights)
    fields = weighed(fields, 2, columns, beyond, beyond_weights)
    return _rippled(images, maps, fields[..., 0].float(), alpha, bent)


def _rippled(images: Tensor, maps: Tensor, fields: Tensor, alpha: Tensor, bent: bool) -> Tensor:
    height, width = images.shape[1:3]
    y, x = (torch.arange(side, device=images.device, dtype=torch.float32) for side in (height, width))
    pixels = images.float()
    if bent:
        across, down = (row[:, 0] * x + (row[:, 1] * y[:, None] + row[:, 2]) for row in maps[..., None, None].unbind(1))
        pixels = sampled(pixels, mirrored(down, height), mirrored(across, width))
    right, below = fields.chunk(2)
    places = reflected(alpha * below + y[:, None], height), reflected(alpha * right + x, width)
    return sampled(pixels, *places).to(torch.uint8)


_LARGEST = 512
"""Sides, in pixels, up to which a displacement is smoothed by matrices, at every width of the Gaussian."""


def elastic_in_graph(
    images: Tensor, maps: Tensor | None, fields: tuple[Tensor, Tensor] | None, sigma: tuple[float, float], alpha: float
) -> Tensor:
    """Graph of `ppbench.corruptions.digital.rippled`: 5 kernels, two of which are products of matrices."""
    device, sides = images.device, images.shape[1:3]
    if fields is None:  # not displaced, by any number
        right, down = torch.zeros((2, *images.shape[:3]), device=device).unbind()
        fields = right, down
    bent = maps is not None
    maps = torch.zeros((len(images), 2, 3), device=device) if maps is None else maps
    moves, amount = (images, maps, *fields), numbers(alpha, device=device, dtype=torch.float32)
    if max(sides) <= _LARGEST:
        matrices = (_matrix(side, width) for side, width in zip(sides, sigma, strict=True))
        return _elastic(*moves, *(uploaded(matrix, device) for matrix in matrices), amount, bent=bent)
    weights = [gaussian_weights(width, 3.0) for width in sigma]
    lines = (margins(side, w.size - 1, "reflect") for side, w in zip(sides, weights, strict=True))
    tables = (uploaded(part, device) for part in (*lines, *taps_of(weights[0]), *taps_of(weights[1])))
    return _elastic_by_taps(*moves, *tables, amount, bent=bent)


@lru_cache(maxsize=16)
def _matrix(side: int, sigma: float) -> Doubles:
    return gaussian_matrix(side, sigma, 3.0, "reflect").astype(np.float64)


@graph("n k - - - - - -")
def _pixelate(
    images: Tensor, steps: Tensor, top: Tensor, height: Tensor, row_weight: Tensor, left: Tensor, width: Tensor,
    column_weight: Tensor,
) -> Tensor:  # fmt: skip
    across = _means_of_boxes(images, 2, steps, left, width, column_weight)
    return _means_of_boxes(across, 1, steps, top, height, row_weight).to(torch.uint8)


def _means_of_boxes(x: Tensor, axis: int, steps: Tensor, first: Tensor, number: Tensor, weight: Tensor) -> Tensor:
    at = (first[:, None] + steps).clamp(max=x.shape[axis] - 1)
    counts = (steps < number[:, None]).int()
    if axis == 2:
        total = (x[:, :, at].int() * counts[:, :, None]).sum(3, dtype=torch.int32)
        return (total * weight[:, None] + (1 << 21)) >> 22
    total = (x[:, at].int() * counts[:, :, None, None]).sum(2, dtype=torch.int32)
    return (total * weight[:, None, None] + (1 << 21)) >> 22


class _Boxes(NamedTuple):
    """The box that each pixel of the result is the mean of, along an axis of ``side`` pixels: ``(side,)`` each."""

    first: Indices
    number: Indices
    weight: NDArray[np.int32]


@lru_cache(maxsize=64)
def _boxes_at(first: bytes, number: bytes, weight: bytes, places: bytes) -> _Boxes:
    at = np.frombuffer(places, np.int64)
    return _Boxes(
        np.frombuffer(first, np.int64)[at], np.frombuffer(number, np.int64)[at], np.frombuffer(weight, np.int32)[at]
    )


@lru_cache(maxsize=64)
def _steps(number: int) -> Indices:
    return np.arange(number)


def pixelated_in_graph(
    images: Tensor, rows: Sequence[NDArray[Any]], columns: Sequence[NDArray[Any]], down: Indices, across: Indices
) -> Tensor:
    """Graph of `ppbench.corruptions.digital.pixelated`: 2 kernels."""
    tables: list[NDArray[Any]] = []
    for boxes, places in ((rows, down), (columns, across)):
        first, number, weight = (part.tobytes() for part in boxes)
        tables += _boxes_at(first, number, weight, places.tobytes())
    longest = max(2, *(int(boxes[1].max()) for boxes in (rows, columns)))
    return _pixelate(images, *(uploaded(part, images.device) for part in (_steps(longest), *tables)))
