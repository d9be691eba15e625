"""Pointwise changes of colour: brightness, saturate, contrast; and the luma of a colour.

Ties are common here: grey pixels, black, white and round constants give values that are whole numbers up to the
rounding of float64, and truncation turns that rounding into a level. Therefore everything is computed in float64, in
the references' order.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions import constants as c
from ppbench.corruptions.dispatch import on_cpu, on_cuda
from ppbench.corruptions.fused.colour_graphs import scale_around_mean_in_graph, shift_hsv_in_graph
from ppbench.corruptions.fused.graphs import in_graph
from ppbench.corruptions.kernels import colour as kernels
from ppbench.corruptions.levels import divide
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.types import Doubles, Pixels
from ppbench.corruptions.uploads import uploaded


def brightness(images: Tensor, k: c.Brightness, recipe: Recipe, draws: Draws) -> Tensor:
    """Add to the value V of HSV."""
    return _shift_hsv_or_grey(images, 1.0, 0.0, k.added)


def saturate(images: Tensor, k: c.Saturate, recipe: Recipe, draws: Draws) -> Tensor:
    """Scale the saturation S of HSV and add to it.

    Grey has the hue of red, so adding makes it reddish. Grey images keep the luma of the result.
    """
    return _shift_hsv_or_grey(images, float(k.factor), float(k.added), 0.0)


def _shift_hsv_or_grey(images: Tensor, factor: float, added: float, raised: float) -> Tensor:
    if images.shape[3] == 3:
        return shift_hsv(images, factor, added, raised)
    return uploaded(_shifted_greys(factor, added, raised), images.device)[images.long()]


@lru_cache(maxsize=64)
def _shifted_greys(factor: float, added: float, raised: float) -> Pixels:
    """Return the new level of each of the 256 greys in a grey image: ``(256,)`` uint8."""
    greys = torch.arange(256, dtype=torch.uint8).view(1, 1, 256, 1).repeat(1, 1, 1, 3)
    return luma(shift_hsv(greys, factor, added, raised)).flatten().numpy()


def luma(images: Tensor) -> Tensor:
    """Return grey versions ``(n, H, W, 1)`` uint8 of ``(n, H, W, 3)`` uint8 by ITU-R 601, rounded."""
    red, green, blue = images.int().unbind(3)
    return ((299 * red + 587 * green + 114 * blue + 500) // 1000).to(torch.uint8)[..., None]


_PLACES = np.array([(0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
"""For each sixth of the colour circle, from red: whether R, G and B are the largest, the middle or the smallest."""


@in_graph(shift_hsv_in_graph)
@on_cpu(kernels.shift_hsv)
def shift_hsv(images: Tensor, factor: float, added: float, raised: float) -> Tensor:
    """Change saturation and value: ``S * factor + added`` and ``V + raised``, both clipped to 0..1.

    The result is bit-equal to that of `skimage.color.rgb2hsv` and `hsv2rgb`, truncated at the end.

    Args:
        images: ``(n, H, W, 3)`` uint8.
        factor: Factor of the saturation.
        added: Added to the saturation.
        raised: Added to the value.
    """
    rgb = divide(images.double(), 255)
    red, green, blue = rgb.unbind(3)
    value = rgb.amax(3)
    spread = value - rgb.amin(3)
    # The order of scikit-image: where two channels are the largest, the later assignment counts. Grey gives 0 / 0 here
    # and is replaced at the end.
    hue = (green - blue) / spread
    hue = torch.where(green == value, 2 + (blue - red) / spread, hue)
    hue = torch.where(blue == value, 4 + (red - green) / spread, hue)
    hue = torch.where(spread == 0, 0, divide(hue, 6) % 1)
    saturation = torch.where(spread == 0, 0, spread / value)

    saturation = (saturation * factor + added).clamp_(0, 1)
    value = (value + raised).clamp_(0, 1)

    sixth = (hue * 6).floor()
    beyond = hue * 6 - sixth
    middle = value * (1 - torch.where(sixth % 2 == 0, 1 - beyond, beyond) * saturation)
    levels = torch.stack([value, middle, value * (1 - saturation)], dim=3).clamp_(0, 1) * 255
    places = uploaded(_PLACES, images.device)[sixth.long()]
    return levels.to(torch.uint8).gather(3, places)


def contrast(images: Tensor, k: c.Contrast, recipe: Recipe, draws: Draws) -> Tensor:
    """Bring values nearer to the mean of their channel in their image."""
    return scale_around_mean(images, k.factor)


def _scaled_in_graph(images: Tensor, factor: float) -> Tensor:
    count = images.shape[1] * images.shape[2]
    return scale_around_mean_in_graph(images, factor, _means(images) if count <= _SMALL else _flat_means(count))


@in_graph(_scaled_in_graph)
@on_cpu(kernels.scale_around_mean)
def scale_around_mean(images: Tensor, factor: float) -> Tensor:
    """Compute ``(x - mean) * factor + mean``, with the mean of each channel of each image."""
    mean = _means(images)
    return (((divide(images.double(), 255) - mean) * factor + mean).clamp_(0, 1) * 255).to(torch.uint8)


_SMALL = 64 * 64
"""Pixels up to which pixels are added one after another."""


def _means(images: Tensor) -> Tensor:
    """Return the mean of each channel in fractions of white: ``(n, 1, 1, C)`` float64.

    The references add fractions pixel after pixel, and the last digit of their mean decides ties. The kernel always
    does the same. This function does it only for small images: 7 of 2,000 pieces of photographs of 32 x 32 px had ties.
    For larger images the mean is exact, except in channels of a single level, in which every pixel is a tie.
    """
    count = images.shape[1] * images.shape[2]
    if count <= _SMALL:
        return divide(sums_in_order(images), count)[:, None, None]
    exact = divide(images.sum((1, 2), keepdim=True).double(), 255 * count)
    flat = uploaded(_flat_means(count), images.device)[images[:, :1, :1].long()]
    return torch.where(images.amin((1, 2), keepdim=True) == images.amax((1, 2), keepdim=True), flat, exact)


@on_cuda("colour")
def sums_in_order(images: Tensor) -> Tensor:
    """Return the sum of each channel in fractions of white, pixel after pixel: ``(n, C)`` float64."""
    fractions = divide(images.double(), 255).flatten(1, 2)
    total = torch.zeros_like(fractions[:, 0])
    for pixels in fractions.unbind(1):  # not cumsum, which adds in another order on GPUs
        total += pixels
    return total


@lru_cache(maxsize=16)
def _flat_means(count: int) -> Doubles:
    """Return the mean of ``count`` equal fractions v/255, for each v, added one after another as numpy does it."""
    return np.broadcast_to(np.arange(256) / 255, (count, 256)).mean(axis=0)
