"""PRIME's spectral primitive: a small random filter, the same for all channels of an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SpectralTransform(nn.Module):
    """Convolve each image with ``delta + sigma * w``; the weights of w are independent and standard normal.

    Among all filters of this size whose distance from the identity has a given mean square, these have maximum entropy.
    The filter's size limits how fast its response changes over frequency; sigma is its strength.

    Args:
        filter_size: Width and height of the filter, odd, in pixels.
        sigma_max: Strength; each image draws its own sigma, uniform on [0, sigma_max).

    Raises:
        ValueError: If the size is even: such a filter has no centre, and zero strength would move the image.
    """

    def __init__(self, filter_size: int, sigma_max: float) -> None:
        super().__init__()
        if filter_size % 2 == 0:
            raise ValueError(f"filter_size {filter_size} is even; it must be odd to have a centre")
        self.filter_size, self.sigma_max = filter_size, sigma_max

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw filters ``(count, filter_size, filter_size)``, float32, on the generator's device."""
        size, device = self.filter_size, generator.device
        sigma = self.sigma_max * torch.rand((count, 1, 1), generator=generator, device=device)
        filters = sigma * torch.randn((count, size, size), generator=generator, device=device)
        filters[:, size // 2, size // 2] += 1
        return filters

    def transform(self, images: Tensor, filters: Tensor) -> Tensor:
        """Correlate ``(N, C, H, W)`` in [0, 1] with one filter per image, zeros outside; clip to [0, 1]."""
        count = len(images)
        channels_first = images.transpose(0, 1)
        filtered = F.conv2d(channels_first, filters[:, None], padding=self.filter_size // 2, groups=count)
        return filtered.transpose(0, 1).clamp(0, 1)

    def forward(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Filter ``(N, C, H, W)`` in [0, 1], each image with its own filter."""
        return self.transform(images, self.draw(len(images), generator))
