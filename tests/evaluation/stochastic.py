"""Small networks that draw random numbers, among them one with the front end of a VOneNet, written for these tests."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ppbench.models.card import Card
from ppbench.models.load import LoadedModel, resolve_model


class Gabors(nn.Module):
    """A fixed bank of Gabor filters with simple and complex cells, whose responses have neuronal noise.

    The noise is Gaussian with the variance of a Poisson count: as large as the response.
    """

    def __init__(self, channels: int = 3, orientations: int = 4, side: int = 9) -> None:
        super().__init__()
        axis = torch.arange(side) - side // 2
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        for name, phase in (("even", 0.0), ("odd", math.pi / 2)):
            angles = torch.arange(orientations)[:, None, None] * math.pi / orientations
            along = x * angles.cos() + y * angles.sin()
            gabor = torch.exp(-(x**2 + y**2) / 8) * torch.cos(2 * math.pi * along / 5 + phase)
            self.register_buffer(name, gabor[:, None].repeat(1, channels, 1, 1) / gabor.abs().sum())
        self.gain = 200.0
        # Rivals keep such things beside their state dict.
        self.angles = np.arange(orientations) * np.pi / orientations
        self.floor = lambda x: x.clone() + 1e-4

    def rates(self, x: Tensor) -> Tensor:
        """Responses without noise, ``(N, 2 orientations, H / 4, W / 4)``: simple cells, then complex ones."""
        even, odd = (F.conv2d(x, bank, stride=4, padding=bank.shape[-1] // 2) for bank in self.buffers())
        return self.gain * torch.cat((even.relu(), (even**2 + odd**2).sqrt()), 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.rates(x)
        noise = torch.distributions.Normal(torch.zeros_like(x), 1).rsample()
        x += noise * torch.sqrt(self.floor(x))
        return x.relu_()


class GaborNet(nn.Module):
    """A classifier on the responses of `Gabors`."""

    def __init__(self, channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.front = Gabors(channels)
        self.back = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.back(self.front(x))  # type: ignore[no-any-return]


def gabor_net() -> nn.Module:
    """As a package's factory of a trained network would return it; without a card."""
    torch.manual_seed(3)
    return GaborNet()


class Noisy(nn.Module):
    """A network whose input gets noise first."""

    def __init__(self, network: nn.Module, noise: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.noise = network, noise

    def forward(self, x: Tensor) -> Tensor:
        return self.network(self.noise(x))  # type: ignore[no-any-return]


def noisy(noise: Callable[[Tensor], Tensor], name: str = "noisy") -> LoadedModel:
    """The embedded network for 28 px, trained, behind a noise."""
    _, network, card = resolve_model("fashion-mnist-resnet8")
    return LoadedModel(name, Noisy(network, noise).eval(), card)


def gaussian(x: Tensor) -> Tensor:
    """Noise by which the embedded network is wrong on some images in some passes."""
    return x + 0.25 * torch.randn_like(x)


class Coins(nn.Module):
    """A network that gives the first class with a probability, and otherwise the second; images do not matter."""

    def __init__(self, chance: float) -> None:
        super().__init__()
        self.chance = nn.Parameter(torch.tensor(chance))

    def forward(self, x: Tensor) -> Tensor:
        first = torch.bernoulli(self.chance.expand(len(x)))
        return torch.stack((first, 1 - first), 1)


def coins(chance: float, size: int = 8) -> LoadedModel:
    """`Coins` with a card."""
    card = Card(architecture="coins", num_classes=2, in_channels=1, input_size=size, mean=(0.5,), std=(0.5,))
    return LoadedModel("coins", Coins(chance), card)
