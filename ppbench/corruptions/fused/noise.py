"""Noise on a GPU, each in one kernel: draws, arithmetic and clipping between one reading and one writing of pixels."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from ppbench.corruptions.fused.random import normal_of, places_of, start, start_on_words, tile_of, words_of
from ppbench.corruptions.photons import poisson
from ppbench.corruptions.types import Pixels


@triton.jit(do_not_specialize=["stream"])
def _noisy(keys, out, stream, images, std, relative: tl.constexpr, count, programs, block: tl.constexpr):
    image, counters = tile_of(programs, block)
    places = places_of(counters)
    noise = normal_of(words_of(keys, image, stream, counters))
    x = tl.load(images + image * count + places, mask=places < count, other=0).to(tl.int32).to(tl.float32)
    x = tl.math.div_rn(x, 255.0)
    x = x + noise * std * x if relative else x + noise * std
    x = tl.minimum(tl.maximum(x, 0.0), 1.0) * 255
    tl.store(out + image * count + places, x.to(tl.int32).to(tl.uint8), mask=places < count)


@triton.jit(do_not_specialize=["stream", "below"])
def _replaced(keys, out, stream, images, below, count, programs, block: tl.constexpr):
    image, counters = tile_of(programs, block)
    places = places_of(counters)
    words = words_of(keys, image, stream, counters)
    x = tl.load(images + image * count + places, mask=places < count, other=0).to(tl.int32)
    salt = (words & 1).to(tl.int32) * 255
    x = tl.where((words >> 1).to(tl.int32) < below, salt, x)
    tl.store(out + image * count + places, x.to(tl.uint8), mask=places < count)


@triton.jit
def count_of(words, row, thresholds, guide, last, steps):
    """Return the Poisson counts of words, with levels as rates."""
    # The guide has the counts between which that of a word is: halving them finds it.
    begin = guide + row * 513 + (words >> 23).to(tl.int32)
    low, high = tl.load(begin).to(tl.int32), tl.load(begin + 1).to(tl.int32)
    for _ in range(steps):
        middle = (low + high) >> 1
        is_open = low < high
        threshold = tl.load(thresholds + row * last + middle, mask=is_open, other=0).to(tl.uint32, bitcast=True)
        is_above = threshold > words
        high = tl.where(is_open & is_above, middle, high)
        low = tl.where(is_open & (is_above == 0), middle + 1, low)
    return low


@triton.jit(do_not_specialize=["stream", "last", "steps"])
def _detected(
    keys, out, stream, images, thresholds, guide, levels, last, steps, count, programs, block: tl.constexpr
):  # fmt: skip
    image, counters = tile_of(programs, block)
    places = places_of(counters)
    row = tl.load(images + image * count + places, mask=places < count, other=0).to(tl.int32)
    counts = count_of(words_of(keys, image, stream, counters), row, thresholds, guide, last, steps)
    tl.store(out + image * count + places, tl.load(levels + counts), mask=places < count)


@triton.jit(do_not_specialize=["last", "steps"])
def _detect(words, out, images, thresholds, guide, levels, last, steps, size, block: tl.constexpr):
    places = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    row = tl.load(images + places, mask=places < size, other=0).to(tl.int32)
    bits = tl.load(words + places, mask=places < size, other=0).to(tl.uint32, bitcast=True)
    counts = count_of(bits, row, thresholds, guide, last, steps)
    tl.store(out + places, tl.load(levels + counts), mask=places < size)


def noisy(images: Tensor, keys: Tensor, stream: int, std: float, relative: bool) -> Tensor:
    """Kernel of `ppbench.corruptions.noise.noisy`."""
    return start(_noisy, keys, torch.empty_like(images), stream, images, float(std), relative)


def replaced(images: Tensor, keys: Tensor, stream: int, fraction: float) -> Tensor:
    """Kernel of `ppbench.corruptions.noise.replaced`."""
    return start(_replaced, keys, torch.empty_like(images), stream, images, round(fraction * 2**31))


def detected(images: Tensor, keys: Tensor, stream: int, white: int) -> Tensor:
    """Kernel of `ppbench.corruptions.noise.detected`."""
    return start(_detected, keys, torch.empty_like(images), stream, images, *_tables(white, images.device))


def detect(
    images: Tensor, words: Tensor, thresholds: NDArray[np.uint32], guide: NDArray[np.uint16], levels: Pixels
) -> Tensor:
    """Kernel of `ppbench.corruptions.noise.detect`."""
    return start_on_words(_detect, words, torch.empty_like(images), images, *_tables(len(levels) - 1, images.device))


@cache
def _tables(white: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, int, int]:
    """Return the last arguments of `count_of` and the levels, the tables on a device."""
    thresholds, guide, levels = poisson(white)
    last = thresholds.shape[1]
    # With a last column, each part of the words has the first count of the next part too.
    bounds = np.pad(guide.astype(np.int16), ((0, 0), (0, 1)), constant_values=last)
    steps = int(np.diff(bounds).max()).bit_length()
    with torch.inference_mode(False):  # what is made in inference mode cannot be used outside it
        first, second, third = (torch.from_numpy(table).to(device) for table in (thresholds.view("i4"), bounds, levels))
    return first, second, third, last, steps
