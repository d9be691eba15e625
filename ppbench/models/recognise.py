"""Recognise the network of a bare state dict by the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from ppbench.errors import DataError
from ppbench.models.authors import OWN_CODE, has_blur_filters
from ppbench.models.shapes import RESNETS, SMALL_RESNETS

_KEY_TENSORS = {"conv1.weight": 4, "fc.weight": 2, "layer1.0.conv2.weight": 4}
"""The tensors by which a ResNet is recognised, with their number of dimensions."""

_WIDE = {
    ("resnet50", 128, 128): "wide_resnet50_2",
    ("resnet101", 128, 128): "wide_resnet101_2",
    ("resnet101", 256, 4): "resnext101_64x4d",
}
"""torchvision's other ResNets by (ResNet of the same depth, channels of the first block, channels per group)."""

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
"""Beginnings of tensor names, and the networks that have them."""

_OTHER_NETWORKS = (
    "`ppbench list models` lists the networks. For others, give `--model torchvision:NAME@FILE`, "
    "`--model timm:NAME@FILE`, or a function that builds the network and loads the file: `--model pkg.mod:factory`."
)


def recognise(path: Path, names: Iterable[str], state: Mapping[str, Tensor]) -> str:
    """Return the name of the ResNet to which a state dict belongs.

    Args:
        path: The file, for messages.
        names: The tensors' names in the file.
        state: The tensors under torchvision's names.

    Raises:
        DataError: If it is another network, or its tensors do not determine which.
    """
    check_is_resnet(path, state)
    names = set(names)
    # Only the authors' files name a push kernel so; in ppbench's own files it has the name of a plain kernel.
    if any("conv1.push_conv." in name for name in names):
        raise DataError(
            f"{path} holds the weights of a push-pull network, but not the size of its mean filter",
            "Name the network: `--architecture resnet50-pp3`; in Python: "
            "`load_checkpoint(path, architecture='resnet50-pp3')`.",
        )
    plain = _recognise_plain(path, state)
    if has_blur_filters(names):
        return f"{plain}-blurpool"
    return f"{plain}-pp2020" if any("conv1.push.weight" in name for name in names) else plain


def check_is_resnet(path: Path, state: Mapping[str, Tensor]) -> None:
    """Raise `DataError` unless a state dict has the tensors by which ResNets are recognised."""
    if any(name not in state or state[name].dim() != dim for name, dim in _KEY_TENSORS.items()):
        raise _unknown_network(path, state)


def _recognise_plain(path: Path, state: Mapping[str, Tensor]) -> str:
    blocks = [{n.split(".")[1] for n in state if n.startswith(f"layer{stage}.")} for stage in (1, 2, 3, 4)]
    counts = tuple(map(len, blocks if blocks[3] else blocks[:3]))
    small = next((name for name, shape in SMALL_RESNETS.items() if shape.blocks == counts), None)
    if small is not None:
        if "layer2.0.downsample.0.weight" not in state:
            raise DataError(
                f"{path} holds a {small} whose shortcuts have no weights (option A of He et al.)",
                f"ppbench's {small} has 1x1 convolutions there (option B). {OWN_CODE}",
            )
        return small
    bottleneck = "layer1.0.conv3.weight" in state
    similar = [name for name, shape in RESNETS.items() if (shape.blocks, shape.bottleneck) == (counts, bottleneck)]
    if not similar:
        raise _unknown_network(path, state)
    width, per_group = state["layer1.0.conv2.weight"].shape[:2]
    if wide := _WIDE.get((similar[0], width, per_group)):
        raise DataError(
            f"{path} holds a {wide}, which ppbench loads through torchvision",
            f"Give `--model torchvision:{wide}@{path}`.",
        )
    network = next((name for name in similar if RESNETS[name].first_kernel == (width, per_group)), None)
    if network is None:
        raise DataError(f"{path} holds a {similar[0]} with {width} channels in its first block, not 64", OWN_CODE)
    return network if state["conv1.weight"].shape[-1] == 7 else f"{network}-cifar"


def _unknown_network(path: Path, state: Mapping[str, Tensor]) -> DataError:
    looks = next((whose for pattern, whose in _LOOKS if any(re.match(pattern, name) for name in state)), None)
    hint = _OTHER_NETWORKS if looks is None else f"It looks like one of {looks.replace('FILE', str(path))}"
    keys = f"Its first keys: {', '.join(list(state)[:4])}."
    return DataError(f"{path} is not the state dict of a network that ppbench knows", f"{keys} {hint}")
