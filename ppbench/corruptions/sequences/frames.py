"""The frames of each perturbation. Images and frames are uint8 ``(n, H, W, C)``; see `Job`.

Each function yields the frames that were asked for, in order. Results are truncated to whole levels unless it says
otherwise, as in the published scripts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions import noise
from ppbench.corruptions.axes import margins
from ppbench.corruptions.blur import trail_levels
from ppbench.corruptions.colour import luma, shift_hsv
from ppbench.corruptions.constants import Noise, Shot
from ppbench.corruptions.filters import trail
from ppbench.corruptions.levels import Ties, divide
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import RECIPES, Recipe
from ppbench.corruptions.sequences.recipes import SequenceRecipe
from ppbench.corruptions.spatter import WATER, brighten, shine, smooth_liquid
from ppbench.corruptions.taps import gaussian_weights, trail_counts, trail_weights
from ppbench.corruptions.types import Indices
from ppbench.corruptions.uploads import uploaded
from ppbench.corruptions.views import Affine, Window, read_affine, read_tilted, turned_back
from ppbench.corruptions.weather import add_snow, cut_flakes, enlarge_middle


class Job(NamedTuple):
    """What the frames of some images are made from."""

    images: Tensor
    """``(n, H, W, C)`` uint8: whole images for `GEOMETRY`, otherwise what `window` cuts from them."""
    window: Window
    """The part of the images that becomes a frame."""
    wanted: Sequence[int]
    """Numbers of the frames, ascending."""
    recipe: SequenceRecipe
    difficulty: int
    draws: Draws
    """Draws for the whole sequence."""
    draws_of: Callable[[int], Draws]
    """Draws for one frame, so that a frame does not depend on which others are made."""


Frames = Callable[[Job], Iterator[Tensor]]


def gaussian_noise_frames(job: Job) -> Iterator[Tensor]:
    """Add normal noise. Draws: ``noise`` (n, frames - 1, H, W, C), standard normal; the first frame has none."""
    k = Noise(job.recipe.noise[job.difficulty - 1])
    return _noisy(job, lambda draws: noise.gaussian_noise(job.images, k, _ANY, draws))


def speckle_noise_frames(job: Job) -> Iterator[Tensor]:
    """Add normal noise in proportion to the value. Draws as for gaussian_noise."""
    k = Noise(job.recipe.speckle[job.difficulty - 1])
    return _noisy(job, lambda draws: noise.speckle_noise(job.images, k, _ANY, draws))


def shot_noise_frames(job: Job) -> Iterator[Tensor]:
    """Count photons. Draws: ``photons`` (n, frames - 1, H, W, C), Poisson counts; the first frame has none."""
    k = Shot(job.recipe.photons[job.difficulty - 1])
    return _noisy(job, lambda draws: noise.shot_noise(job.images, k, _ANY, draws))


_ANY: Recipe = RECIPES["imagenet-c"]
"""For functions that are the same in all recipes."""


def _noisy(job: Job, made_by: Callable[[Draws], Tensor]) -> Iterator[Tensor]:
    """Yield the clean frame, then frames that differ from it independently."""
    for number in job.wanted:
        yield made_by(job.draws_of(number)) if number else job.images


# With half a step added, a flat area lies above its whole level, and rounding cannot push it below.
_NO_TIES = Ties(np.arange(256, dtype=np.uint8), 0.0)


def motion_blur_frames(job: Job) -> Iterator[Tensor]:
    """Average each pixel with those ahead of it, in a direction that turns from frame to frame."""
    radius, sigma = job.recipe.motion
    start, step = job.recipe.motion_angle
    weights = trail_weights(radius, sigma).astype(np.float32)
    for number in job.wanted:
        offsets = turning_offsets(start + step * number, 2 * radius + 1, len(job.images))
        counts = trail_counts(offsets, job.images.shape[1], job.images.shape[2], False)
        # Half of a 16-bit step, of which there are 257 to a level: the original rounds to 16 bits, then truncates.
        yield trail_levels(job.images, offsets, counts, weights, 1 / 514, _NO_TIES)


def turning_offsets(degrees: float, length: int, images: int) -> Indices:
    """Return the offsets (down, right) of the pixels of a trail, the same for all images: ``(images, length, 2)``.

    The original divides by the length of the line, and so must this: at 30 and 150 degrees an offset is half a pixel,
    and the plain sine falls on the other side of it.
    """
    turn = math.radians(degrees)
    down, right = length * math.sin(turn), length * math.cos(turn)
    far = math.hypot(down, right)
    ahead = [(math.ceil(i * down / far - 0.5), math.ceil(i * right / far - 0.5)) for i in range(length)]
    return np.repeat(np.array(ahead, np.int64)[None], images, axis=0)


def zoom_blur_frames(job: Job) -> Iterator[Tensor]:
    """Average the image and more and more enlargements of its middle, each 0.4 % larger than the one before.

    The sum is in float32 and in the original's order: flat areas come out up to a level darker, as they do there.
    """
    first = job.window.cut(job.images)
    total = divide(first.float(), 255)
    for number in range(max(job.wanted) + 1):
        if number:
            larger = read_affine(job.images, turned_back(factor=1 + 0.004 * number), job.window)
            total = total + divide(larger.float(), 255)
        if number == 0 and number in job.wanted:
            yield first
        elif number in job.wanted:
            yield (divide(total, number + 1) * 255).clamp(0, 255).to(torch.uint8)


def snow_frames(job: Job) -> Iterator[Tensor]:
    """Put flakes before a lightened image, whose trails turn from frame to frame. No frame is clean.

    Draws: ``layer`` (n, H, W), standard normal, as for the corruption snow.
    """
    k = job.recipe.flakes
    height, width, channels = job.images.shape[1:]
    layer = enlarge_middle(job.draws, height, width, k.zoom, True)
    flakes = cut_flakes(layer, 0.05, k.std, 0.5, True)[..., None]
    weights = trail_weights(k.radius, k.sigma).astype(np.float32)
    for number in job.wanted:
        offsets = turning_offsets(4 * number - 150, 2 * k.radius + 1, len(job.images))
        counts = trail_counts(offsets, height, width, False)
        fallen = trail(flakes, offsets, counts, weights)[..., 0]
        snowed = add_snow(job.images.expand(-1, -1, -1, 3), fallen, 0.85, False)
        # The channels of a grey image stay equal.
        yield snowed if channels == 3 else snowed[..., :1].contiguous()


def brightness_frames(job: Job) -> Iterator[Tensor]:
    """Change the value V of HSV from frame to frame; the middle frame is clean."""
    start, step = job.recipe.raised
    colours = job.images.expand(-1, -1, -1, 3).contiguous()
    for number in job.wanted:
        # From the middle, where it is exactly 0: the sum of decimals might not be.
        raised = step * (number + round(start / step))
        yield shift_hsv(colours, 1.0, 0.0, raised)[..., : job.images.shape[3]]


def translate_frames(job: Job) -> Iterator[Tensor]:
    """Move the image by a pixel to the right from frame to frame; black comes in where it ends."""
    width = job.images.shape[2]
    for number in job.wanted:
        first = job.window.left - (number - job.recipe.shift)
        source = torch.arange(first, first + job.window.width, device=job.images.device)
        inside = (source >= 0) & (source < width)
        rows = job.images[:, job.window.top : job.window.top + job.window.height]
        yield rows.index_select(2, source.clamp(0, width - 1)) * inside[:, None]


def rotate_frames(job: Job) -> Iterator[Tensor]:
    """Turn the image clockwise by a degree from frame to frame."""
    return _mapped(job, lambda number: turned_back(degrees=number - 15))


def shear_frames(job: Job) -> Iterator[Tensor]:
    """Shear the image by a degree more from frame to frame."""
    return _mapped(job, lambda number: turned_back(shear=number - 15))


def scale_frames(job: Job) -> Iterator[Tensor]:
    """Enlarge the image from frame to frame; small ones are surrounded by black."""
    start, step = job.recipe.factor
    return _mapped(job, lambda number: turned_back(factor=start + step * number))


def _mapped(job: Job, matrix: Callable[[int], Affine]) -> Iterator[Tensor]:
    for number in job.wanted:
        yield read_affine(job.images, matrix(number), job.window)


def tilt_frames(job: Job) -> Iterator[Tensor]:
    """Turn the image about both its axes in space; rounded to whole levels."""
    start, step = job.recipe.tilt
    for number in job.wanted:
        yield read_tilted(job.images, start + step * number, job.window)


def gaussian_blur_frames(job: Job) -> Iterator[Tensor]:
    """Blur with a Gaussian that widens from frame to frame. Beyond the border the edge pixel is repeated."""
    start, step = job.recipe.blur
    x = divide(job.images.double(), 255)
    for number in job.wanted:
        weights = gaussian_weights(start + step * number, job.recipe.cut_off).tolist()
        yield (_smooth_axis(_smooth_axis(x, 1, weights), 2, weights) * 255).to(torch.uint8)


def _smooth_axis(x: Tensor, axis: int, weights: Sequence[float]) -> Tensor:
    """Smooth an axis in scipy's order: the centre first, then pairs from the outside in.

    The first Gaussians are so narrow that one sum in two hundred is a whole level up to rounding, and truncation makes
    the order visible.
    """
    radius, side = len(weights) - 1, x.shape[axis]
    padded = x.index_select(axis, uploaded(margins(side, radius, "nearest"), x.device))
    total = x * weights[0]
    for k in range(radius, 0, -1):
        total = total + (padded.narrow(axis, radius - k, side) + padded.narrow(axis, radius + k, side)) * weights[k]
    return total


def spatter_frames(job: Job) -> Iterator[Tensor]:
    """Let water flow down the lens. Draws: ``layer`` (n, H, W), standard normal.

    Where no water is left, the published scripts divide 0 by 0: the frame is black, and all later ones are. So are
    these, since published flip rates contain them (a sixth of the sequences at 32 px, none at 224 px).
    """
    k = job.recipe.flow
    height, width, channels = job.images.shape[1:]
    colours = job.images.expand(-1, -1, -1, 3).contiguous()
    layer = smooth_liquid(job.draws.normal("layer", height, width).double() * k.std + k.mean, k.sigma)
    layer = torch.where(layer < k.threshold, 0, layer)
    for number in range(max(job.wanted) + 1):
        layer = flowed(layer, k.kernel) if number else layer
        if number in job.wanted:
            levels = (layer * 255).to(torch.int32).to(torch.uint8)  # wraps around at 256, as in the scripts
            light = shine(levels)
            is_wet = (levels.int() * light).amax((1, 2)) > 0
            frame = brighten(colours, levels, light, 0.6, WATER) * is_wet.view(-1, 1, 1, 1)
            yield frame if channels == 3 else luma(frame)


def flowed(layer: Tensor, kernel: Sequence[float]) -> Tensor:
    """Move water ``(n, H, W)`` down; ``kernel``: weights of the pixel below, the same, one and two above."""
    height = layer.shape[1]
    padded = torch.nn.functional.pad(layer, (0, 0, 2, 1))
    return sum((padded[:, 3 - k : 3 - k + height] * weight for k, weight in enumerate(kernel)), torch.zeros_like(layer))


MAKERS: dict[str, Frames] = {
    "gaussian_noise": gaussian_noise_frames,
    "shot_noise": shot_noise_frames,
    "motion_blur": motion_blur_frames,
    "zoom_blur": zoom_blur_frames,
    "snow": snow_frames,
    "brightness": brightness_frames,
    "translate": translate_frames,
    "rotate": rotate_frames,
    "tilt": tilt_frames,
    "scale": scale_frames,
    "speckle_noise": speckle_noise_frames,
    "gaussian_blur": gaussian_blur_frames,
    "spatter": spatter_frames,
    "shear": shear_frames,
}
