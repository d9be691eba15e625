"""The classifier of a network in float32, while its other layers compute in half precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_HALF = ("bf16", "fp16")
"""Precisions in which the classifier computes in float32 if it can be found."""

_KNOWN = ("ppbench", "torchvision", "timm")
"""Packages whose networks call their classifier as a module. Code from elsewhere may use its weights in other ways."""


class LastLayer(NamedTuple):
    """A network's last linear layer, and where it is."""

    parent: nn.Module
    name: str
    layer: nn.Linear


def find_classifier(model: nn.Module, classes: int) -> LastLayer | None:
    """Find the layer that gives the logits, in a network of ppbench, torchvision or timm.

    Args:
        model: Any network.
        classes: Number of its outputs.

    Returns:
        The only linear layer with as many outputs that is not of an auxiliary classifier; None if that is not one.
    """
    if _package(model) not in _KNOWN:
        return None
    found = [
        LastLayer(parent, name, cast(nn.Linear, layer))
        for path, parent in model.named_modules()
        for name, layer in parent.named_children()
        if _is_plain(layer) and layer.out_features == classes and "aux" not in f"{path}.{name}".lower()
    ]
    return found[0] if len(found) == 1 else None


def float32_classifier(model: nn.Module, classes: int, precision: str) -> LastLayer | None:
    """The classifier that computes in float32 although the network computes in ``precision``; None: there is none."""
    return find_classifier(model, classes) if precision in _HALF else None


@contextmanager
def in_float32(classifier: LastLayer | None) -> Iterator[None]:
    """Let a classifier compute in float32 inside the context, whatever torch's autocast is set to; None: nothing.

    The network is the same afterwards.
    """
    if classifier is None:
        yield
        return
    parent, name, layer = classifier
    # Not a hook: torch.compile would break the network into parts there.
    parent._modules[name] = _Float32Linear(layer)
    try:
        yield
    finally:
        parent._modules[name] = layer


class _Float32Linear(nn.Linear):
    """A linear layer with another's weights that leaves autocast."""

    def __init__(self, layer: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x.float(), self.weight, self.bias)


def _package(module: nn.Module) -> str:
    return type(module).__module__.partition(".")[0]


def _is_plain(module: nn.Module) -> bool:
    """Whether a module is a linear layer of torch or timm, in float32 and as it was made: without hooks."""
    return (
        isinstance(module, nn.Linear)
        and type(module).__name__ == "Linear"
        and _package(module) in ("torch", "timm")
        and module.weight.dtype == torch.float32
        and not module._forward_hooks
        and not module._forward_pre_hooks
    )
