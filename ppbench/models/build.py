"""Build the network that a card describes, with random weights. No weights are fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ppbench.errors import DataError, UsageError
from ppbench.extras import import_extra
from ppbench.models.card import Card
from ppbench.models.resnet import create_model
from ppbench.models.shapes import is_external
from ppbench.models.statedict import check_state_fits
from ppbench.models.stems import check_settings, with_stem
from ppbench.models.undrawn import WithoutDrawing


def build(card: Card) -> nn.Module:
    """Build the network a card describes, stem included, with random weights.

    For networks of torchvision and timm the global random generator is left as it is.

    Raises:
        UsageError: If there is no such network, timm is not installed, the network cannot have the stem, or it has no
            inhibition to set as the card says.
    """
    inhibition: dict[str, Any] = {
        "inhibition": card.inhibition,
        "trainable_inhibition": card.trainable_inhibition,
        "rectified_push": card.rectified_push,
    }
    if not is_external(card.architecture):
        return create_model(
            card.architecture, card.num_classes, in_channels=card.in_channels, stem_bias=card.stem_bias, **inhibition
        )
    if card.stem is None:
        check_settings(card.architecture, None, **inhibition)
    with torch.random.fork_rng(devices=[]):
        kind, _, name = card.architecture.partition(":")
        model = _torchvision(name, card) if kind == "torchvision" else _timm(name, card)
        return model if card.stem is None else with_stem(model, card.stem, **inhibition)


def build_for(path: Path, card: Card, state: Mapping[str, Tensor]) -> nn.Module:
    """Build the network of ``card``, which was read from ``path`` with ``state``, if the two agree in size.

    Its weights are not drawn, because those of the file replace them. ppbench's own networks are built on the meta
    device: a card may ask for any size, but only the tensors that exist take memory.

    Raises:
        DataError: If the card and the tensors contradict each other, or the network cannot be built.
    """
    if not is_external(card.architecture):
        with WithoutDrawing(), torch.device("meta"):
            return build(card)
    if not any(tensor.shape[:1] == (card.num_classes,) for tensor in state.values()):
        raise DataError(
            f"the weights in {path} do not fit the network",
            f"Its card says {card.num_classes} classes, but no tensor in it has that many rows.",
        )
    try:
        with WithoutDrawing():
            _check_size(path, card, state)
            return build(card)
    except UsageError as error:
        raise DataError(f"{path} holds a {card.architecture}: {error.message}", error.hint) from error
    except (RuntimeError, TypeError, ValueError, MemoryError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"the card in {path} does not describe a network that can be built ({reason})") from error


_MAKES_WEIGHTS = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn)


class _WithoutMemory(TorchFunctionMode):
    """Create weights on the meta device and skip in-place writes to them, for which torch would load its compiler.

    Tensors that a network computes with while it is built, such as its widths, stay real.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, given = getattr(func, "__name__", ""), kwargs or {}
        if func in _MAKES_WEIGHTS:
            return func(*args, **{**given, "device": "meta"})
        in_place = name.endswith("_") and not name.endswith("__")
        if in_place and args and isinstance(args[0], Tensor) and args[0].is_meta:
            return args[0]
        return func(*args, **given)


def _check_size(path: Path, card: Card, state: Mapping[str, Tensor]) -> None:
    """Build the network without memory first: a small file may name a network of gigabytes without holding its tensors.

    Raises:
        DataError: If the tensors do not fit.
    """
    try:
        with _WithoutMemory():
            model = build(card)
    except (RuntimeError, NotImplementedError):  # the network computes with its weights while it is built
        return
    check_state_fits(path, model, state)


def _torchvision(name: str, card: Card) -> nn.Module:
    # Lazy: importing torchvision takes longer than importing torch.
    from ppbench.lookup import check_name
    from ppbench.models.from_torchvision import LISTING, build_network, torchvision_networks

    check_name("torchvision network", name, torchvision_networks(), LISTING)
    return build_network(name, card, is_own=card.source is None)


def _timm(name: str, card: Card) -> nn.Module:
    timm: Any = import_extra("timm", "timm", "a model of timm")
    if not timm.is_model(name.partition(".")[0]):
        raise UsageError(f"this version of timm has no {name}", "`pip install -U timm`")
    return cast(nn.Module, timm.create_model(name, pretrained=False, num_classes=card.num_classes))
