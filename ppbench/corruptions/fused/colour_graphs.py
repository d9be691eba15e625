"""Graphs of brightness, saturate and contrast, in float64 as their definitions."""

from __future__ import annotations

import torch
from torch import Tensor

from ppbench.corruptions.fused.graphs import INLINED, graph
from ppbench.corruptions.levels import divide
from ppbench.corruptions.types import Doubles
from ppbench.corruptions.uploads import numbers, uploaded


@graph("n -", **INLINED)
def _shift_hsv(images: Tensor, constants: Tensor) -> Tensor:
    factor, added, raised = constants.unbind()
    red, green, blue = divide(images.double(), 255).unbind(3)
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    hue = (green - blue) / spread
    hue = torch.where(green == value, 2 + (blue - red) / spread, hue)
    hue = torch.where(blue == value, 4 + (red - green) / spread, hue)
    hue = torch.where(spread == 0, 0, divide(hue, 6) % 1)
    saturation = torch.where(spread == 0, 0, spread / value)
    saturation, value = (saturation * factor + added).clamp(0, 1), (value + raised).clamp(0, 1)
    sixth = (hue * 6).floor()
    beyond = hue * 6 - sixth
    middle = value * (1 - torch.where(sixth % 2 == 0, 1 - beyond, beyond) * saturation)
    low = value * (1 - saturation)
    # Counted from a channel's own third of the colour circle, it is the largest in two sixths and the smallest in two.
    turn = (sixth[..., None] - 2 * torch.arange(3, device=images.device)) % 6
    value, middle, low = (level[..., None] for level in (value, middle, low))
    level = torch.where((turn == 2) | (turn == 3), low, middle)
    level = torch.where((turn == 0) | (turn == 5), value, level)
    return (level.clamp(0, 1) * 255).to(torch.uint8)


def shift_hsv_in_graph(images: Tensor, factor: float, added: float, raised: float) -> Tensor:
    """Graph of `ppbench.corruptions.colour.shift_hsv`: 1 kernel."""
    return _shift_hsv(images, numbers(factor, added, raised, device=images.device))


@graph("n n -")
def _scale_around(images: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
    return (((divide(images.double(), 255) - mean) * factor + mean).clamp(0, 1) * 255).to(torch.uint8)


@graph("n - -", split_reductions=False)
def _scale_around_own(images: Tensor, flat_means: Tensor, factor: Tensor) -> Tensor:
    count = images.shape[1] * images.shape[2]
    first = images[:, :1, :1].long()
    # One sum for two: of the levels, and of how many pixels differ from the first one.
    sums = (images.long() + ((images != first).long() << 40)).sum((1, 2), keepdim=True)
    exact = divide((sums & (2**40 - 1)).double(), 255 * count)
    return _scale_around.function(images, torch.where(sums >> 40 == 0, flat_means[first], exact), factor)


def scale_around_mean_in_graph(images: Tensor, factor: float, mean: Tensor | Doubles) -> Tensor:
    """Graph of `ppbench.corruptions.colour.scale_around_mean`: 2 kernels.

    Args:
        images: ``(n, H, W, C)`` uint8.
        factor: As in the definition.
        mean: The means, ``(n, 1, 1, C)`` float64, of which the caller knows the last digit; or ``(256,)``: those of
            flat channels of each level, with which the graph takes the means itself.
    """
    device = images.device
    if isinstance(mean, Tensor):
        return _scale_around(images, mean, numbers(factor, device=device))
    return _scale_around_own(images, uploaded(mean, device), numbers(factor, device=device))
