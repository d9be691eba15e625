"""The names of the networks ppbench builds, known without importing torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ppbench.registry import unknown_name

RESNETS = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
)  # fmt: skip
"""torchvision's networks, with a 7x7 stem for about 224 px or, as ``…-cifar``, a 3x3 stem for about 32 px."""

SMALL_RESNETS = {f"resnet{6 * n + 2}": n for n in (1, 2, 3, 5, 7, 9)}
"""The three-stage networks for 28 to 32 px of He et al., CVPR 2016, section 4.2, with blocks per stage."""

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
"""Suffix of a name, without its dash, to what it stands for."""


@dataclass(frozen=True)
class Architecture:
    """What a model name says: the network, its size of images, and what its stem is changed into (None: plain)."""

    network: str
    stem: Literal["imagenet", "cifar"]
    variant: str | None
    """One of `STEMS`, ``pp`` written as ``pp3``."""

    @property
    def avg_kernel_size(self) -> int | None:
        """Side of the push-pull mean filter; None where the stem is not PushPull-Conv."""
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
        """What the stem is, for people."""
        return "plain" if self.variant is None else STEMS[self.variant]

    @property
    def input_size(self) -> int:
        """Side of the images the network is made for, in pixels."""
        return 224 if self.stem == "imagenet" else 32


def model_names() -> list[str]:
    """All names `parse_model_name` accepts, plain before the others."""
    bases = [*RESNETS, *(f"{name}-cifar" for name in RESNETS), *SMALL_RESNETS]
    return [base + suffix for base in bases for suffix in ("", *(f"-{stem}" for stem in STEMS))]


def parse_model_name(name: str) -> Architecture:
    """Read a model name such as ``resnet50``, ``resnet18-cifar-pp5`` or ``resnet20-blurpool``.

    Raises:
        UsageError: If the name is none of `model_names`; the message has the nearest.
    """
    if name not in model_names():
        raise unknown_name("model", name, model_names(), "ppbench list models")
    network, *rest = name.split("-")
    stem: Literal["imagenet", "cifar"] = "cifar" if "cifar" in rest or network in SMALL_RESNETS else "imagenet"
    variant = next((part for part in rest if part in STEMS), None)
    return Architecture(network, stem, "pp3" if variant == "pp" else variant)
