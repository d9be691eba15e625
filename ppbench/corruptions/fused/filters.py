"""Gaussians on a GPU: a kernel for each axis, with the sums of the CPU's kernel in their order."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from ppbench.corruptions.fused.pixels import pixels_of, start_on_pixels
from ppbench.corruptions.levels import Ties
from ppbench.corruptions.types import Doubles, Floats, Indices
from ppbench.corruptions.uploads import uploaded


@triton.jit
def _number_at(values, places, middle, step, offset, weight):
    value = tl.load(values + tl.load(places + middle).to(tl.int32) * step + offset)
    return value.to(tl.float32).to(weight.dtype) if value.dtype == tl.uint8 else value


@triton.jit
def _pair(values, places, middle, step, offset, weights, k):
    weight = tl.load(weights + k)
    before = _number_at(values, places, middle - k, step, offset, weight)
    return weight * (before + _number_at(values, places, middle + k, step, offset, weight))


@triton.jit(do_not_specialize=["radius"])
def _smooth(
    all_values, weights, places, out, flat, radius, channels: tl.constexpr, is_down: tl.constexpr,
    truncates: tl.constexpr, height, width, programs, block: tl.constexpr,
):  # fmt: skip
    """Smooth images of lines ``width`` = W * C along an axis; ``weights`` end with the distance of ties."""
    image, place, y, x = pixels_of(programs, width, block)
    values = all_values + image * height * width
    row = tl.minimum(y, height - 1)
    if is_down:
        middle, step, offset = row + radius, width, x
    else:
        pixel = x // channels
        middle, step, offset = pixel + radius, channels, row * width + x - pixel * channels
    weight = tl.load(weights)
    total = weight * _number_at(values, places, middle, step, offset, weight)
    # Pairs of pixels are added by fours, as on the CPU.
    fours = radius // 4
    for four in range(fours):
        k = 4 * four + 1
        near = _pair(values, places, middle, step, offset, weights, k)
        near += _pair(values, places, middle, step, offset, weights, k + 1)
        far = _pair(values, places, middle, step, offset, weights, k + 2)
        far += _pair(values, places, middle, step, offset, weights, k + 3)
        total += near + far
    for k in range(4 * fours + 1, radius + 1):
        total += _pair(values, places, middle, step, offset, weights, k)
    at, inside = image * height * width + place, place < height * width
    if truncates:
        total = tl.minimum(tl.maximum(total, 0.0), 255.0)
        whole = (total + 0.5).to(tl.int32)
        is_tie = tl.abs(total - whole.to(weight.dtype)) < tl.load(weights + radius + 1)
        level = tl.where(is_tie, tl.load(flat + whole).to(tl.int32), total.to(tl.int32))
        tl.store(out + at, level.to(tl.uint8), mask=inside)
    else:
        tl.store(out + at, total, mask=inside)


@cache
def _weights(content: bytes, dtype: str, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.from_numpy(np.frombuffer(content, dtype).copy()).to(device)


def _smoothed(
    x: Tensor, down: Floats | Doubles, across: Floats | Doubles, rows: Indices, columns: Indices, ties: Ties | None
) -> Tensor:
    n, height, width, channels = x.shape
    shape = n, height, width * channels
    last = x.new_empty(0) if ties is None else uploaded(ties.flat, x.device)
    between = torch.empty(x.shape, dtype=torch.float32 if down.dtype == np.float32 else torch.float64, device=x.device)
    out = torch.empty_like(between if ties is None else x)
    for values, weights, places, made, is_down in (
        (x, down, rows, between, True),
        (between, across, columns, out, False),
    ):
        content = np.append(weights, 0 if ties is None else ties.close).astype(weights.dtype)
        table = _weights(content.tobytes(), content.dtype.str, x.device)
        args = values, table, uploaded(places, x.device), made, last, len(weights) - 1
        start_on_pixels(_smooth, shape, *args, channels, is_down, ties is not None and not is_down)
    return out


def smooth(x: Tensor, down: Floats | Doubles, across: Floats | Doubles, rows: Indices, columns: Indices) -> Tensor:
    """Kernel of `ppbench.corruptions.filters.smooth`."""
    return _smoothed(x, down, across, rows, columns, None)


def smooth_levels(images: Tensor, weights: Floats | Doubles, rows: Indices, columns: Indices, ties: Ties) -> Tensor:
    """Kernel of `ppbench.corruptions.blur.smooth_levels`."""
    return _smoothed(images, weights, weights, rows, columns, ties)
