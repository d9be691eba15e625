"""Checkpoints: ppbench's own (safetensors with a card), torchvision's, and the push-pull authors'."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pydantic
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ppbench.errors import DataError, UsageError
from ppbench.files import atomic_write
from ppbench.models.card import CIFAR_MEAN, CIFAR_STD, IMAGENET_MEAN, IMAGENET_STD, Card
from ppbench.models.catalog import SMALL_RESNETS, parse_model_name
from ppbench.models.resnet import create_model
from ppbench.models.unpickle import read_torch_file

METADATA_KEY = "ppbench_card"

_COUNTER = "num_batches_tracked"

_NOT_A_CHECKPOINT = {
    b"<": "it begins like a web page: the download answered with HTML, not with weights",
    b"version https://git-lfs": "it is a Git LFS pointer (`git lfs pull` fetches the weights themselves)",
}


class Checkpoint(NamedTuple):
    """A network with its weights, in eval mode on the CPU, and the card that says how to use it."""

    model: nn.Module
    card: Card


def load_checkpoint(path: str | Path, *, architecture: str | None = None, card: Card | None = None) -> Checkpoint:
    """Load a network and its card from a file, whatever its kind. Nothing the file names is imported or run.

    Kinds: ppbench's own ``.safetensors``; torchvision state dicts (``.pth``), also with a ``module.`` prefix,
    also as ``.safetensors``; the push-pull authors' Lightning ``.ckpt``, whose network is read from its
    hyper-parameters. The global random generator is left as it is.

    Args:
        path: The file.
        architecture: Name for `create_model`, for a bare state dict of a push-pull network; a plain network is
            recognised by its tensors.
        card: Card for a bare state dict. Without it, 1000 classes of a 7x7-stem network mean ImageNet
            preprocessing.

    Returns:
        The model (eval mode, CPU, float32) and its card.

    Raises:
        DataError: If the file is missing, damaged, of another kind, or its tensors do not fit the network:
            missing and unexpected keys, and shapes or types that differ, are listed.
        UsageError: If ``architecture`` is no known name, or another than the file says.
    """
    path = Path(path)
    _check_readable(path)
    content = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    card = card or content.card or _card_of_state(path, content.state, architecture or _recognise(path, content))
    if architecture and parse_model_name(architecture) != parse_model_name(card.architecture):
        raise UsageError(
            f"{path} holds a {card.architecture}, not a {architecture}",
            "Leave the architecture out: the file says it.",
        )
    # Without memory at first: a card may ask for any size, and only one that the tensors have is made.
    with torch.device("meta"):
        model = build(card)
    _check_fits(path, model, content.state)
    model.to_empty(device="cpu")
    _fill(model, content.state)
    return Checkpoint(model.eval(), card)


def save_checkpoint(path: str | Path, model: nn.Module, card: Card) -> None:
    """Write ``model``'s state and ``card`` to ``path`` as safetensors; the file appears whole or not at all.

    Raises:
        DataError: If the folder cannot be written.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    blob = safetensors.torch.save(state, {METADATA_KEY: card.model_dump_json(exclude_none=True)})
    atomic_write(Path(path), blob)


def build(card: Card) -> nn.Module:
    """Build the network a card describes, with random weights."""
    return create_model(
        card.architecture,
        card.num_classes,
        in_channels=card.in_channels,
        stem_bias=card.stem_bias,
        inhibition=card.inhibition,
        trainable_inhibition=card.trainable_inhibition,
    )


def weights_hash(model: nn.Module) -> str:
    """Return the SHA-256 (hex) of all parameters and buffers: names, types, shapes, bytes, by order of names.

    Independent of the file format, of the device and of the memory layout.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
        digest.update(plain.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise DataError(
            f"cannot read the checkpoint {path}: {error.strerror}", "Give the path of an existing file."
        ) from error
    if not head:
        raise DataError(f"{path} is empty", "Delete it and fetch the file again.")
    # A text has no zero bytes; the length that begins a safetensors file has, and may else look like "<".
    text = b"" if b"\0" in head else head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for start, meaning in _NOT_A_CHECKPOINT.items():
        if text.startswith(start):
            raise DataError(f"{path} is not a checkpoint: {meaning}", "Delete it and fetch the file again.")


def _is_safetensors(path: Path) -> bool:
    """Safetensors files begin with the length of their JSON header; the name's ending does not count."""
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:9] == b"{"


class _Content(NamedTuple):
    """What a file holds, with torchvision's names."""

    state: dict[str, Tensor]
    card: Card | None
    push_pull: bool
    """Whether the names in the file are those of a push-pull stem."""


def _read_safetensors(path: Path) -> _Content:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        stored = Card.model_validate_json(metadata[METADATA_KEY]) if METADATA_KEY in metadata else None
        if stored:
            parse_model_name(stored.architecture)
    except safetensors.SafetensorError as error:
        raise DataError(
            f"{path} is a damaged safetensors file ({error})",
            "Fetch or copy it again; compare its size and hash.",
        ) from error
    except (pydantic.ValidationError, UsageError) as error:
        raise DataError(
            f"the card in {path} is not valid: {_reason(error)}", "Was it written by this version of ppbench?"
        ) from error
    return _Content(_plain_names(state), stored, _has_push_kernel(state))


def _has_push_kernel(names: Iterable[str]) -> bool:
    """Whether the authors' name of a push kernel is among the names; ppbench's own is that of a plain kernel."""
    return any("conv1.push_conv." in name for name in names)


def _reason(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return error.message if isinstance(error, UsageError) else repr(error)


def _read_torch(path: Path) -> _Content:
    content = read_torch_file(path)
    if not isinstance(content, Mapping):
        raise DataError(f"{path} holds no state dict but a {type(content).__name__}", "Save `model.state_dict()`.")
    inner = content.get("state_dict", content)
    if not isinstance(inner, Mapping):
        raise DataError(f"the state_dict in {path} is a {type(inner).__name__}", "Save `model.state_dict()`.")
    # Some of the authors' files keep the fixed inhibition strength in the state dict, as a plain number.
    tensors = {k: v for k, v in inner.items() if isinstance(k, str) and isinstance(v, Tensor)}
    state = _plain_names(tensors)
    if not state:
        raise DataError(f"{path} holds no tensors", "Save `model.state_dict()`, not the whole model.")
    settings = content.get("hyper_parameters")
    card = _authors_card(path, settings, state) if isinstance(settings, Mapping) else None
    return _Content(state, card, _has_push_kernel(tensors))


def _plain_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename to torchvision's names: no prefixes of wrapping modules, the authors' names translated."""
    renamed = {}
    for name, tensor in state.items():
        name = re.sub(r"^(module\.|model\.|_orig_mod\.)+", "", name)
        name = re.sub(r"^bn\.", "bn1.", name)
        name = re.sub(r"^classifier\.", "fc.", name)
        name = name.replace("conv1.push_conv.weight", "conv1.weight")
        name = name.replace("conv1.pull_inhibition_strength", "conv1.inhibition")
        renamed[name] = tensor
    return renamed


def _authors_card(path: Path, settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> Card:
    """The card of one of the authors' checkpoints, from its hyper-parameters."""
    try:
        network, dataset = settings["model"].lower(), settings["dataset_name"]
        cifar = dataset.startswith("cifar")
        push_pull = bool(settings["use_push_pull"]) and int(settings["num_push_pull_layers"]) >= 1
        suffix = f"-pp{int(settings['avg_kernel_size'])}" if push_pull else ""
        trainable = push_pull and bool(settings["trainable_pull_inhibition"])
        size = 32 if cifar else int(settings.get("img_size") or 224)
        grey = bool(settings.get("use_grayscale"))
        colour = (CIFAR_MEAN, CIFAR_STD) if cifar else (IMAGENET_MEAN, IMAGENET_STD)
        mean, std = _grey(*colour) if grey else colour
        return Card(
            architecture=parse_model_name(f"{network}{'-cifar' if cifar else ''}{suffix}").name,
            num_classes=int(settings["num_classes"]),
            in_channels=1 if grey else 3,
            input_size=size,
            resize=None if cifar else size,
            mean=mean,
            std=std,
            stem_bias="conv1.bias" in state,
            inhibition=1.0 if trainable or not push_pull else float(settings["pull_inhibition_strength"]),
            trainable_inhibition=trainable,
            trained_on=dataset,
            source="github.com/bgswaroop/pushpull-conv",
        )
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise DataError(
            f"the hyper-parameters in {path} do not describe a network ppbench knows ({_reason(error)})",
            "Give the card: `load_checkpoint(path, card=Card(...))`.",
        ) from error


def _grey(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[tuple[float], tuple[float]]:
    """The one mean and std that do to grey images what the authors do: normalise as colour, then mix the channels."""
    luma = (0.2989, 0.587, 0.114)  # of torchvision.transforms.Grayscale
    scale = sum(part / s for part, s in zip(luma, std, strict=True))
    shift = sum(part * m / s for part, m, s in zip(luma, mean, std, strict=True))
    return (shift / scale,), (1 / scale,)


def _card_of_state(path: Path, state: Mapping[str, Tensor], architecture: str) -> Card:
    """The card of a bare state dict: ImageNet is known by its 1000 classes."""
    _check_telling(path, state)
    name = parse_model_name(architecture).name
    num_classes, in_channels = state["fc.weight"].shape[0], state["conv1.weight"].shape[1]
    if num_classes != 1000 or in_channels != 3 or parse_model_name(name).stem != "imagenet":
        raise DataError(
            f"{path} is a bare state dict ({name}, {num_classes} classes): its mean, std and input size are not known",
            "Give the card: `load_checkpoint(path, card=Card(...))`; checkpoints of `ppbench train` carry theirs.",
        )
    return Card(
        architecture=name,
        num_classes=num_classes,
        input_size=224,
        resize=256,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        stem_bias="conv1.bias" in state,
        trainable_inhibition="conv1.inhibition" in state,
        trained_on="imagenet",
    )


_TELLING = {"conv1.weight": 4, "fc.weight": 2, "layer1.0.conv2.weight": 4}
"""The tensors a network is recognised by, with their dimensions."""

_DEPTHS: dict[tuple[bool, tuple[int, ...]], str] = {
    (False, (2, 2, 2, 2)): "resnet18",
    (False, (3, 4, 6, 3)): "resnet34",
    (True, (3, 4, 6, 3)): "resnet50",
    (True, (3, 4, 23, 3)): "resnet101",
    (True, (3, 8, 36, 3)): "resnet152",
}
"""Networks by (bottleneck blocks, blocks per stage)."""

_GROUPED = {("resnet50", 4): "resnext50_32x4d", ("resnet101", 8): "resnext101_32x8d"}
"""ResNeXts by (their ResNet, input channels per group of the first 3x3 convolution)."""


def _check_telling(path: Path, state: Mapping[str, Tensor]) -> None:
    if any(name not in state or state[name].dim() != dim for name, dim in _TELLING.items()):
        raise DataError(f"{path} is the state dict of no network ppbench knows", _keys_found(state))


def _recognise(path: Path, content: _Content) -> str:
    """Name the plain network whose state dict this is."""
    state = content.state
    _check_telling(path, state)
    if content.push_pull:
        raise DataError(
            f"{path} holds the weights of a push-pull network, but not the size of its mean filter",
            "Name the network: `load_checkpoint(path, architecture='resnet50-pp3')`.",
        )
    blocks = [{n.split(".")[1] for n in state if n.startswith(f"layer{stage}.")} for stage in (1, 2, 3, 4)]
    counts = tuple(map(len, blocks))
    if counts[3] == 0 and counts[0]:
        small = next((name for name, n in SMALL_RESNETS.items() if counts[:3] == (n, n, n)), None)
        if small:
            return small
    network = _DEPTHS.get(("layer1.0.conv3.weight" in state, counts))
    if network is None:
        raise DataError(f"{path} is the state dict of no network ppbench knows", _keys_found(state))
    per_group = state["layer1.0.conv2.weight"].shape[1]
    network = _GROUPED.get((network, per_group), network)
    return network if state["conv1.weight"].shape[-1] == 7 else f"{network}-cifar"


def _keys_found(state: Mapping[str, Tensor]) -> str:
    return f"Its first keys: {', '.join(list(state)[:4])}. `ppbench list models` lists the networks."


def _check_fits(path: Path, model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Raise one `DataError` with all in ``state`` that does not fit ``model``."""
    own = model.state_dict()
    missing = [name for name in own if name not in state and not name.endswith(_COUNTER)]
    unexpected = [name for name in state if name not in own]
    differing = [
        f"{name} {_kind(state[name])} instead of {_kind(own[name])}"
        for name in own
        if name in state and _kind(state[name]) != _kind(own[name])
    ]
    problems = [
        f"{label}: {', '.join(names[:8])}" + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        for label, names in (("missing", missing), ("unexpected", unexpected), ("differing", differing))
        if names
    ]
    if problems:
        raise DataError(f"the weights in {path} do not fit the network", "\n".join(problems))


def _kind(tensor: Tensor) -> str:
    """What must be equal for one tensor to be loaded into another; the number of bits need not be."""
    kind = "complex" if tensor.is_complex() else "float" if tensor.is_floating_point() else "integer"
    return f"{kind} {tuple(tensor.shape)}"


def _fill(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a ``state`` that fits; the batch counters, which old files lack, start from 0."""
    counters = {n: torch.zeros_like(t) for n, t in model.state_dict().items() if n.endswith(_COUNTER)}
    model.load_state_dict(counters | dict(state))
