"""Waves, rings and plasma: single_frequency_greyscale, cocentric_sine_waves, plasma_noise.

Images are ``(n, H, W, C)`` uint8; everything is computed in float64 and truncated once. Lengths are in pixels, angles
in radians; n is the shorter side of the image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ppbench.corruptions.bar.draws import column, grid, parameter, truncated, whole
from ppbench.corruptions.colour import luma
from ppbench.corruptions.dispatch import on_cpu
from ppbench.corruptions.kernels import bar_fields as kernels
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.strengths import Strength
from ppbench.corruptions.uploads import numbers


def single_frequency_greyscale(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Add a plane wave of 19.6 s levels.

    Draws, each (n,): ``freq_1`` from -pi to pi; ``freq_2`` of no larger absolute value; ``order``, 0 or 1: which of the
    two is the one across, the other is the one down; ``phase``.
    """
    first = parameter(draws, images, "freq_1", -torch.pi, torch.pi)
    second = parameter(draws, images, "freq_2", -first.abs(), first.abs())
    swapped = whole(draws, images, "order", 0, 2) == 1
    phase = parameter(draws, images, "phase", 0, 2 * torch.pi)
    across, down = torch.where(swapped, second, first), torch.where(swapped, first, second)
    return add_wave(images, down, across, phase, 19.6 * k.value)


@on_cpu(kernels.add_wave)
def add_wave(images: Tensor, down: Tensor, across: Tensor, phase: Tensor, amount: float) -> Tensor:
    """Add waves with frequencies in radians per pixel, all ``(n,)``."""
    rows, columns = grid(images)
    wave = torch.sin(column(across) * columns + (column(down) * rows + column(phase)))
    return truncated(images + amount * wave[..., None])


def cocentric_sine_waves(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Add wobbly rings of 12.8 s levels, a saw-tooth from one ring to the next.

    Draws: ``centre`` (n, 2), column and row; and (n,) ``angular_freq`` below 10, ``wobble_px`` and ``ring_px`` below a
    tenth of the shorter side.
    """
    height, width = images.shape[1:3]
    sides = numbers(width, height, device=images.device)
    centre = parameter(draws, images, "centre", 0 * sides, sides, 2)
    freq = parameter(draws, images, "angular_freq", 0, 10)
    wobble = parameter(draws, images, "wobble_px", 0, min(height, width) / 10)
    ring = parameter(draws, images, "ring_px", 0, min(height, width) / 10, least=0)
    # One keyed number in 17 million is 0.
    return add_rings(images, centre, freq, wobble, ring.clamp(min=1e-9), 12.8 * k.value)


@on_cpu(kernels.add_rings)
def add_rings(images: Tensor, centre: Tensor, freq: Tensor, wobble: Tensor, ring: Tensor, amount: float) -> Tensor:
    """Add rings around ``centre`` (n, 2) (column, row); the others are ``(n,)``."""
    rows, columns = grid(images)
    x, y = columns - column(centre[:, 0]), rows - column(centre[:, 1])
    r = (x * x + y * y).sqrt() + column(wobble) * torch.sin(column(freq) * torch.atan2(x, y))
    rest = r - column(ring) * torch.floor(r / column(ring))
    return truncated(images + amount * (rest / column(ring) - 0.5)[..., None])


def plasma_noise(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Mix the image with coloured swirls of 6.4 s levels. Grey images keep the luma of the colour result.

    Draws, each (n,): ``time`` from 0 to 6 pi; ``iterations`` 4, 5 or 6; ``sharpness`` 0.5 to 1; ``scale_px``.
    """
    if images.shape[3] == 1:
        return luma(plasma_noise(images.expand(-1, -1, -1, 3).contiguous(), k, recipe, draws))
    side = min(images.shape[1:3])
    time = parameter(draws, images, "time", 0, 6 * torch.pi)
    iterations = whole(draws, images, "iterations", 4, 7)
    sharpness = parameter(draws, images, "sharpness", 0.5, 1)
    scale = parameter(draws, images, "scale_px", 0.075 * side, 0.2 * side, least=0.1)
    return mix_plasma(images, time, iterations, sharpness, scale, 6.4 * k.value)


@on_cpu(kernels.mix_plasma)
def mix_plasma(
    images: Tensor, time: Tensor, iterations: Tensor, sharpness: Tensor, scale: Tensor, amount: float
) -> Tensor:
    """Mix ``(n, H, W, 3)`` with swirls; all tensors of parameters are ``(n,)``."""
    rows, columns = grid(images)
    t, c = column(time), torch.ones_like(column(time))
    u, v = torch.broadcast_tensors(columns / column(scale), rows / column(scale))
    a = b = 1.0
    for number in range(6):  # so many at most
        p, q = torch.cos(v * a + t / b) * (1 / c), torch.sin(u * a + t / b) * (1 / c)
        more = column(iterations) > number
        u, v = torch.where(more, u + (p - 0.3 * q), u), torch.where(more, v + (q + 0.3 * p), v)
        a, b, c = a * 1.93, b * 1.15, c * (2.25 - column(sharpness))
    colours = torch.stack([torch.sin(u - t), torch.sin((u + v + torch.sin(t)) / 2), torch.sin(v + t)], dim=3)
    return truncated((1 - amount / 255) * images.double() + amount * colours)
