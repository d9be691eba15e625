"""Stars: sparkles, inverse_sparkles.

A star has rays in equal angles, of random lengths; between two rays its edge is interpolated. Light falls with the
square of the distance in units of that length. Images are ``(n, H, W, C)`` uint8; lengths are in pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ppbench.corruptions.bar.draws import column, grid, spread, table, truncated, whole
from ppbench.corruptions.dispatch import on_cpu
from ppbench.corruptions.kernels import bar_stars as kernels
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.strengths import Strength

_STARS = 5
_MOST_RAYS = 199
_SPREAD = 0.25
"""Standard deviation of the rays' lengths, as a fraction of their mean."""


def sparkles(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Put five white stars on the image, one after another, with a radius of s % of the shorter side.

    Draws: ``centres`` (n, 5, 2), row and column; ``rays`` (n, 5), 50 to 199; ``ray_noise`` (n, 5, 199 or as many as
    rays), standard normal.
    """
    centres = spread(draws, images, "centres", 0, 1, _STARS)
    rays = whole(draws, images, "rays", 50, _MOST_RAYS + 1, _STARS)
    radius = 0.01 * k.value * min(images.shape[1:3])
    lengths = (radius + _SPREAD * radius * _ray_noise(images, draws, rays)).clamp(min=1)
    return add_stars(images, centres, rays, lengths)


def inverse_sparkles(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Turn the image white outside a star with a radius of a quarter of the shorter side.

    Draws: ``centre`` (n, 2), row and column; ``rays`` (n,), 50 to 199; ``ray_noise`` (n, 199 or as many as rays),
    standard normal.
    """
    centre = spread(draws, images, "centre", 0.25, 0.75)
    rays = whole(draws, images, "rays", 50, _MOST_RAYS + 1)
    radius = min(images.shape[1:3]) / 4
    lengths = radius + _SPREAD * radius * _ray_noise(images, draws, rays)
    return whiten_outside(images, centre, rays, lengths, 0.13 * k.value)


def _ray_noise(images: Tensor, draws: Draws, rays: Tensor) -> Tensor:
    """Return float64 standard normal numbers, at least one for each of a star's rays."""
    lead = rays.shape[1:]
    given = table(draws, "ray_noise", *lead, int(rays.max()) if draws.given_shape("ray_noise") else _MOST_RAYS)
    noise = draws.normal("ray_noise", *lead, _MOST_RAYS) if given is None else given
    return noise.double()


@on_cpu(kernels.add_stars)
def add_stars(images: Tensor, centres: Tensor, rays: Tensor, lengths: Tensor) -> Tensor:
    """Blend stars towards white: centres ``(n, stars, 2)``, rays ``(n, stars)``, lengths ``(n, stars, rays)``."""
    made = images.float()
    for star in range(rays.shape[1]):
        square, shape = _star(images, centres[:, star], rays[:, star], lengths[:, star])
        light = (shape * square).clamp(0, 1)[..., None]
        made = (made + light * (255 - made).double()).float()
    return truncated(made)


@on_cpu(kernels.whiten_outside)
def whiten_outside(images: Tensor, centre: Tensor, rays: Tensor, lengths: Tensor, exponent: float) -> Tensor:
    """Blend towards white outside a star: centre ``(n, 2)``, rays ``(n,)``, lengths ``(n, rays)``."""
    square, shape = _star(images, centre, rays, lengths)
    kept = (shape * square**exponent).clamp(0, 1)[..., None]
    return truncated(255 + kept * (images - 255.0))


def _star(images: Tensor, centre: Tensor, rays: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared ratio of length and distance, and 1 between two rays, 3/4 on them; both ``(n, H, W)``."""
    rows, columns = grid(images)
    y, x = rows - column(centre[:, 0]), columns - column(centre[:, 1])
    turns = (torch.atan2(x, y) + torch.pi) / (2 * torch.pi) * column(rays)
    i = turns.floor()
    f = turns - i
    image = torch.arange(len(rays), device=images.device).view(-1, 1, 1)
    before, after = (lengths[image, (i.long() + step) % column(rays)] for step in (0, 1))
    length = before + f * (after - before)
    return length * length / (x * x + y * y + 1e-4), 1 - (f - 0.5) * (f - 0.5)
