"""Checkpoints: ppbench's own (safetensors with a card), torchvision's, and the push-pull authors'."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pydantic
import safetensors.torch
import torch
from torch import Tensor, nn

from ppbench.errors import DataError, UsageError
from ppbench.files import atomic_write
from ppbench.models.authors import OWN_CODE, authors_card, authors_names, has_blur_filters, is_authors
from ppbench.models.card import IMAGENET_MEAN, IMAGENET_STD, Card, CardOptions, first_fault
from ppbench.models.external import build_external, build_for, is_external
from ppbench.models.resnet import create_model
from ppbench.models.shapes import SMALL_RESNETS, parse_model_name
from ppbench.models.statedict import StateFile, check_fits, fill, keys_found, read_state_file
from ppbench.models.states import without_wrappers

METADATA_KEY = "ppbench_card"


class Checkpoint(NamedTuple):
    """A network with its weights, in eval mode on the CPU, and the card that says how to use it."""

    model: nn.Module
    card: Card


def load_checkpoint(
    path: str | Path,
    *,
    architecture: str | None = None,
    card: Card | None = None,
    options: CardOptions | None = None,
) -> Checkpoint:
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
        options: Values that replace those of the file's card, or make up the card of a bare state dict.

    Returns:
        The model (eval mode, CPU, float32) and its card.

    Raises:
        DataError: If the file is missing, damaged, of another kind, or its tensors do not fit the network:
            missing and unexpected keys, and shapes or types that differ, are listed.
        UsageError: If ``architecture`` is no known name, or another than the file says, or the file has no card and
            ``options`` make none.
    """
    path, options = Path(path), options or CardOptions()
    content = _read(path, options.ema)
    architecture = architecture or options.architecture
    card = card or _find_card(path, content, architecture, options)
    if architecture and _canonical(architecture) != _canonical(card.architecture):
        raise UsageError(
            f"{path} holds a {card.architecture}, not a {architecture}",
            "Leave the architecture out: the file says it.",
        )
    if is_external(card.architecture):
        model = build_for(path, card, content.state)
    else:
        # Without memory at first: a card may ask for any size, and only one that the tensors have is made.
        with torch.device("meta"):
            model = build(card)
    check_fits(path, model, content.state)
    fill(model, content.state)
    if content.choice is not None:
        card = card.model_copy(update={"weights": content.choice})
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
    if is_external(card.architecture):
        return build_external(card)
    return create_model(
        card.architecture,
        card.num_classes,
        in_channels=card.in_channels,
        stem_bias=card.stem_bias,
        inhibition=card.inhibition,
        trainable_inhibition=card.trainable_inhibition,
        rectified_push=card.rectified_push,
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


class _Content(NamedTuple):
    """What a file holds, with torchvision's names."""

    state: dict[str, Tensor]
    card: Card | None
    """The one that ppbench stored."""
    push_pull: bool
    """Whether the names in the file are those of a push-pull stem."""
    hyper_parameters: Mapping[str, Any] | None
    """Of the push-pull authors' training."""
    normalization: dict[str, tuple[float, ...]]
    """Mean and std, where the file has them."""
    choice: str | None
    """See `StateFile`."""
    blur_pool: bool
    """Whether the file has the filters of blur pools."""
    push_pull_2020: bool
    """Whether the names in the file are those of the layer of 2020."""


def _read(path: Path, ema: bool) -> _Content:
    file = read_state_file(path, ema=ema)
    # The authors' name of a push kernel; ppbench's own is that of a plain kernel.
    push_pull = any("conv1.push_conv." in name for name in file.tensors)
    card = _stored_card(path, file)
    # Networks of others have names of their own, which ppbench wrote as they are.
    as_they_are = card is not None and is_external(card.architecture)
    state = file.tensors if as_they_are else authors_names(path, without_wrappers(file.tensors, ema=ema))
    settings = file.hyper_parameters if file.hyper_parameters and is_authors(file.hyper_parameters) else None
    blurs = not as_they_are and has_blur_filters(file.tensors)
    return _Content(
        state,
        card,
        push_pull,
        settings,
        _normalization(file.tensors),
        file.choice,
        blurs,
        any("conv1.push.weight" in name for name in file.tensors),
    )


def _normalization(tensors: Mapping[str, Tensor]) -> dict[str, tuple[float, ...]]:
    """Mean and std of the normalising layer that the package robustness puts before its networks."""
    ends = {"mean": "normalizer.new_mean", "std": "normalizer.new_std"}
    found = {
        field: tuple(round(float(value), 6) for value in tensor.flatten())
        for field, end in ends.items()
        for name, tensor in tensors.items()
        if name.endswith(end) and "attacker" not in name and tensor.numel() in (1, 3)
    }
    return found if len(found) == 2 else {}


def _stored_card(path: Path, file: StateFile) -> Card | None:
    if METADATA_KEY not in file.metadata:
        return None
    try:
        card = Card.model_validate_json(file.metadata[METADATA_KEY])
        _canonical(card.architecture)
    except (pydantic.ValidationError, UsageError) as error:
        reason = error.message if isinstance(error, UsageError) else first_fault(error)
        raise DataError(
            f"the card in {path} is not valid: {reason}",
            "Was it written by this version of ppbench?",
        ) from error
    return card


def _canonical(architecture: str) -> str:
    """The one name of a network; `UsageError` if it is none that can be built."""
    return architecture if is_external(architecture) else parse_model_name(architecture).name


def _find_card(path: Path, content: _Content, architecture: str | None, options: CardOptions) -> Card:
    """The card that the file has, or one told by its hyper-parameters or its tensors and the user."""
    if content.card is not None:
        return options.override(content.card, str(path))
    if content.hyper_parameters is not None:
        try:
            return options.override(authors_card(path, content.hyper_parameters, content.state), str(path))
        except DataError:
            if not (architecture and options.is_complete):
                raise
    return _card_of_state(path, content, architecture or _recognise(path, content), options)


def _card_of_state(path: Path, content: _Content, architecture: str, options: CardOptions) -> Card:
    """The card of a bare state dict: ImageNet is known by its 1000 classes, else the user has to tell."""
    state = content.state
    _check_telling(path, state)
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
        usual: dict[str, Any] = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, **content.normalization}
        return options.override(Card(**known, input_size=224, resize=256, trained_on="imagenet", **usual), str(path))
    if options.is_empty:
        raise UsageError(
            f"{path} is a bare state dict ({name}, {num_classes} classes): its mean, std and input size are not known",
            "Give the card: `--preset cifar10`, or `--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 "
            "--input-size 224`; in Python: `load_checkpoint(path, card=Card(...))`. Checkpoints of `ppbench train` "
            "carry theirs.",
        )
    return options.make(str(path), **known)


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


_WIDE = {
    ("resnet50", 128, 128): "wide_resnet50_2",
    ("resnet101", 128, 128): "wide_resnet101_2",
    ("resnet101", 256, 4): "resnext101_64x4d",
}
"""torchvision's other ResNets by (their ResNet, channels of the first block, of these in a group)."""

_WIDTHS = {(64, 64), (128, 4), (256, 8)}
"""Of the ResNets and ResNeXts that ppbench builds."""

_LOOKS = (
    (r"features\.denseblock1\.", "torchvision's DenseNets: `--model torchvision:densenet121@FILE`"),
    (r"features\.\d+\.squeeze\.", "torchvision's SqueezeNets: `--model torchvision:squeezenet1_1@FILE`"),
    (r"features\.1\.0\.layer_scale", "torchvision's ConvNeXts: `--model torchvision:convnext_tiny@FILE`"),
    (r"features\.1\.0\.attn\.", "torchvision's Swins: `--model torchvision:swin_t@FILE`"),
    (r"features\.1\.0?\.?(block|conv)\.", "torchvision's EfficientNets: `--model torchvision:efficientnet_b0@FILE`"),
    (r"encoder\.layers\.encoder_layer_0\.", "torchvision's vision transformers: `--model torchvision:vit_b_16@FILE`"),
    (r"classifier\.6\.", "torchvision's VGGs and AlexNet: `--model torchvision:vgg16@FILE`"),
    (r"blocks\.0\.attn\.qkv\.", "timm's vision transformers: `--model timm:vit_base_patch16_224@FILE`"),
    (r"stages\.0\.blocks\.0\.", "timm's ConvNeXts: `--model timm:convnext_tiny@FILE`"),
    (r"layers\.0\.blocks\.0\.attn\.", "timm's Swins: `--model timm:swin_tiny_patch4_window7_224@FILE`"),
    (r"conv_stem\.", "timm's EfficientNets: `--model timm:efficientnet_b0@FILE`"),
    (r"_conv_stem\.", f"the package efficientnet_pytorch. {OWN_CODE}"),
    (r"downsample_layers\.0\.", f"ConvNeXt as its authors wrote it. {OWN_CODE}"),
    (r"block1\.layer\.0\.", f"a wide ResNet for CIFAR. {OWN_CODE}"),
)
"""What names begin with, and whose they are."""

_OTHER_NETWORKS = (
    "`ppbench list models` lists the networks; for others: `--model torchvision:NAME@FILE`, `timm:NAME@FILE`; "
    "or a function of yours that makes the network and loads the file: `--model pkg.mod:factory`."
)


def _unknown_network(path: Path, state: Mapping[str, Tensor]) -> DataError:
    looks = next((whose for pattern, whose in _LOOKS if any(re.match(pattern, name) for name in state)), None)
    hint = _OTHER_NETWORKS if looks is None else f"It looks like one of {looks.replace('FILE', str(path))}"
    return DataError(f"{path} is the state dict of no network ppbench knows", f"{keys_found(state)} {hint}")


def _check_telling(path: Path, state: Mapping[str, Tensor]) -> None:
    if any(name not in state or state[name].dim() != dim for name, dim in _TELLING.items()):
        raise _unknown_network(path, state)


def _recognise(path: Path, content: _Content) -> str:
    """Name the network whose state dict this is, if its tensors tell."""
    state = content.state
    _check_telling(path, state)
    if content.push_pull:
        raise DataError(
            f"{path} holds the weights of a push-pull network, but not the size of its mean filter",
            "Name the network: `--architecture resnet50-pp3`; in Python: "
            "`load_checkpoint(path, architecture='resnet50-pp3')`.",
        )
    suffix = "-blurpool" if content.blur_pool else "-pp2020" if content.push_pull_2020 else ""
    return f"{_recognise_plain(path, state)}{suffix}"


def _recognise_plain(path: Path, state: Mapping[str, Tensor]) -> str:
    blocks = [{n.split(".")[1] for n in state if n.startswith(f"layer{stage}.")} for stage in (1, 2, 3, 4)]
    counts = tuple(map(len, blocks))
    if counts[3] == 0 and counts[0]:
        small = next((name for name, n in SMALL_RESNETS.items() if counts[:3] == (n, n, n)), None)
        if small:
            return _small(path, state, small)
    network = _DEPTHS.get(("layer1.0.conv3.weight" in state, counts))
    if network is None:
        raise _unknown_network(path, state)
    width, per_group = state["layer1.0.conv2.weight"].shape[:2]
    if wide := _WIDE.get((network, width, per_group)):
        raise DataError(
            f"{path} holds a {wide}, which ppbench has not itself", f"Take `--model torchvision:{wide}@{path}`."
        )
    if (width, per_group) not in _WIDTHS:
        raise DataError(f"{path} holds a {network} of {width} channels in its first block, not 64", OWN_CODE)
    network = _GROUPED.get((network, per_group), network)
    return network if state["conv1.weight"].shape[-1] == 7 else f"{network}-cifar"


def _small(path: Path, state: Mapping[str, Tensor], name: str) -> str:
    if "layer2.0.downsample.0.weight" not in state:
        raise DataError(
            f"{path} holds a {name} whose shortcuts have no weights (option A of He et al.)",
            f"ppbench's {name} has 1x1 convolutions there (option B). {OWN_CODE}",
        )
    return name
