"""Checkpoints: ppbench's own (safetensors with a card), torchvision's, and the push-pull authors'."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from ppbench.errors import DataError, UsageError
from ppbench.files import atomic_write
from ppbench.models.authors import authors_card, authors_names, is_authors
from ppbench.models.build import build_for
from ppbench.models.card import IMAGENET_MEAN, IMAGENET_STD, METADATA_KEY, Card, stored_card
from ppbench.models.card_options import CardOptions
from ppbench.models.loaded import Checkpoint
from ppbench.models.recognise import check_is_resnet, recognise
from ppbench.models.shapes import canonical_name, is_external, parse_model_name
from ppbench.models.statedict import StateFile, load_state, read_state_file
from ppbench.models.states import without_wrappers


def load_checkpoint(
    path: str | Path,
    *,
    architecture: str | None = None,
    card: Card | None = None,
    options: CardOptions | None = None,
) -> Checkpoint:
    """Load a network and its card from a file. Nothing that the file names is imported or run.

    Supported are ppbench's own ``.safetensors``; torchvision state dicts (``.pth`` or ``.safetensors``), also with a
    ``module.`` prefix; and the push-pull authors' Lightning ``.ckpt``, whose hyper-parameters describe the network.
    The global random generator is left as it is.

    Args:
        path: The file.
        architecture: Name for `create_model`. A bare state dict of a push-pull network needs it; a plain network is
            recognised by its tensors.
        card: Card for a bare state dict. Without it, ImageNet preprocessing is assumed for a 7x7-stem network with
            1000 classes.
        options: Values that replace those of the file's card, or make the card of a bare state dict.

    Returns:
        The model (eval mode, CPU, float32) and its card.

    Raises:
        DataError: If the file is missing, damaged or of another kind, or if its tensors do not fit the network. The
            message lists missing and unexpected keys, and shapes or types that differ.
        UsageError: If ``architecture`` is unknown or contradicts the file, or if the file has no card and ``options``
            do not make one.
    """
    path, options = Path(path), options or CardOptions()
    file = read_state_file(path, ema=options.ema)
    stored = stored_card(path, file.metadata)
    if stored is not None and is_external(stored.architecture):
        state = file.tensors  # ppbench stores these networks under their own names, so nothing needs renaming
    else:
        state = authors_names(path, without_wrappers(file.tensors, ema=options.ema))
    architecture = architecture or options.architecture
    if card is None and stored is not None:
        card = options.override(stored, str(path))
    card = card or _make_card(path, file, state, architecture, options)
    if architecture and canonical_name(architecture) != canonical_name(card.architecture):
        raise UsageError(
            f"{path} holds a {card.architecture}, not a {architecture}",
            "Leave out the architecture: the file names it.",
        )
    model = build_for(path, card, state)
    load_state(path, model, state)
    if file.choice is not None:
        card = card.model_copy(update={"weights": file.choice})
    return Checkpoint(model.eval(), card)


def save_checkpoint(path: str | Path, model: nn.Module, card: Card) -> None:
    """Write the state of ``model`` and its ``card`` to ``path`` as safetensors, atomically.

    Raises:
        DataError: If the folder cannot be written.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    blob = safetensors.torch.save(state, {METADATA_KEY: card.model_dump_json(exclude_none=True)})
    atomic_write(Path(path), blob)


def _make_card(
    path: Path, file: StateFile, state: Mapping[str, Tensor], architecture: str | None, options: CardOptions
) -> Card:
    """Make a card for a file without one, from its hyper-parameters, or from its tensors and the user's options."""
    settings = file.hyper_parameters
    if settings and is_authors(settings):
        try:
            return options.override(authors_card(path, settings, state), str(path))
        except DataError:
            # Hyper-parameters that cannot be read do not matter if the user says what they would have said.
            if not (architecture and options.is_complete):
                raise
    return _card_of_state(path, file.tensors, state, architecture or recognise(path, file.tensors, state), options)


def _card_of_state(
    path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Tensor], architecture: str, options: CardOptions
) -> Card:
    """Make the card of a bare state dict. 1000 classes mean ImageNet; for other datasets the user has to give it.

    ``tensors`` are under the names in the file, ``state`` is under torchvision's names.
    """
    check_is_resnet(path, state)
    name = parse_model_name(architecture).name
    num_classes, in_channels = state["fc.weight"].shape[0], state["conv1.weight"].shape[1]
    known: dict[str, Any] = {
        "architecture": name,
        "num_classes": num_classes,
        "in_channels": in_channels,
        "stem_bias": "conv1.bias" in state,
        "trainable_inhibition": "conv1.inhibition" in state,
    }
    if num_classes == 1000 and in_channels == 3 and parse_model_name(name).stem == "imagenet":
        usual: dict[str, Any] = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, **_normalization(tensors)}
        return options.override(Card(**known, input_size=224, resize=256, trained_on="imagenet", **usual), str(path))
    if options.is_empty:
        raise UsageError(
            f"{path} is a bare state dict ({name}, {num_classes} classes): its mean, std and input size are not known",
            "Give the card: `--preset cifar10`, or `--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 "
            "--input-size 224`; in Python: `load_checkpoint(path, card=Card(...))`. Checkpoints of `ppbench train` "
            "contain theirs.",
        )
    return options.make(str(path), **known)


def _normalization(tensors: Mapping[str, Tensor]) -> dict[str, tuple[float, ...]]:
    """Return mean and std of the normalising layer that the package robustness puts before its networks."""
    ends = {"mean": "normalizer.new_mean", "std": "normalizer.new_std"}
    found = {
        # Rounded, because float32 has 0.485 as 0.48500001.
        field: tuple(round(float(value), 6) for value in tensor.flatten())
        for field, end in ends.items()
        for name, tensor in tensors.items()
        if name.endswith(end) and "attacker" not in name and tensor.numel() in (1, 3)
    }
    return found if len(found) == 2 else {}
