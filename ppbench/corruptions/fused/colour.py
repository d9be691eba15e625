"""Sums of a channel's pixels on a GPU, one after another, as the references add them."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ppbench.corruptions.fused.random import OPTIONS
from ppbench.corruptions.levels import FRACTIONS
from ppbench.corruptions.uploads import uploaded

_LANES = 32


@triton.jit
def _sums(images, fractions, out, pixels, lanes, channels: tl.constexpr, block: tl.constexpr):
    lane = tl.program_id(0) * block + tl.arange(0, block)
    inside = lane < lanes
    image = lane // channels
    first = image.to(tl.int64) * pixels * channels + (lane - image * channels)
    total = tl.load(fractions + lane * 0)  # 0
    for k in range(pixels):
        level = tl.load(images + first + k * channels, mask=inside, other=0)
        total += tl.load(fractions + level.to(tl.int32))
    tl.store(out + lane, total, mask=inside)


def sums_in_order(images: Tensor) -> Tensor:
    """Kernel of `ppbench.corruptions.colour.sums_in_order`."""
    n, height, width, channels = images.shape
    lanes = n * channels
    out = torch.empty((n, channels), dtype=torch.float64, device=images.device)
    if lanes:
        args = images, uploaded(FRACTIONS, images.device), out, height * width, lanes, channels
        _sums[(triton.cdiv(lanes, _LANES),)](*args, block=_LANES, **{**OPTIONS, "num_warps": 1})
    return out
