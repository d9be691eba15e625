"""Convert a trained plain network to push-pull: kernels stay, batch norm gets statistics of the new responses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ppbench.errors import UsageError
from ppbench.models.blur import BlurConv2d, BlurPool2d
from ppbench.models.card import Card
from ppbench.models.loaded import Checkpoint
from ppbench.models.push_pull_2020 import PushPull2020Conv2d
from ppbench.models.pushpull import PushPullConv2d, with_push_pull
from ppbench.models.shapes import RESNETS, Architecture, is_external, model_names, parse_model_name
from ppbench.models.weights import weights_hash


def convert_to_push_pull(
    name: str,
    checkpoint: Checkpoint,
    avg_kernel_size: int = 3,
    *,
    inhibition: float = 1.0,
    trainable_inhibition: bool = False,
    rectified_push: bool = False,
) -> Checkpoint:
    """Replace the first convolution of a trained network, in place, by a push-pull one with its weights.

    By default the push response is not rectified: ``conv(x, W) - inhibition * relu(avgpool(conv(x, P))) + bias``. In a
    plain network, norm and activation follow the convolution and expect responses of both signs. At inhibition 0 the
    converted network therefore computes the same as before, and a larger inhibition only subtracts the pull. The
    paper's form, for networks trained with it from the start, also rectifies before the norm; it would change the
    network at any inhibition.

    Args:
        name: Name of the network, for the card.
        checkpoint: The network and its card.
        avg_kernel_size: See `PushPullConv2d`.
        inhibition: See `PushPullConv2d`. If it is trainable, this is the initial value of every channel.
        trainable_inhibition: See `PushPullConv2d`.
        rectified_push: Whether to use the paper's form.

    Returns:
        The same network, and a card with its new name and its origin.

    Raises:
        UsageError: If the inhibition is below 0, the network has push-pull or a blur already, its card does not name a
            network that can be built again, or its first convolution cannot be replaced (`with_push_pull`).
    """
    model, card = checkpoint
    if not 0 <= inhibition < math.inf:
        raise UsageError(f"--inhibition {inhibition:g} is not allowed", "It is 0 or more, such as 1.")
    _check_plain(name, model)
    named = _named(name, card, avg_kernel_size)
    origin = {"name": name, "architecture": card.architecture, "weights": weights_hash(model)}
    with_push_pull(
        model,
        avg_kernel_size,
        inhibition=inhibition,
        trainable_inhibition=trainable_inhibition,
        rectified_push=rectified_push,
    )
    if trainable_inhibition:
        # The layer draws trainable strengths at random; a conversion begins with the given one.
        layer = next(m for m in model.modules() if isinstance(m, PushPullConv2d))
        with torch.no_grad():
            layer.get_parameter("inhibition").fill_(inhibition)
    changed = {
        **named,
        "inhibition": 1.0 if trainable_inhibition else inhibition,
        "trainable_inhibition": trainable_inhibition,
        "rectified_push": rectified_push,
        "clean_accuracy": None,  # the stored value is of the plain network
        "recipe": None,
        "command": None,
        "origin": {**origin, **({"recipe": card.recipe} if card.recipe else {})},
    }
    return Checkpoint(model, card.model_copy(update=changed))


def has_batch_norm(model: nn.Module) -> bool:
    """Whether the model has a batch norm with running statistics."""
    return any(True for _ in _batch_norms(model))


def estimate_statistics(model: nn.Module, batches: Iterable[Tensor]) -> int:
    """Estimate new statistics for all batch norms of ``model``, in place.

    The new statistics are plain averages, over the batches, of each batch's mean and (unbiased) variance. All other
    modules are in eval mode. Every batch has the same weight, whatever its size.

    Args:
        model: On the device of the batches; left in eval mode.
        batches: Preprocessed images ``(n, C, H, W)``, n at least 2.

    Returns:
        The number of images.

    Raises:
        UsageError: If there are no batches.
    """
    count = 0
    with _averaging(model), torch.no_grad():
        for x in batches:
            model(x)
            count += len(x)
    if count == 0:
        raise UsageError("there are no images to estimate batch-norm statistics from", "Give more: `--images 2000`.")
    return count


def share_right(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Return the share of images whose label has the highest output, 0 to 1.

    Args:
        model: On the device of the batches; it is put into eval mode.
        batches: Preprocessed images ``(n, C, H, W)`` and labels ``(n,)``, at least one.
    """
    model.eval()
    right, count = 0, 0
    with torch.inference_mode():
        for x, labels in batches:
            right += int((model(x).argmax(1) == labels).sum())
            count += len(labels)
    return right / count


def _batch_norms(model: nn.Module) -> Iterator[_BatchNorm]:
    return (m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None)


@contextmanager
def _averaging(model: nn.Module) -> Iterator[None]:
    """Reset all batch norms and let them average the statistics of the batches that pass inside the context."""
    model.eval()
    norms = list(_batch_norms(model))
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch then averages all batches alike
        norm.training = True
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.eval()


def _check_plain(name: str, model: nn.Module) -> None:
    if any(isinstance(m, PushPullConv2d | PushPull2020Conv2d) for m in model.modules()):
        raise UsageError(f"{name} already has a push-pull convolution", "Start from the plain model.")
    if any(isinstance(m, BlurConv2d | BlurPool2d) for m in model.modules()):
        raise UsageError(f"{name} blurs before it subsamples", "Start from the plain model.")


def _named(name: str, card: Card, avg_kernel_size: int) -> dict[str, Any]:
    """Return the card's fields that name the new network: a name of ppbench's, or the stem of an external network."""
    kind, _, network = card.architecture.partition(":")
    base = network if kind == "torchvision" and network in RESNETS else card.architecture
    stem = f"pp{avg_kernel_size}"
    if base in model_names():
        plain = parse_model_name(base)
        converted = Architecture(plain.network, plain.stem, stem).name
        if converted not in model_names():
            raise UsageError(f"--push-pull {avg_kernel_size} is not allowed", "It is 0 (no mean filter), 3 or 5.")
        return {"architecture": converted}
    if is_external(card.architecture):
        return {"stem": stem}
    raise UsageError(
        f"{name} is made by your code, to which a checkpoint cannot refer: ppbench never runs code that a file names",
        "Convert it in Python: `ppbench.with_push_pull(model, rectified_push=False)`.",
    )
