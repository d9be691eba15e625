"""PRIME's colour primitive: a smooth random curve from old to new values, drawn for each channel."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

INTERPOLATION_ERROR = 1e-4
"""Largest error of a curve's tabulated sines, relative to their amplitude."""


class ColourTransform(nn.Module):
    """Replace each value v by ``v + sum_k b_k sin(pi k v)``, with independent normal b_k of variance T.

    The values 0 and 1 do not change. Among all such curves with frequencies up to a cut-off and a given mean square of
    the change, these have maximum entropy. Each image draws its own cut-off, uniform on 1 to cut_max, and its own T,
    uniform on [0, strength_max); each channel draws its own coefficients. With a bandwidth, only that many successive
    frequencies are used; the first is uniform on 1 to the image's cut-off.

    The curve is tabulated and interpolated by cubic Hermite polynomials with exact slopes. The cost per pixel therefore
    does not depend on the number of frequencies.

    Args:
        cut_max: Highest frequency, in half periods over the range of values.
        strength_max: Highest T.
        bandwidth: Number of successive frequencies in a curve; None: all up to the cut-off.
    """

    def __init__(self, cut_max: int, strength_max: float, bandwidth: int | None = None) -> None:
        super().__init__()
        self.cut_max, self.strength_max, self.bandwidth = cut_max, strength_max, bandwidth
        # The error of a cubic Hermite interpolant of a function with fourth derivative D is at most cell^4 D / 384.
        cells = 2 ** math.ceil(math.log2(math.pi * cut_max / (384 * INTERPOLATION_ERROR) ** 0.25))
        frequency = math.pi * torch.arange(1, cut_max + 1, dtype=torch.float64)[:, None]
        angle = frequency * torch.arange(cells + 1) / cells
        # Not buffers, which DistributedDataParallel would send to all processes at every step. `transform` moves them.
        self.sines = angle.sin().float()
        """``(cut_max, cells + 1)``: the sines at the edges of the cells."""
        self.slopes = (angle.cos() * frequency / cells).float()
        """Slopes of the sines, per cell of the table."""

    def draw(self, count: int, channels: int, generator: torch.Generator) -> Tensor:
        """Draw coefficients b_k ``(count, channels, cut_max)``, float32; 0 for frequencies not in use."""
        device = generator.device
        cut = torch.randint(1, self.cut_max + 1, (count, 1), generator=generator, device=device)
        strength = self.strength_max * torch.rand((count, 1), generator=generator, device=device)
        frequency = torch.arange(1, self.cut_max + 1, device=device)
        used = frequency <= cut
        if self.bandwidth is not None:
            first = 1 + (torch.rand((count, 1), generator=generator, device=device) * cut).long()
            used &= (frequency >= first) & (frequency < first + self.bandwidth)
        normal = torch.randn((count, channels, self.cut_max), generator=generator, device=device)
        return normal * (strength.sqrt() * used)[:, None]

    def transform(self, images: Tensor, coefficients: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` in [0, 1] by curves of coefficients ``(N, C, cut_max)``, clipped to [0, 1]."""
        values = images.flatten(2)
        cells = self.sines.shape[1] - 1
        scaled = values * cells
        cell = scaled.long().clamp_(0, cells - 1)
        self.sines, self.slopes = (table.to(images.device) for table in (self.sines, self.slopes))
        curve, slope = coefficients @ self.sines, coefficients @ self.slopes
        change = hermite(curve, slope, cell, scaled - cell)
        return (values + change).clamp_(0, 1).view_as(images)

    def forward(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Map ``(N, C, H, W)`` in [0, 1], each channel of each image by its own curve."""
        return self.transform(images, self.draw(images.shape[0], images.shape[1], generator))


def hermite(values: Tensor, slopes: Tensor, cell: Tensor, t: Tensor) -> Tensor:
    """Interpolate tables between entries ``cell`` and ``cell + 1``.

    Args:
        values: ``(..., entries)``.
        slopes: Derivatives there, per cell, of the same shape.
        cell: ``(..., points)`` int64.
        t: Position in the cell, 0 to 1, of the same shape.
    """
    step = values.diff(dim=-1)
    start, end = slopes[..., :-1], slopes[..., 1:]
    quadratic, cubic = 3 * step - 2 * start - end, start + end - 2 * step
    value, first, second, third = (table.gather(-1, cell) for table in (values, slopes, quadratic, cubic))
    return third.mul_(t).add_(second).mul_(t).add_(first).mul_(t).add_(value)
