"""Grey squares and lines: checkerboard_cutout, lines.

Images are ``(n, H, W, C)`` uint8. Lengths are in pixels, angles in radians.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ppbench.corruptions.bar.draws import column, grid, parameter, table, truncated
from ppbench.corruptions.dispatch import on_cpu
from ppbench.corruptions.kernels import bar_cutout as kernels
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.corruptions.strengths import Strength
from ppbench.corruptions.uploads import numbers

_GREY = 128
_MOST_CELLS = 44
"""Cells along a side of the drawn board: four sides of the image, in cells of a tenth of it, and some to spare."""


def checkerboard_cutout(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Turn 10 s % of the squares of one colour of a turned chessboard grey.

    Draws: ``angle`` (n,); ``cell_px`` (n,), 10 to 25 % of the shorter side; ``grid`` (n, k, k) on [0, 1), where k is at
    least four sides of the image in cells, rounded down.
    """
    side = min(images.shape[1:3])
    angle = parameter(draws, images, "angle", 0, 2 * torch.pi)
    cell = parameter(draws, images, "cell_px", 0.1 * side, 0.25 * side, least=0.09 * side).clamp(min=1)
    counts = (4 * side / cell).floor().long().clamp(max=_MOST_CELLS)
    least = int(counts.max()) if draws.given_shape("grid") else _MOST_CELLS
    chances = table(draws, "grid", least, least)
    if chances is None:
        chances = draws.between("grid", 0, 1, _MOST_CELLS, _MOST_CELLS)
    return cut_squares(images, angle, cell, chances < 0.1 * k.value, counts, _GREY)


@on_cpu(kernels.cut_squares)
def cut_squares(images: Tensor, angle: Tensor, cell: Tensor, chosen: Tensor, counts: Tensor, grey: int) -> Tensor:
    """Turn chosen squares grey: angle, cell and counts ``(n,)``, chosen bool ``(n, k, k)``.

    The published code finds a square by truncation towards 0, and negative numbers count from the end. So the squares
    on both sides of an axis share a number.
    """
    rows, columns = grid(images)
    sine, cosine = column(torch.sin(angle)), column(torch.cos(angle))
    y, x = (cosine * rows + sine * columns) / column(cell), (cosine * columns - sine * rows) / column(cell)
    alike = (y.floor().long() + x.floor().long()) % 2 == 0
    image = torch.arange(len(images), device=images.device).view(-1, 1, 1)
    cut = alike & chosen[image, y.long() % column(counts), x.long() % column(counts)]
    return torch.where(cut[..., None], grey, images)


def lines(images: Tensor, k: Strength, recipe: Recipe, draws: Draws) -> Tensor:
    """Draw grey lines through the image, 10 s % as many as its shorter side has pixels.

    Draws: ``angle`` (n,); ``variation`` (n,), 0.1 to 1: the spread of the lines' angles, in turns; ``lines``
    (n, lines, 3) on [0, 1): row and column of a point of the line, in sides, and its place in the spread.
    """
    height, width = images.shape[1:3]
    side = min(height, width)
    angle = parameter(draws, images, "angle", 0, 2 * torch.pi)
    variation = parameter(draws, images, "variation", 0.1, 1)
    count = int(0.1 * k.value * side)
    if count == 0:  # of 8 px, at the lowest severity
        return images
    places = draws.between("lines", 0, 1, count, 3).double()
    sides = numbers(height, width, device=images.device)
    turned = angle[:, None] + 2 * torch.pi * variation[:, None] * (places[..., 2] - 0.5)
    # As long as the sides, so that every line leaves the image.
    away = torch.stack([torch.cos(turned), torch.sin(turned)], dim=2) * max(height, width)
    middle = places[..., :2] * sides
    ends = torch.cat([middle - away, middle + away], dim=2).long()  # towards 0, as int() rounds
    return draw_lines(images, ends, _GREY)


@on_cpu(kernels.draw_lines)
def draw_lines(images: Tensor, ends: Tensor, grey: int) -> Tensor:
    """Draw anti-aliased lines one after another: ``ends`` int64 (n, lines, 4), row and column of both ends."""
    height, width = images.shape[1:3]
    for number in range(ends.shape[1]):
        part = covered(ends[:, number], height, width)[..., None]
        images = truncated((1 - part) * images + part * grey)
    return images


def covered(ends: Tensor, height: int, width: int) -> Tensor:
    """Return how far lines with ends ``(n, 4)`` cover the pixels, 0 to 1: float64 ``(n, height, width)``.

    The kernel goes along a line, as Zingl's method does. Here each pixel finds out whether the line comes by. In steps
    from the first end, along the longer side and across it, the line is at ``along * far / long``; what it covers falls
    with the distance from it.
    """
    y0, x0, y1, x1 = (column(end) for end in ends.unbind(1))
    rows, columns = (torch.arange(side, device=ends.device) for side in (height, width))
    down, right = torch.where(y0 < y1, 1, -1), torch.where(x0 < x1, 1, -1)
    y, x = (rows[:, None] - y0) * down, (columns - x0) * right
    dy, dx = (y1 - y0).abs(), (x1 - x0).abs()
    is_flat = dx >= dy
    along, across = torch.where(is_flat, x, y), torch.where(is_flat, y, x)
    long, far = torch.maximum(dx, dy), torch.minimum(dx, dy)
    twice = (2 * long).clamp(min=1)
    length = (long * long + far * far).clamp(min=1).double().sqrt()
    # In each step there is a pixel next to the line, one behind it, and one before it where the line has just turned.
    middle, last = ((2 * along + k) * far // twice for k in (1, -1))
    away = across * long - along * far
    is_met = across == middle
    is_met |= (across == middle + 1) & (away.double() < length) & (along < long)
    is_met |= (across == middle - 1) & (-away.double() < length) & (along > 0) & (middle > last)
    is_met &= (along >= 0) & (along <= long)
    return torch.where(is_met, 1 - away.abs().double() / length, 0)
