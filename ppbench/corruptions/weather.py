"""Weather: fog, frost, snow.

Images are ``(n, H, W, C)`` uint8; results are truncated to whole levels, not rounded, as everywhere in ImageNet-C.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions import constants as c
from ppbench.corruptions.axes import Places, zoomed_axis
from ppbench.corruptions.colour import luma
from ppbench.corruptions.dispatch import on_cpu
from ppbench.corruptions.filters import motion_filter, resample
from ppbench.corruptions.fused.graphs import in_graph
from ppbench.corruptions.fused.weather_graphs import Layer, add_frost_in_graph, fog_in_graph, snow_in_graph
from ppbench.corruptions.kernels import weather as kernels
from ppbench.corruptions.levels import divide
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.scale import coarse, enlarged
from ppbench.corruptions.textures import frost_sizes, frost_textures
from ppbench.corruptions.types import Floats
from ppbench.corruptions.uploads import sent


def fog(images: Tensor, k: c.Fog, recipe: Recipe, draws: Draws) -> Tensor:
    """Put a cloud before the image. Draws: ``map`` (n, S, S), uniform on [-1, 1), with S from `cloud_side`."""
    height, width = images.shape[1:3]
    # Draws may be handed in as float64; the cloud is computed in float32, as its kernel does.
    side = cloud_side(height, width)
    drawn = draws.between("map", -1, 1, side, side).float()
    return fogged(images, drawn, _amplitudes(side, k.decay), float(k.amount))


@in_graph(fog_in_graph)
def fogged(images: Tensor, draws: Tensor, amplitudes: Floats, amount: float) -> Tensor:
    """Make a `cloud`, and put it before the image (`add_fog`)."""
    return add_fog(images, cloud(draws, amplitudes, *images.shape[1:3]), amount)


def cloud_side(height: int, width: int) -> int:
    """Return the side of the cloud that covers an image: the next power of two."""
    return 1 << (max(height, width) - 1).bit_length()


@lru_cache(maxsize=64)
def _amplitudes(side: int, decay: float) -> Floats:
    """Return the factors of the draws, from the coarsest scale to the finest.

    The scripts draw within ±100 at first and multiply by 100 once more; both numbers are divided by ``decay`` from one
    scale to the next.
    """
    scales = np.arange(side.bit_length() - 1)
    return ((100 / decay**scales) ** 2).astype(np.float32)


@on_cpu(kernels.cloud)
def cloud(draws: Tensor, amplitudes: Floats, height: int, width: int) -> Tensor:
    """Make a fractal cloud by the diamond-square method, on a torus, scaled to 0..1 over the whole torus.

    Args:
        draws: ``(n, S, S)`` float32 in [-1, 1), S a power of two: the number added to each cell when it is made. The
            draw of cell (0, 0) is not used.
        amplitudes: ``(log2 S,)``: factors of the draws, scale by scale.
        height: Rows to return.
        width: Columns to return.

    Returns:
        ``(n, height, width)`` float32: the upper left part.
    """
    cells = torch.zeros_like(draws)
    for scale, amplitude in enumerate(amplitudes.tolist()):
        step = draws.shape[1] >> scale
        old, new = slice(None, None, step), slice(step // 2, None, step)
        corners = cells[:, old, old]
        # Sums of two corners are made once and used twice, in one order, so that the kernel rounds alike.
        pairs = corners + corners.roll(-1, 1)
        middles = (pairs + pairs.roll(-1, 2)) / 4 + draws[:, new, new] * amplitude
        across = (middles + middles.roll(1, 1)) + (corners + corners.roll(-1, 2))
        down = (middles + middles.roll(1, 2)) + pairs
        cells[:, new, new] = middles
        cells[:, old, new] = across / 4 + draws[:, old, new] * amplitude
        cells[:, new, old] = down / 4 + draws[:, new, old] * amplitude
    low, high = cells.amin((1, 2), keepdim=True), cells.amax((1, 2), keepdim=True)
    return (cells[:, :height, :width] - low) / (high - low)


@on_cpu(kernels.add_fog)
def add_fog(images: Tensor, thickness: Tensor, amount: float) -> Tensor:
    """Add fog to all channels alike, and darken so that no value exceeds the image's brightest value.

    Args:
        images: ``(n, H, W, C)`` uint8.
        thickness: ``(n, H, W)`` float32, 0 to 1.
        amount: Fog at the thickest place, in fractions of white.
    """
    brightest = divide(images.amax((1, 2, 3)).double(), 255)
    # (x + amount * thickness) * brightest / (brightest + amount), with one division per image.
    share = (brightest / (brightest + amount)).float().view(-1, 1, 1, 1)
    veil = thickness[..., None] * (share * (255 * amount))
    return (images * share + veil).clamp_(0, 255).to(torch.uint8)


def frost(images: Tensor, k: c.Frost, recipe: Recipe, draws: Draws) -> Tensor:
    """Add a part of a photograph of ice. Grey images keep the luma of the result.

    Draws: ``texture`` (n,), the number of the photograph, and ``row`` and ``column`` (n,), the upper left corner of the
    part. As in the references, the last possible row and column are never drawn.
    """
    height, width = coarse(images.shape[1], images.shape[2], draws.scale)
    texture = draws.integers("texture", recipe.frost_textures)
    heights, widths = frost_sizes(recipe, height, width)[:, texture]
    row, column = draws.integers("row", heights - height), draws.integers("column", widths - width)
    ice = frost_textures(recipe, height, width, texture, images.device)
    starts, widths = (sent(x, images.device) for x in (ice.first[texture] + row * widths + column, widths))
    pixels = ice.pixels
    if draws.scale != 1:
        pixels, starts, widths = _enlarged_parts(pixels, starts, widths, images, draws.scale)
    weights = float(k.image_weight), float(k.frost_weight)
    frosted = add_frost(images.expand(-1, -1, -1, 3), pixels, starts, widths, *weights)
    return frosted if images.shape[3] == 3 else luma(frosted)


def _enlarged_parts(
    pixels: Tensor, starts: Tensor, widths: Tensor, images: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Enlarge the parts of textures that cover images; return pixels, starts and widths for `add_frost`."""
    n, height, width = images.shape[:3]
    rows, columns = (torch.arange(side, device=images.device) for side in coarse(height, width, scale))
    parts = pixels[starts.view(-1, 1, 1) + rows[:, None] * widths.view(-1, 1, 1) + columns]
    grown = enlarged(parts, height, width, scale).round().to(torch.uint8).reshape(-1, 3)
    return grown, torch.arange(n, device=images.device) * (height * width), torch.full_like(widths, width)


@in_graph(add_frost_in_graph)
@on_cpu(kernels.add_frost)
def add_frost(
    images: Tensor, pixels: Tensor, starts: Tensor, widths: Tensor, image_weight: float, frost_weight: float
) -> Tensor:
    """Return weighted sums of images and parts of textures.

    They are in float64, in the references' order: the weights are decimals, and one sum in a hundred is a whole number.

    Args:
        images: ``(n, H, W, 3)`` uint8.
        pixels: ``(P, 3)`` uint8: textures, row by row.
        starts: ``(n,)`` int64: the pixel of a texture that is added to the image's first pixel.
        widths: ``(n,)`` int64: the width of that texture.
        image_weight: Weight of the image.
        frost_weight: Weight of the texture.
    """
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[1:3])
    places = starts.view(-1, 1, 1) + rows[:, None] * widths.view(-1, 1, 1) + columns
    total = images.double() * image_weight + pixels[places].double() * frost_weight
    return total.clamp_(0, 255).to(torch.uint8)


def snow(images: Tensor, k: c.Snow, recipe: Recipe, draws: Draws) -> Tensor:
    """Put falling flakes before a lightened image.

    Draws: ``layer`` (n, H, W), standard normal; only its middle is used, and only that is drawn if it is not given.
    ``angle`` (n,), degrees.
    """
    height, width, channels = images.shape[1:]
    # The package neither trims the enlarged layer nor rounds its levels down.
    trim, zoom = not recipe.is_package, float(k.zoom)
    layer = _layer(draws, height, width, zoom, trim)
    angle = draws.between("angle", -135, -45)
    snowed = fall(images, layer, angle, k, trim)
    # The channels of a grey image stay equal: its luma, the flakes and all weights are the same for each.
    return snowed if channels == 3 else snowed[..., :1].contiguous()


def enlarge_middle(draws: Draws, height: int, width: int, zoom: float, trim: bool) -> Tensor:
    """Enlarge the middle of the draw ``layer`` as `clipped_zoom` does: ``(n, H, W)`` or a little more."""
    return _enlarged(_layer(draws, height, width, zoom, trim))


def _enlarged(layer: Layer) -> Tensor:
    return resample(layer.draws[..., None], *layer.down, *layer.across)[..., 0]


def _layer(draws: Draws, height: int, width: int, zoom: float, trim: bool) -> Layer:
    """Return the middle of the draw ``layer``, and the places at which `clipped_zoom` reads it."""
    rows, columns = _middle(height, zoom), _middle(width, zoom)
    whole = draws.given("layer", (height, width))
    if whole is None:
        layer = draws.normal("layer", rows.stop - rows.start, columns.stop - columns.start)
    else:
        layer = whole[:, rows, columns].float()
    return Layer(layer, _read_at(height, zoom, trim), _read_at(width, zoom, trim))


@in_graph(snow_in_graph)
def fall(images: Tensor, layer: Layer, angle: Tensor, k: c.Snow, whole: bool) -> Tensor:
    """Enlarge drawn numbers, make flakes of them, let them fall, and put them before the image.

    Args:
        images: ``(n, H, W, C)`` uint8.
        layer: The draws, and where they are read.
        angle: ``(n,)``: the direction in which they fall, in degrees.
        k: The constants.
        whole: Whether flakes have whole levels, and how `add_snow` rounds them.

    Returns:
        ``(n, H, W, 3)`` uint8.
    """
    height, width = images.shape[1:3]
    flakes = cut_flakes(_enlarged(layer), float(k.mean), float(k.std), float(k.threshold), whole)
    fallen = motion_filter(flakes[..., None], int(k.radius), float(k.sigma), angle, not whole)[:, :height, :width, 0]
    return add_snow(images.expand(-1, -1, -1, 3), fallen, float(k.image_weight), not whole)


def _middle(side: int, zoom: float) -> slice:
    """Return the part of an axis that fills it when enlarged."""
    crop = math.ceil(side / zoom)
    return slice((side - crop) // 2, (side - crop) // 2 + crop)


@lru_cache(maxsize=64)
def _read_at(side: int, zoom: float, trim: bool) -> Places:
    """Return where the middle of an axis is read to enlarge it, counted from its first pixel."""
    places = zoomed_axis(side, zoom, trim)
    return Places(places.before - _middle(side, zoom).start, places.weight)


@on_cpu(kernels.cut_flakes)
def cut_flakes(layer: Tensor, mean: float, std: float, threshold: float, whole: bool) -> Tensor:
    """Make flakes where ``mean + std * layer`` reaches the threshold: float32, 0 to 255, rounded down if ``whole``."""
    levels = layer * std + mean
    levels = torch.where(levels < threshold, 0, levels).clamp_(0, 1) * 255
    return levels.floor_() if whole else levels


@on_cpu(kernels.add_snow)
def add_snow(images: Tensor, fallen: Tensor, image_weight: float, rounded: bool) -> Tensor:
    """Lighten an image and add a layer of snow twice, the second time rotated by 180 degrees.

    Grey and flat pixels often give whole numbers. Sums are therefore in the references' order: the image's in float32,
    the snow's in float64.

    Args:
        images: ``(n, H, W, 3)`` uint8.
        fallen: ``(n, H, W)`` float32, levels 0 to 255.
        image_weight: Weight of the image against the larger of itself and its brighter grey version.
        rounded: Whether the layer is rounded to 8 bits; otherwise it is rounded to 16 bits, then truncated to 8.
    """
    x = divide(images.float(), 255)
    bright = _grey(x) * 1.5 + 0.5
    x = x * image_weight + torch.maximum(x, bright[..., None]) * (1 - image_weight)
    levels = fallen.round() if rounded else divide((fallen * 257 + 0.5).floor(), 257).floor()
    flakes = divide(levels[..., None].double(), 255)
    return ((x + flakes + flakes.flip(1, 2)).clamp_(0, 1) * 255).to(torch.uint8)


def _grey(x: Tensor) -> Tensor:
    """Compute luma of ``(..., 3)`` float32 as OpenCV does: green, red, blue; products unrounded, each sum rounded."""
    red, green, blue = x.double().unbind(-1)
    # A product in float64 and a sum rounded to float32 are one fused operation of OpenCV's.
    grey = (green * kernels.GREEN_SHARE).float()
    grey = (red * kernels.RED_SHARE + grey).float()
    return (blue * kernels.BLUE_SHARE + grey).float()
