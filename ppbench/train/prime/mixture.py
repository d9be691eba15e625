"""PRIME's mixture: chains of primitives, averaged with the image itself."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ppbench.train.choices import LARGEST_SMALL_SIZE
from ppbench.train.prime.colour import ColourTransform
from ppbench.train.prime.spatial import SpatialTransform
from ppbench.train.prime.spectral import SpectralTransform


class PrimeSettings(NamedTuple):
    """The constants of the three primitives and of their mixture."""

    filter_size: int
    filter_strength: float
    displacement_cut_min: int
    displacement_cut_max: int
    colour_cut: int
    colour_strength: float
    colour_bandwidth: int | None
    width: int = 3
    """Chains per image."""
    depth: int = 3
    """Most primitives in a chain."""


CIFAR = PrimeSettings(3, 4.0, 2, 100, 100, 0.01, None)
"""The authors' settings for 32 pixels: config/cifar10_cfg.py."""
IMAGENET = PrimeSettings(3, 4.0, 2, 500, 500, 0.05, 20)
"""The authors' settings for 224 pixels: config/imagenet_cfg.py."""


def settings_for(size: int) -> PrimeSettings:
    """Return the settings for images of ``size`` x ``size`` pixels; the authors trained on 32 and 224 only."""
    return CIFAR if size <= LARGEST_SMALL_SIZE else IMAGENET


class Prime(nn.Module):
    """Mix each image with transformed copies of it.

    Every image gets ``width`` chains. A chain has 1 to ``depth`` primitives (uniform), each drawn from the three with
    equal probability and with its own parameters. The chains are averaged with weights from Dirichlet(1, ..., 1); then
    the average is mixed with the image, with a share uniform on [0, 1] (Beta(1, 1)), as in AugMix.

    All draws come from the generator: equal generators and batches give equal images.

    Args:
        size: Height and width of the images, in pixels.
        settings: Constants; None: the authors' settings for this size.
    """

    def __init__(self, size: int, settings: PrimeSettings | None = None) -> None:
        super().__init__()
        self.size = size
        self.settings = settings = settings_for(size) if settings is None else settings
        self.primitives = nn.ModuleList(
            (
                SpectralTransform(settings.filter_size, settings.filter_strength),
                SpatialTransform(size, settings.displacement_cut_min, settings.displacement_cut_max),
                ColourTransform(settings.colour_cut, settings.colour_strength, settings.colour_bandwidth),
            )
        )

    @torch.no_grad()
    def forward(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augment a batch.

        Args:
            images: ``(N, C, size, size)`` float32 in [0, 1].
            generator: Source of all draws, on the device of the images.

        Returns:
            The same shape, in [0, 1].

        Raises:
            ValueError: If the images have another size.
        """
        if images.shape[2:] != (self.size, self.size):
            raise ValueError(
                f"images are {tuple(images.shape[2:])} pixels, this module is for {(self.size, self.size)}"
            )
        # In half precision the sums of a filter of strength 4, and the positions of pixels, would lose digits.
        with torch.autocast(images.device.type, enabled=False):
            chains = self.chains(images, generator)
            weights, share = self.weights(len(images), generator)
            mixed = torch.einsum("kn,knchw->nchw", weights, chains)
            return torch.lerp(images, mixed, share[:, None, None, None]).clamp_(0, 1)

    def plan(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw the primitive of each chain at each step: ``(depth, width * count)`` int64 on the CPU, -1 for none."""
        shape, device = (self.settings.depth, self.settings.width * count), generator.device
        lengths = torch.randint(1, shape[0] + 1, shape[1:], generator=generator, device=device)
        choice = torch.randint(len(self.primitives), shape, generator=generator, device=device)
        step = torch.arange(shape[0], device=device)[:, None]
        return torch.where(step < lengths, choice, -1).cpu()

    def chains(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the transformed copies, ``(width, N, C, size, size)``."""
        chains = images.float().repeat(self.settings.width, 1, 1, 1)
        for step in self.plan(len(images), generator):
            for number, primitive in enumerate(self.primitives):
                chosen = (step == number).nonzero().squeeze(1).to(images.device)
                if len(chosen):
                    chains[chosen] = primitive(chains[chosen], generator)
        return chains.view(self.settings.width, *images.shape)

    def weights(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw weights of the chains ``(width, count)``, with sum 1, and the share of their average ``(count,)``."""
        weights = torch.empty((self.settings.width, count), device=generator.device).exponential_(generator=generator)
        return weights / weights.sum(0), torch.rand(count, generator=generator, device=generator.device)
