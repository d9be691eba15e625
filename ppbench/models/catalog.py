"""The names of the networks ppbench builds, known without importing torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ppbench.registry import unknown_name

RESNETS = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
)  # fmt: skip
"""torchvision's networks, with a 7x7 stem for about 224 px or, as ``…-cifar``, a 3x3 stem for about 32 px."""

SMALL_RESNETS = {f"resnet{6 * n + 2}": n for n in (1, 2, 3, 5, 7, 9)}
"""The three-stage networks for 28 to 32 px of He et al., CVPR 2016, section 4.2, with blocks per stage."""

PUSH_PULL_SUFFIXES = {"": None, "-pp": 3, "-pp3": 3, "-pp5": 5, "-pp0": 0}
"""Suffix to the mean filter of the push-pull stem; None is a plain convolution, 0 push-pull without the filter."""


@dataclass(frozen=True)
class Architecture:
    """What a model name says: the network, its stem, and its push-pull mean filter (None: plain)."""

    network: str
    stem: Literal["imagenet", "cifar"]
    avg_kernel_size: int | None

    @property
    def name(self) -> str:
        """The canonical name (``-pp`` is written ``-pp3``)."""
        cifar = "-cifar" if self.stem == "cifar" and self.network in RESNETS else ""
        return f"{self.network}{cifar}" + ("" if self.avg_kernel_size is None else f"-pp{self.avg_kernel_size}")

    @property
    def input_size(self) -> int:
        """Side of the images the network is made for, in pixels."""
        return 224 if self.stem == "imagenet" else 32


def model_names() -> list[str]:
    """All names `parse_model_name` accepts, plain before push-pull."""
    bases = [*RESNETS, *(f"{name}-cifar" for name in RESNETS), *SMALL_RESNETS]
    return [base + suffix for base in bases for suffix in PUSH_PULL_SUFFIXES]


def parse_model_name(name: str) -> Architecture:
    """Read a model name such as ``resnet50``, ``resnet18-cifar-pp5`` or ``resnet20-pp``.

    Raises:
        UsageError: If the name is none of `model_names`; the message has the nearest.
    """
    if name not in model_names():
        raise unknown_name("model", name, model_names(), "ppbench list models")
    network, cifar, suffix = re.fullmatch(r"(.+?)(-cifar)?(-pp\d?)?", name).groups(default="")  # type: ignore[union-attr]
    stem: Literal["imagenet", "cifar"] = "cifar" if cifar or network in SMALL_RESNETS else "imagenet"
    return Architecture(network, stem, PUSH_PULL_SUFFIXES[suffix])
