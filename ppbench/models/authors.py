"""Checkpoints of the push-pull authors' code and of antialiased-cnns, which that code builds on.

Sources of the names: github bgswaroop/pushpull-conv (project/models/classification), adobe/antialiased-cnns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pydantic
from torch import Tensor

from ppbench.errors import DataError, UsageError
from ppbench.models.blur import POOL_SIZE
from ppbench.models.card import CIFAR_MEAN, CIFAR_STD, IMAGENET_MEAN, IMAGENET_STD, Card, first_fault
from ppbench.models.shapes import parse_model_name

_RIVALS = ("zhang_", "strisciuglio_", "vasconcelos_")
"""Prefixes of the networks that the authors compare with."""

_TWO_STEMS = "it has both a push-pull stem and blur pool, and ppbench supports only one of them at a time"

OWN_CODE = "Write a function that builds the network and loads the file, and give `--model pkg.mod:factory`."


def is_authors(settings: Mapping[str, Any]) -> bool:
    """Whether the hyper-parameters come from the authors' training code, not from another Lightning module."""
    return {"model", "dataset_name", "use_push_pull"} <= settings.keys()


def authors_names(path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors as torchvision does, and drop the blur filters, for which ppbench's networks have no buffers.

    Raises:
        DataError: If the filters belong to a network that ppbench cannot build.
    """
    filters = {name: tensor for name, tensor in state.items() if name.endswith(".filt")}
    if filters:
        _check_filters(path, state, filters)
    renamed = {}
    for name, tensor in state.items():
        if name in filters:
            continue
        if name == "conv1.alpha":  # the layer of 2020 stores its strengths as (1, channels, 1, 1)
            tensor = tensor.flatten()
        renamed[_without_blur_index(_name(name), filters)] = tensor
    return renamed


def has_blur_filters(state: Iterable[str]) -> bool:
    """Whether the tensor names include blur filters, as in antialiased-cnns."""
    return any(name.endswith(".filt") for name in state)


def authors_card(path: Path, settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> Card:
    """Make the card of one of the authors' checkpoints from its hyper-parameters.

    Raises:
        DataError: If they do not describe a network that ppbench can build.
    """
    try:
        return _card(path, settings, state)
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise DataError(
            f"the hyper-parameters in {path} do not describe a network that ppbench knows ({_reason(error)})",
            "Give the card: `--architecture resnet50-pp3 --preset imagenet`; "
            "in Python: `load_checkpoint(path, card=Card(...))`.",
        ) from error


def _card(path: Path, settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> Card:
    called, dataset = settings["model"].lower(), settings["dataset_name"]
    cifar = dataset.startswith("cifar")
    rival = next((start for start in _RIVALS if called.startswith(start)), "")
    push_pull = bool(settings["use_push_pull"]) and int(settings.get("num_push_pull_layers", 1)) >= 1
    _check_known(path, called, rival, push_pull)
    suffix = _suffix(rival, push_pull, settings)
    has_inhibition = push_pull and rival in ("", "strisciuglio_")
    trainable = has_inhibition and bool(settings["trainable_pull_inhibition"])
    size = 32 if cifar else int(settings.get("img_size") or 224)
    grey = bool(settings.get("use_grayscale"))
    colour = (CIFAR_MEAN, CIFAR_STD) if cifar else (IMAGENET_MEAN, IMAGENET_STD)
    mean, std = _grey(*colour) if grey else colour
    return Card(
        architecture=parse_model_name(f"{called.removeprefix(rival)}{'-cifar' if cifar else ''}{suffix}").name,
        num_classes=int(settings["num_classes"]),
        in_channels=1 if grey else 3,
        input_size=size,
        resize=None if cifar else size,
        mean=mean,
        std=std,
        stem_bias="conv1.bias" in state,
        # A trained strength is among the tensors, and the card has the default.
        inhibition=1.0 if trainable or not has_inhibition else float(settings["pull_inhibition_strength"]),
        trainable_inhibition=trainable,
        trained_on=dataset,
        source="github.com/bgswaroop/pushpull-conv",
    )


def _suffix(rival: str, push_pull: bool, settings: Mapping[str, Any]) -> str:
    if rival == "zhang_":
        return "-blurpool"
    if rival == "strisciuglio_":
        return "-pp2020" if push_pull else ""
    return f"-pp{int(settings['avg_kernel_size'])}" if push_pull else ""


def _check_known(path: Path, called: str, rival: str, push_pull: bool) -> None:
    """Raise `DataError` for a network of the authors that ppbench cannot build; the message says why."""
    missing = None
    if rival == "zhang_" and push_pull:
        missing = _TWO_STEMS
    elif re.match(r"efficientnet|convnext|alexnet|convnet|cct", called):
        missing = f"ppbench cannot read the names that their code gives to the tensors of a {called}"
    if missing:
        raise DataError(f"{path} holds the push-pull authors' {called}, which cannot be built: {missing}", OWN_CODE)


def _check_filters(path: Path, state: Mapping[str, Tensor], filters: Mapping[str, Tensor]) -> None:
    taps = sorted({int(tensor.shape[-1]) for tensor in filters.values() if tensor.dim()})
    missing = None
    if any(re.search(r"conv\d\.1\.filt$", name) for name in filters):
        missing = (
            "it blurs after every 3x3 convolution of stages 2 to 4 and after the max pool; "
            "ppbench's …-blurafter blurs only after strided convolutions"
        )
    elif not any(name.startswith(("layer2.0.conv2.0.", "layer2.0.conv3.0.")) for name in filters):
        missing = "ppbench supports blur pool only in ResNets"
    elif "maxpool.1.filt" in filters:
        missing = "its first convolution keeps its stride (pool_only=True); ppbench's …-blurpool blurs there too"
    elif taps != [POOL_SIZE]:
        missing = f"its blurs have {'/'.join(map(str, taps))} taps; ppbench's …-blurpool has {POOL_SIZE}"
    elif any("push_conv" in name for name in state):
        missing = _TWO_STEMS
    if missing:
        raise DataError(f"{path} holds a network of antialiased-cnns that ppbench cannot build: {missing}", OWN_CODE)


def _name(name: str) -> str:
    name = re.sub(r"^bn\.", "bn1.", name)
    name = re.sub(r"^(classifier|linear)\.", "fc.", name)
    name = re.sub(r"^(layer\d+\.\d+)\.shortcut\.", r"\1.downsample.", name)
    name = re.sub(r"(^|\.)conv1\.(push_conv|push)\.(weight|bias)$", r"\1conv1.\3", name)
    return re.sub(r"^conv1\.(pull_inhibition_strength|alpha)$", "conv1.inhibition", name)


def _without_blur_index(name: str, filters: Mapping[str, Tensor]) -> str:
    """Return a name without the index behind a blur in a ``Sequential``: ``conv3.1.weight`` -> ``conv3.weight``."""
    found = re.fullmatch(r"(layer\d+\.\d+)\.(conv\d|downsample)\.(\d)\.(.+)", name)
    if found is None or f"{found[1]}.{found[2]}.0.filt" not in filters:
        return name
    place = "" if found[2] != "downsample" else f".{int(found[3]) - 1}"
    return f"{found[1]}.{found[2]}{place}.{found[4]}"


def _reason(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        return first_fault(error)
    return error.message if isinstance(error, UsageError) else repr(error)[:200]


def _grey(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[tuple[float], tuple[float]]:
    """Return the mean and std that reproduce the authors' steps on grey images: normalise as colour, then mix channels.

    Both steps are affine, so they combine into one.
    """
    luma = (0.2989, 0.587, 0.114)  # of torchvision.transforms.Grayscale
    scale = sum(part / s for part, s in zip(luma, std, strict=True))
    shift = sum(part * m / s for part, m, s in zip(luma, mean, std, strict=True))
    return (shift / scale,), (1 / scale,)
