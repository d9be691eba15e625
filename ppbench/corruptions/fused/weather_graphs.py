"""Graphs of fog, frost and snow."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.corruptions.axes import Places
from ppbench.corruptions.constants import Snow
from ppbench.corruptions.fused.blur_graphs import dragged, table_of_doubles
from ppbench.corruptions.fused.graphs import INLINED, graph, stored
from ppbench.corruptions.kernels.weather import BLUE_SHARE, GREEN_SHARE, RED_SHARE
from ppbench.corruptions.levels import divide
from ppbench.corruptions.taps import trail_counts, trail_offsets, trail_weights
from ppbench.corruptions.types import Floats
from ppbench.corruptions.uploads import numbers, sent, uploaded


@graph("n n - -", **INLINED, split_reductions=False)
def _fog(images: Tensor, draws: Tensor, amplitudes: Tensor, amount: Tensor) -> Tensor:
    cells = torch.zeros_like(draws[:, :1, :1])
    for scale in range(amplitudes.shape[0]):
        step = draws.shape[1] >> scale
        old, new = slice(None, None, step), slice(step // 2, None, step)
        cells = stored(_finer(cells, draws[:, old, new], draws[:, new, old], draws[:, new, new], amplitudes[scale]))
    low, high = cells.amin((1, 2), keepdim=True), cells.amax((1, 2), keepdim=True)
    thickness = (cells[:, : images.shape[1], : images.shape[2]] - low) / (high - low)
    brightest = divide(images.amax((1, 2, 3)).double(), 255)
    share = (brightest / (brightest + amount)).float().view(-1, 1, 1, 1)
    veil = thickness[..., None] * (share * (255 * amount).float())
    return (images * share + veil).clamp(0, 255).to(torch.uint8)


def _finer(corners: Tensor, across: Tensor, down: Tensor, both: Tensor, amplitude: Tensor) -> Tensor:
    """Put cells between those of a torus: to their right, below them, and amid four of them, each with its draw."""
    side = corners.shape[1]
    here = torch.arange(side, device=corners.device)
    after, before = (here + 1) % side, (here - 1) % side
    pairs = corners + corners[:, after]
    middles = (pairs + pairs[:, :, after]) / 4 + both * amplitude
    right = ((middles + middles[:, before]) + (corners + corners[:, :, after])) / 4 + across * amplitude
    below = ((middles + middles[:, :, before]) + pairs) / 4 + down * amplitude
    # Not a stack, whose parts the compiler would store one by one.
    place = torch.arange(2 * side, device=corners.device)
    half, is_new = place // 2, place % 2 == 1
    corners, right, below, middles = (x[:, half][:, :, half] for x in (corners, right, below, middles))
    return torch.where(is_new[:, None], torch.where(is_new, middles, below), torch.where(is_new, right, corners))


def fog_in_graph(images: Tensor, draws: Tensor, amplitudes: Floats, amount: float) -> Tensor:
    """Graph of `ppbench.corruptions.weather.fogged`: 1 kernel for each scale of the cloud, and 2 or 3."""
    return _fog(images, draws, uploaded(amplitudes, images.device), numbers(amount, device=images.device))


@graph("n p n n -")
def _add_frost(images: Tensor, pixels: Tensor, starts: Tensor, widths: Tensor, weights: Tensor) -> Tensor:
    image_weight, frost_weight = weights.unbind()
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[1:3])
    places = starts.view(-1, 1, 1) + rows[:, None] * widths.view(-1, 1, 1) + columns
    return (images.double() * image_weight + pixels[places].double() * frost_weight).clamp(0, 255).to(torch.uint8)


def add_frost_in_graph(
    images: Tensor, pixels: Tensor, starts: Tensor, widths: Tensor, image_weight: float, frost_weight: float
) -> Tensor:
    """Graph of `ppbench.corruptions.weather.add_frost`: 1 kernel."""
    weights = numbers(image_weight, frost_weight, device=images.device)
    return _add_frost(images.contiguous(), pixels, starts, widths, weights)


@graph("n l - - - - - - n nt t")
def _snow(
    images: Tensor, layer: Tensor, top: Tensor, down: Tensor, left: Tensor, right: Tensor, lengths: Tensor,
    constants: Tensor, counts: Tensor, offsets: Tensor, weights: Tensor, *, whole: bool,
) -> Tensor:  # fmt: skip
    size, pitch, highest, widest = lengths.unbind()
    mean, std, threshold, image_weight, rest = constants.unbind()
    image = torch.arange(images.shape[0], device=images.device)[:, None, None] * size
    place = image + (top * pitch)[:, None] + left
    below, beyond = down[:, None], right
    before = layer[place] + (layer[place + pitch] - layer[place]) * below
    after = layer[place + 1] + (layer[place + pitch + 1] - layer[place + 1]) * below
    levels = (before + (after - before) * beyond) * std + mean
    levels = torch.where(levels < threshold, 0, levels).clamp(0, 1) * 255
    flakes = (levels.floor() if whole else levels)[..., None]
    height, width = images.shape[1:3]
    fallen = dragged(flakes, offsets, counts, weights, highest, widest)[:, :height, :width].float()
    x = divide(images.expand(-1, -1, -1, 3).float(), 255)
    red, green, blue = x.double().unbind(3)
    grey = (red * RED_SHARE + (green * GREEN_SHARE).float()).float()
    grey = (blue * BLUE_SHARE + grey).float()
    x = x * image_weight + torch.maximum(x, (grey * 1.5 + 0.5)[..., None]) * rest
    fallen = divide((fallen * 257 + 0.5).floor(), 257).floor() if whole else fallen.round()
    snow = divide(fallen.double(), 255)
    return ((x + snow + snow.flip(1, 2)).clamp(0, 1) * 255).to(torch.uint8)


class Layer:
    """The draws for flakes, and where they are read."""

    def __init__(self, draws: Tensor, down: Places, across: Places) -> None:
        self.draws, self.down, self.across = draws, down, across
        """``draws``: ``(n, h, w)`` float32; ``down`` and ``across``: places among its rows and columns."""


@lru_cache(maxsize=64)
def _longer(before: bytes, weight: bytes, wanted: int) -> Places:
    """Return places that go on until there are as many as wanted."""
    places, weights = np.frombuffer(before, np.int64), np.frombuffer(weight, np.float32)
    more = wanted - len(places)
    return Places(np.pad(places, (0, more), mode="edge"), np.pad(weights, (0, more), mode="edge"))


def snow_in_graph(images: Tensor, layer: Layer, angle: Tensor, constants: Snow, whole: bool) -> Tensor:
    """Graph of `ppbench.corruptions.weather.fall`: 3 kernels."""
    device, draws = images.device, layer.draws
    sides = len(layer.down.before), len(layer.across.before)
    offsets = trail_offsets(angle, 2 * int(constants.radius) + 1)
    counts = trail_counts(offsets, *sides, not whole)
    weights = table_of_doubles(tuple(trail_weights(int(constants.radius), float(constants.sigma)).tolist()))
    # Enlarged layers may be larger than the image, by less than the factor of the enlargement.
    more = 0 if whole else 8 * math.ceil(constants.zoom / 8)
    lines: list[NDArray[Any]] = []
    for places, side in zip((layer.down, layer.across), images.shape[1:3], strict=True):
        lines += _longer(places.before.tobytes(), places.weight.tobytes(), side + more)
    lengths = numbers(draws[0].numel(), draws.shape[2], *sides, device=device, dtype=torch.int64)
    weight = float(constants.image_weight)
    values = (float(constants.mean), float(constants.std), float(constants.threshold), weight, 1 - weight)
    return _snow(
        images, draws.reshape(-1), *(uploaded(line, device) for line in lines), lengths,
        numbers(*values, device=device, dtype=torch.float32), sent(counts, device), sent(offsets, device),
        uploaded(weights, device), whole=whole,
    )  # fmt: skip
