"""PRIME's spatial primitive: a smooth random displacement of the pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SpatialTransform(nn.Module):
    """Move the pixels of each image by two random fields ``sqrt(T) * size * sum c_ij sin(pi i x) sin(pi j y)``.

    x and y run from 0 to 1 over the image; the border does not move. The c_ij are independent and normal, with variance
    ``1 / (i^2 + j^2)`` for modes with ``sqrt(i^2 + j^2) < cut + 1/2`` and 0 for all others. These are the fields of
    maximum entropy for their mean gradient and cut-off (Petrini et al., "Relative stability toward diffeomorphisms
    indicates performance in deep nets", NeurIPS 2021).

    Each image draws its own cut in two steps: the highest allowed one, uniform on cut_min + 1 to cut_max, then a cut up
    to that one by Beta(1/2, 1/2), which favours both ends. It also draws its own T, by Beta(1/2, 1/2), between the T
    for a typical displacement of half a pixel and the highest T for which the map does not fold. If the former is
    larger, T is the former.

    A mode that oscillates too fast for the pixel grid is aliased: on the pixels it equals a slower mode. The variances
    of normal variables add up, so the variance of such a mode is added to the slower one instead of summing the modes.
    This gives the same distribution for a fraction of the work.

    Args:
        size: Height and width of the images, at least 3 pixels.
        cut_min: Lowest cut-off, at least 2.
        cut_max: Highest cut-off, above cut_min; modes beyond the pixel grid are allowed, as in the authors' settings.

    Raises:
        ValueError: If an argument is below its least value.
    """

    def __init__(self, size: int, cut_min: int, cut_max: int) -> None:
        super().__init__()
        if size < 3 or cut_min < 2 or cut_max <= cut_min:
            raise ValueError(
                f"size {size}, cut_min {cut_min}, cut_max {cut_max}: needs size >= 3, 2 <= cut_min < cut_max"
            )
        self.size, self.cut_min, self.cut_max = size, cut_min, cut_max
        modes = torch.arange(1, size - 1, dtype=torch.float64)
        x = torch.linspace(0, 1, size, dtype=torch.float64)
        # Not buffers, which DistributedDataParallel would send to all processes at every step. They are moved on use.
        self.basis = torch.sin(math.pi * x[:, None] * modes).float()
        """``(size, size - 2)``: the modes that are distinct on the pixel grid."""
        self.deviations = mode_deviations(size, cut_min, cut_max)
        """``(cut_max - cut_min + 1, size - 2, size - 2)``: for each cut, the standard deviations of the modes' c_ij."""

    def draw_cuts(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw cut-offs ``(count,)``, int64, from cut_min to cut_max."""
        highest = torch.randint(
            self.cut_min + 1, self.cut_max + 1, (count,), generator=generator, device=generator.device
        )
        cuts = self.cut_min + (arcsine(count, generator) * (highest + 1 - self.cut_min)).long()
        return torch.minimum(cuts, highest)

    def draw_strengths(self, cuts: Tensor, generator: torch.Generator) -> Tensor:
        """Draw temperatures T ``(count,)``, float32, within `temperature_range` of each cut."""
        low, high = temperature_range(self.size, cuts)
        return low + arcsine(len(cuts), generator) * (high - low)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw displacements ``(count, 2, size, size)`` in pixels, to the right and down, float32."""
        cuts = self.draw_cuts(count, generator)
        strengths = self.draw_strengths(cuts, generator)
        modes = self.size - 2
        self.deviations = self.deviations.to(generator.device)
        normal = torch.randn((count, 2, modes, modes), generator=generator, device=generator.device)
        return self.field(normal * self.deviations[cuts - self.cut_min, None], strengths)

    def field(self, coefficients: Tensor, strengths: Tensor) -> Tensor:
        """Return displacements in pixels for coefficients ``(N, 2, size - 2, size - 2)`` (y, then x) and T ``(N,)``."""
        self.basis = self.basis.to(coefficients.device)
        fields = self.basis @ coefficients @ self.basis.T
        return fields * (self.size * strengths.sqrt())[:, None, None, None]

    def transform(self, images: Tensor, displacements: Tensor) -> Tensor:
        """Take each pixel of ``(N, C, size, size)`` from its position minus its displacement, bilinearly."""
        place = torch.arange(self.size, dtype=torch.float32, device=images.device)
        x, y = place - displacements[:, 0], place[:, None] - displacements[:, 1]
        grid = torch.stack((x, y), dim=3) * (2 / (self.size - 1)) - 1
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)

    def forward(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Displace ``(N, C, size, size)``, each image by its own fields."""
        return self.transform(images, self.draw(len(images), generator))


def arcsine(count: int, generator: torch.Generator) -> Tensor:
    """Draw from Beta(1/2, 1/2): ``(count,)`` on [0, 1], float32, on the generator's device."""
    return torch.sin(math.pi / 2 * torch.rand(count, generator=generator, device=generator.device)).square()


def temperature_range(size: int, cuts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest T ``(N,)``, float32, for images of ``size`` pixels and cut-offs ``(N,)`` of >= 2.

    The typical displacement is ``size / 2 * sqrt(pi * T * log(cut))`` pixels: to leading order in the cut-off, this is
    the root mean square length over the image (Petrini et al., 2021).
    """
    cut = cuts.float()
    low = 1 / (math.pi * size**2 * cut.log())
    high = 4 / (math.pi**3 * cut.square() * cut.log())
    return low, torch.maximum(low, high)


def mode_deviations(size: int, cut_min: int, cut_max: int) -> Tensor:
    """Return the standard deviations of the coefficients of all modes that are distinct on the pixel grid, by cut-off.

    Returns:
        ``(cut_max - cut_min + 1, size - 2, size - 2)`` float32.
    """
    period = 2 * (size - 1)
    frequencies = torch.arange(1, cut_max + 1)
    # On the pixels, mode i equals mode i + period, and mode period - i is its negative; 0 and size - 1 vanish.
    remainder = frequencies % period
    seen_as = torch.where(remainder < size, remainder, period - remainder)
    frequencies, seen_as = (values[(seen_as > 0) & (seen_as < size - 1)] for values in (frequencies, seen_as))
    radius = (frequencies[:, None].double().square() + frequencies.double().square()).sqrt()
    cut = (radius + 0.5).floor().long().clamp(min=cut_min)  # the lowest cut-off that includes the mode
    modes = size - 2
    place = (cut - cut_min) * modes**2 + (seen_as[:, None] - 1) * modes + seen_as - 1
    inside = cut <= cut_max
    table = torch.zeros((cut_max - cut_min + 1) * modes**2)
    table.index_add_(0, place[inside], radius[inside].pow(-2).float())
    # A cut-off includes all modes below it, so the variances add up over the cut-offs.
    return table.view(-1, modes, modes).cumsum_(0).sqrt_()
