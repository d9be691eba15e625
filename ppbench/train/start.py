"""Make the network to train, with new or given weights, and its card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lightning
import torch
from torch import nn

from ppbench.errors import UsageError
from ppbench.lookup import counted
from ppbench.models.build import build
from ppbench.models.card import Card
from ppbench.models.checkpoint import load_checkpoint
from ppbench.models.loaded import Checkpoint
from ppbench.models.shapes import canonical_name
from ppbench.models.weights import weights_hash
from ppbench.train.augment import parse_augmentation
from ppbench.train.data import TrainingData
from ppbench.train.images import Transforms
from ppbench.train.recipe import TrainRecipe
from ppbench.versions import versions_of


def make_network(card: Card, start: Checkpoint | None, report: Callable[[str], None]) -> nn.Module:
    """Make the network of a card.

    Args:
        card: Card of the network; its seed is the seed of the weights.
        start: A checkpoint to take the weights from; None: random weights.
        report: Called with a line if the last layer starts from random weights.

    Raises:
        UsageError: If there is no such network.
    """
    with torch.random.fork_rng(devices=[]):
        # Not `torch.manual_seed`, which would also reseed the GPUs.
        torch.default_generator.manual_seed(card.seed or 0)
        network = build(card)
    if start is None:
        return network
    state, same_classes = start.model.state_dict(), start.card.num_classes == card.num_classes
    if not same_classes:
        report(
            f"{card.num_classes} classes instead of {start.card.num_classes}: the last layer starts from random weights"
        )
        state = {name: value for name, value in state.items() if not name.startswith(_LAST_LAYER)}
    network.load_state_dict(state, strict=same_classes)
    return network


_LAST_LAYER = "fc."
"""Prefix of the tensors of a ResNet's last layer."""


def load_start(initial: Path | Checkpoint, recipe: TrainRecipe) -> Checkpoint:
    """Load the initial weights of the network that the recipe names.

    Raises:
        UsageError: If they belong to another network.
        DataError: If they cannot be read.
    """
    start = load_checkpoint(initial) if isinstance(initial, Path) else initial
    path = initial if isinstance(initial, Path) else "the initial checkpoint"
    theirs, wanted = canonical_name(start.card.architecture), canonical_name(recipe.model)
    if theirs != wanted:
        raise UsageError(f"{path} holds a {theirs}, but a {wanted} is wanted", f"`--model {theirs}`")
    if start.card.trainable_inhibition != recipe.trainable_inhibition:
        option = "--trainable-inhibition" if start.card.trainable_inhibition else "--fixed-inhibition"
        raise UsageError(f"{path} and the recipe differ in whether the inhibition is trainable", f"`{option}`")
    return start


def make_card(
    recipe: TrainRecipe, data: TrainingData, cut: Transforms, start: Checkpoint | None, command: str | None
) -> Card:
    """Make the card of the network to train, complete except for its accuracy; the card of ``start`` is its basis."""
    of_run = {
        "num_classes": len(data.class_names),
        "input_size": cut.size,
        "resize": cut.test_resize,
        "crop_mode": "center",  # as the test images are cropped during training
        "inhibition": recipe.inhibition,
        "trained_on": recipe.dataset,
        "trained_on_corruptions": parse_augmentation(recipe.augment).overlaps_at(cut.size),
        "class_names": data.class_names,
        "clean_accuracy": None,
        "seed": recipe.seed,
        "recipe": recipe.model_dump(),
        # torch.__version__, unlike the version of the installed package, tells builds for CPU and CUDA apart.
        "versions": {
            **versions_of("ppbench"),
            "torch": torch.__version__,
            "lightning": lightning.__version__,
            **versions_of("python"),
        },
        "command": command,
    }
    if start is not None:
        _check_start_fits(start, data)
        origin = {**(start.card.origin or {}), "initial_weights": weights_hash(start.model)}
        return start.card.model_copy(update={**of_run, "origin": origin})
    return Card(
        **of_run,  # type: ignore[arg-type]
        architecture=canonical_name(recipe.model),
        in_channels=data.channels,
        mean=data.mean,
        std=data.std,
        trainable_inhibition=recipe.trainable_inhibition,
    )


def change_of_images(before: Card, now: Card) -> str | None:
    """Describe for people how the image size of a starting network changes; None: it does not."""

    def described(card: Card) -> str:
        resized = "not resized" if card.resize is None else f"resized to {card.resize}"
        return f"{card.input_size} px ({resized}{f', {card.crop_mode}' * (card.crop_mode != 'center')})"

    if (before.input_size, before.resize, before.crop_mode) == (now.input_size, now.resize, now.crop_mode):
        return None
    return f"the network now takes images of {described(now)}; before, {described(before)}"


def _check_start_fits(start: Checkpoint, data: TrainingData) -> None:
    card = start.card
    if card.in_channels != data.channels:
        raise UsageError(
            f"the initial network takes {counted(card.in_channels, 'channel')}, but the images have {data.channels}",
            "Choose another `--init`, or another dataset.",
        )
    if card.num_classes != len(data.class_names) and f"{_LAST_LAYER}weight" not in start.model.state_dict():
        raise UsageError(
            f"the initial network has {card.num_classes} classes, but the images have {len(data.class_names)}",
            "Use images of the same classes.",
        )
