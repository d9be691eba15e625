"""First layers and networks for the tests of inspection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ppbench.inspection.api import Inspection, inspect_model
from ppbench.inspection.images import example_images
from ppbench.inspection.layer import FirstLayer
from ppbench.models.card import Card
from ppbench.models.pushpull import PushPullConv2d


def card(channels: int = 1, size: int = 28, mean: float = 0.4, std: float = 0.3, **more: object) -> Card:
    """A card with the same mean and std in all channels."""
    return Card(
        architecture="resnet8",
        num_classes=10,
        in_channels=channels,  # type: ignore[arg-type]
        input_size=size,
        mean=(mean,) * channels,
        std=(std,) * channels,
        **more,  # type: ignore[arg-type]
    )


def plain(kernels: Tensor) -> FirstLayer:
    """A plain convolution with these kernels ``(filters, channels, side, side)``."""
    conv = nn.Conv2d(kernels.shape[1], len(kernels), kernels.shape[2], padding=kernels.shape[2] // 2, bias=False)
    conv.weight = nn.Parameter(kernels)
    return FirstLayer("conv1", conv, None)


def push_pull(kernels: Tensor, inhibition: float = 1.0, mean_filter: int = 3) -> FirstLayer:
    """A push-pull convolution with these kernels."""
    conv = PushPullConv2d(
        kernels.shape[1],
        len(kernels),
        kernels.shape[2],
        padding=kernels.shape[2] // 2,
        bias=False,
        avg_kernel_size=mean_filter,
        inhibition=inhibition,
    )
    conv.weight = nn.Parameter(kernels)
    return FirstLayer("conv1", conv, None)


def gabor(orientation: float, frequency: float, phase: float = 0.0, side: int = 9, width: float = 1.8) -> Tensor:
    """A Gabor filter ``(1, 1, side, side)`` of mean 0: a sine under a Gaussian of ``width`` pixels."""
    right = np.arange(side) - side // 2
    up = (side // 2 - np.arange(side))[:, None]
    angle = np.deg2rad(orientation)
    wave = np.cos(2 * np.pi * frequency * (right * np.sin(angle) - up * np.cos(angle)) + np.deg2rad(phase))
    envelope = np.exp(-(right**2 + up**2) / (2 * width**2))
    values = wave * envelope
    return torch.tensor(values - envelope * values.sum() / envelope.sum(), dtype=torch.float32)[None, None]


class Net(nn.Module):
    """Layers one after the other, then the logits of ten classes."""

    def __init__(self, layers: Sequence[nn.Module], channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*layers)
        self.head = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x).mean((2, 3)))


def inspection(push_pull: bool = True, channels: int = 1, trained: bool = False, filters: int = 5) -> Inspection:
    """A network of few filters, inspected on the two examples."""
    torch.manual_seed(0)
    conv: nn.Module = nn.Conv2d(channels, filters, 3, padding=1)
    if push_pull:
        conv = PushPullConv2d(channels, filters, 3, padding=1, trainable_inhibition=trained)
    net = Net((conv, nn.BatchNorm2d(filters), nn.ReLU()), filters)
    images = [
        (name, np.repeat(pixels, channels, 2)) for name, pixels in example_images(card(trained_on="fashion-mnist"))
    ]
    return inspect_model("net", net, card(channels), images, draws=16)
