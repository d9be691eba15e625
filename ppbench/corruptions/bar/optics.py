"""Images read at displaced places: caustic_refraction, pinch_and_twirl, ripple.

Images are ``(n, H, W, C)`` uint8. Pixels outside the image are black. Places are computed in float64, values read
between pixels are rounded to float32. Lengths are in pixels, angles in radians; n is the image's shorter side.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.corruptions.axes import margins
from ppbench.corruptions.bar.draws import column, grid, parameter, truncated, whole
from ppbench.corruptions.dispatch import on_cpu
from ppbench.corruptions.filters import smooth
from ppbench.corruptions.kept import kept_within
from ppbench.corruptions.kernels import bar_optics as kernels
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.strengths import Strength
from ppbench.corruptions.taps import gaussian_weights
from ppbench.corruptions.types import Doubles
from ppbench.corruptions.uploads import uploaded

_TURN = 6.28318530718
"""A whole turn, with the published code's digits."""
_LEVEL = 0.999
"""Cosine of the slope from which on the water counts as level."""
_MANY_CELLS = 85
"""Shorter side, in pixels, from which on an image has 5 x 5 twirls and not 3 x 3: midway between 32 and 224 px."""


def caustic_refraction(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Look through a wavy surface, whose slopes displace and light the image.

    Draws, each (n,): ``time``, 0.5 to 2; ``size_px``, 0.75 to 1.25 of the shorter side.
    """
    height, width = images.shape[1:3]
    side = min(height, width)
    time = parameter(draws, images, "time", 0.5, 2)
    size = parameter(draws, images, "size_px", 0.75 * side, 1.25 * side, least=1)
    weights = gaussian_weights(1.0, 4)
    radius = weights.size - 1
    places = (margins(length, radius, "reflect") for length in (height, width))
    surface = smooth(caustics(time, size, height, width)[..., None], weights, weights, *places)[..., 0]
    return refract(images, surface, 0.05 * side * k.value, 0.2 * k.value)


@on_cpu(kernels.caustics)
def caustics(time: Tensor, size: Tensor, height: int, width: int) -> Tensor:
    """Return the light on the ground of a pool, 0 to 1: float64 ``(n, height, width)``; time and size are ``(n,)``."""
    rows, columns = (torch.arange(side, device=time.device, dtype=torch.float64) for side in (height, width))
    t, length = column(time), column(size)
    py, px = ((place / length).frac() * _TURN - 250 for place in (rows[:, None], columns[None]))
    py, px = torch.broadcast_tensors(py, px)
    jy, jx, c = py, px, torch.ones_like(py)
    for m in range(5):
        u = t * (1 - 3.5 / (m + 1))
        jy, jx = py + (u - jy).cos() + (u + jx).sin(), px + (u - jx).sin() + (u + jy).cos()
        a, b = py * 0.005 / torch.sin(jy + u), px * 0.005 / torch.cos(jx + u)
        c = c + 1 / (a * a + b * b).sqrt()
    fourth = (1.17 - (c / 5) ** 1.4) ** 4
    return (fourth * fourth).clamp(max=1)


@on_cpu(kernels.refract)
def refract(images: Tensor, surface: Tensor, depth: float, light: float) -> Tensor:
    """Refract images by a surface ``(n, H, W)``, by up to ``depth`` px, and light them by its slopes."""
    around = torch.nn.functional.pad(surface, (1, 1, 1, 1))
    a, b = around[:, 2:, 1:-1] - around[:, :-2, 1:-1], around[:, 1:-1, 2:] - around[:, 1:-1, :-2]
    nz = 1 / (a * a + b * b + 1).sqrt()
    # sin(theta - phi), where cos(theta) = nz and sin(phi) = sin(theta) / 4.
    sin_theta = (1 - nz * nz).clamp(min=0).sqrt()
    sin_phi = sin_theta / 4
    bent = sin_theta * (1 - sin_phi * sin_phi).sqrt() - nz * sin_phi
    shift = torch.where(nz < _LEVEL, depth * bent / (a * a + b * b).sqrt() * 1000, 0)
    rows, columns = grid(images)
    y, x = (place + (shift * slope).round() / 1000 for place, slope in ((rows, a), (columns, b)))
    made = bilinear_at((images.float() / 255), y, x).double() + (light * (a - b))[..., None]
    return (made.clamp(0, 1) * 255).to(torch.uint8)


def bilinear_at(images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Read ``(n, H, W, C)`` between four pixels at places ``(n, h, w)``, 0 outside: float32 ``(n, h, w, C)``."""
    height, width = images.shape[1:3]
    top, left = y.floor().long(), x.floor().long()
    down, across = y - top, x - left
    image = torch.arange(len(images), device=images.device).view(-1, 1, 1)
    total = torch.zeros((*y.shape, images.shape[3]), dtype=torch.float64, device=images.device)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, place = top + dy, left + dx
        inside = (row >= 0) & (row < height) & (place >= 0) & (place < width)
        weight = (down if dy else 1 - down) * (across if dx else 1 - across) * inside
        total += weight[..., None] * images[image, row.clamp(0, height - 1), place.clamp(0, width - 1)]
    return total.float()


def ripple(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Stretch and compress both axes by waves of 0.25 s % of the shorter side.

    Draws, each (n, 2), down and across: ``wavelength_px``, 10 to 30 % of the shorter side; ``phase``.
    """
    side = min(images.shape[1:3])
    wavelength = parameter(draws, images, "wavelength_px", 0.1 * side, 0.3 * side, 2, least=0.1)
    phase = parameter(draws, images, "phase", 0, 2 * torch.pi, 2)
    rows, columns = (
        place
        + 0.0025 * k.value * side * torch.sin(2 * torch.pi * place / wavelength[:, i : i + 1] + phase[:, i : i + 1])
        for i, place in enumerate(axis.reshape(1, -1) for axis in grid(images))
    )
    return read_grid(images, rows, columns)


@on_cpu(kernels.read_grid)
def read_grid(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Read images on a grid of rows ``(n, H)`` and columns ``(n, W)``."""
    y, x = torch.broadcast_tensors(rows[:, :, None], columns[:, None])
    return truncated(bilinear_at(images, y, x))


def pinch_and_twirl(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Twirl the image in the cells of a grid: 3 x 3, or 5 x 5 from 85 px on.

    Cells are squares of the shorter side's length in cells; what is left of the image stays as it is.
    Draws: ``signs`` (n, columns, rows), -1 or 1.
    """
    side = min(images.shape[1:3])
    cells = 3 if side < _MANY_CELLS else 5
    length = side // cells
    count = [cells if axis == side else axis // length for axis in images.shape[1:3]]
    given = draws.given("signs", count[::-1], -1, 1)
    signs = whole(draws, images, "signs", 0, 2, *count[::-1]) if given is None else (given > 0).long()
    offsets, inside = (uploaded(table, images.device) for table in _twirls(length, k.value))
    return twirl(images, signs, offsets, inside)


@kept_within(2**26)
def _twirls(length: int, s: float) -> tuple[Doubles, NDArray[np.bool_]]:
    """Return from where the pixels of a cell are read, from its middle: ``(2, 2, length, length)``; and which move.

    The first axis is for the turn to the left and to the right, the second for rows and columns.
    """
    half = length / 2
    dy, dx = np.mgrid[0:length, 0:length] - half
    distance = np.hypot(dy, dx) / half
    inside = (distance <= 1) & (np.round(distance, 3) != 0)
    # Where nothing moves, any distance will do but 0, whose power is infinite.
    safe = np.where(inside, distance, 0.5)
    pull = np.sin(np.pi * safe / 2) ** -(0.04 * s + 0.1)
    offsets = []
    for sign in (-1, 1):
        angle = sign * np.pi / 20 * s * (1 - safe) ** 2
        sine, cosine = np.sin(angle), np.cos(angle)
        offsets.append([pull * (dy * cosine - dx * sine), pull * (dx * cosine + dy * sine)])
    return np.array(offsets), inside


@on_cpu(kernels.twirl)
def twirl(images: Tensor, signs: Tensor, offsets: Tensor, inside: Tensor) -> Tensor:
    """Twirl cells one after another, columns first; later ones read what earlier ones changed.

    Args:
        images: ``(n, H, W, C)``.
        signs: ``(n, columns, rows)``, 0 or 1: which of the two ``offsets``.
        offsets: ``(2, 2, length, length)``: places (row, column) from the middle of a cell.
        inside: ``(length, length)`` bool: the pixels that move.
    """
    length = len(inside)
    made, half = images.float(), length / 2
    for i in range(signs.shape[1]):
        for j in range(signs.shape[2]):
            y0, x0 = j * length, i * length
            places = offsets[signs[:, i, j]]
            moved = bilinear_at(made, y0 + half + places[:, 0], x0 + half + places[:, 1])
            cell = made[:, y0 : y0 + length, x0 : x0 + length]
            made[:, y0 : y0 + length, x0 : x0 + length] = torch.where(inside[..., None], moved, cell)
    return truncated(made)
