"""Names and shapes of the networks that ppbench builds. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ppbench.lookup import check_name


@dataclass(frozen=True)
class Shape:
    """The residual blocks of a ResNet."""

    blocks: tuple[int, ...]
    """Number of blocks per stage."""
    bottleneck: bool = False
    """Whether a block has 1x1, 3x3 and 1x1 convolutions instead of two 3x3 convolutions."""
    groups: int = 1
    """Groups of the 3x3 convolution of a bottleneck."""
    width_per_group: int = 64
    """Channels of each of these groups in the first stage; they double from stage to stage."""
    channels: tuple[int, ...] = (64, 128, 256, 512)
    """Channels per stage; a bottleneck has four times as many outputs."""

    @property
    def first_kernel(self) -> tuple[int, int]:
        """Outputs and inputs per group of the second convolution of the first block (``layer1.0.conv2``)."""
        return self.groups * self.width_per_group, self.width_per_group


RESNETS = {
    "resnet18": Shape((2, 2, 2, 2)),
    "resnet34": Shape((3, 4, 6, 3)),
    "resnet50": Shape((3, 4, 6, 3), bottleneck=True),
    "resnet101": Shape((3, 4, 23, 3), bottleneck=True),
    "resnet152": Shape((3, 8, 36, 3), bottleneck=True),
    "resnext50_32x4d": Shape((3, 4, 6, 3), bottleneck=True, groups=32, width_per_group=4),
    "resnext101_32x8d": Shape((3, 4, 23, 3), bottleneck=True, groups=32, width_per_group=8),
}
"""torchvision's networks, with a 7x7 stem for about 224 px or, as ``…-cifar``, a 3x3 stem for about 32 px.

Sources: He et al., CVPR 2016, table 1; Xie et al., CVPR 2017.
"""

SMALL_RESNETS = {f"resnet{6 * n + 2}": Shape((n, n, n), channels=(16, 32, 64)) for n in (1, 2, 3, 5, 7, 9)}
"""The three-stage networks for 28 to 32 px of He et al., CVPR 2016, section 4.2."""

PUSH_PULL_STEMS = {"pp": 3, "pp3": 3, "pp5": 5, "pp0": 0}
"""PushPull-Conv, with the side of its mean filter; 0 is push-pull without the filter."""

STEMS = {
    "pp": "push-pull stem, 3x3 mean",
    "pp3": "push-pull stem, 3x3 mean",
    "pp5": "push-pull stem, 5x5 mean",
    "pp0": "push-pull stem, no mean",
    "pp2020": "push-pull stem of 2020: the pull kernel is the push kernel enlarged",
    "blurpool": "blur before each subsampling (Zhang 2019)",
    "blurafter": "blur after strided convolutions (Vasconcelos 2021)",
}
"""Descriptions by suffix of a name (without its dash)."""


@dataclass(frozen=True)
class Architecture:
    """The parts of a model name: the network, the image size of its stem, and the variant of the stem (None: plain)."""

    network: str
    stem: Literal["imagenet", "cifar"]
    variant: str | None
    """One of `STEMS`, ``pp`` written as ``pp3``."""

    @property
    def shape(self) -> Shape:
        """The residual blocks of the network."""
        return RESNETS[self.network] if self.network in RESNETS else SMALL_RESNETS[self.network]

    @property
    def avg_kernel_size(self) -> int | None:
        """Side of the push-pull mean filter; None if the stem is not PushPull-Conv."""
        return PUSH_PULL_STEMS.get(self.variant or "")

    @property
    def base(self) -> str:
        """The name of the plain network."""
        return f"{self.network}-cifar" if self.stem == "cifar" and self.network in RESNETS else self.network

    @property
    def name(self) -> str:
        """The canonical name (``-pp`` is written ``-pp3``)."""
        return self.base if self.variant is None else f"{self.base}-{self.variant}"

    @property
    def description(self) -> str:
        """Description of the stem for people."""
        return "plain" if self.variant is None else STEMS[self.variant]

    @property
    def input_size(self) -> int:
        """Side of the images for which the network is made, in pixels."""
        return 224 if self.stem == "imagenet" else 32


def model_names() -> list[str]:
    """Return all names that `parse_model_name` accepts; of each network, the plain name first."""
    bases = [*RESNETS, *(f"{name}-cifar" for name in RESNETS), *SMALL_RESNETS]
    return [base + suffix for base in bases for suffix in ("", *(f"-{stem}" for stem in STEMS))]


def parse_model_name(name: str) -> Architecture:
    """Read a model name such as ``resnet50``, ``resnet18-cifar-pp5`` or ``resnet20-blurpool``.

    Raises:
        UsageError: If the name is not in `model_names`; the message has the nearest.
    """
    check_name("model", name, model_names(), "ppbench list models")
    network, *rest = name.split("-")
    stem: Literal["imagenet", "cifar"] = "cifar" if "cifar" in rest or network in SMALL_RESNETS else "imagenet"
    variant = next((part for part in rest if part in STEMS), None)
    return Architecture(network, stem, "pp3" if variant == "pp" else variant)


def is_external(architecture: str) -> bool:
    """Whether a card's architecture is a network of torchvision or timm."""
    return architecture.partition(":")[0] in ("torchvision", "timm")


def canonical_name(architecture: str) -> str:
    """Return the name by which cards call a network: ``-pp`` is written ``-pp3``.

    Raises:
        UsageError: If ppbench cannot build a network of that name.
    """
    return architecture if is_external(architecture) else parse_model_name(architecture).name
