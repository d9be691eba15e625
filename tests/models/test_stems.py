"""Push-pull and its rivals by name, on the networks of others, and in checkpoints."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ppbench.errors import DataError, UsageError
from ppbench.models.blur import BlurConv2d
from ppbench.models.card import Card
from ppbench.models.checkpoint import load_checkpoint, save_checkpoint
from ppbench.models.load import resolve_model
from ppbench.models.push_pull_2020 import PushPull2020Conv2d
from ppbench.models.pushpull import PushPullConv2d
from ppbench.models.resnet import create_model
from ppbench.models.shapes import STEMS
from ppbench.models.stems import with_stem
from ppbench.models.undrawn import WithoutDrawing
from tests.oracles import blur as blur_oracle
from tests.oracles import push_pull_2020 as oracle_2020
from tests.oracles import pushpull as oracle

KINDS = {"pp3": PushPullConv2d, "pp2020": PushPull2020Conv2d, "blurpool": BlurConv2d, "blurafter": BlurConv2d}


def card_of(architecture: str, **fields: Any) -> Card:
    return Card(
        **{"num_classes": 4, "input_size": 32, "mean": (0.5,) * 3, "std": (0.2,) * 3, **fields},
        architecture=architecture,
    )


@pytest.mark.parametrize(
    ("name", "stem"),
    [*(("resnet8", stem) for stem in KINDS), ("resnet18-cifar", "pp2020"), ("resnet18", "blurpool")],
)
def test_a_checkpoint_comes_back_with_the_same_logits(name: str, stem: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = create_model(f"{name}-{stem}", 4).eval()
    save_checkpoint(tmp_path / "net.safetensors", model, card_of(f"{name}-{stem}"))
    loaded, card = load_checkpoint(tmp_path / "net.safetensors")
    x = torch.randn(2, 3, 32, 32)
    assert card.architecture == f"{name}-{stem}"
    assert torch.equal(loaded(x), model(x))
    with WithoutDrawing(), torch.device("meta"):
        assert list(loaded.state_dict()) == list(create_model(name, 4).state_dict())


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, create_model("resnet8-blurpool", 4), card_of("resnet8-blurpool"))
    with pytest.raises(UsageError, match="holds a resnet8-blurpool, not a resnet8-blurafter"):
        load_checkpoint(path, architecture="resnet8-blurafter")
    save_checkpoint(path, create_model("resnet14", 4), card_of("resnet8-blurpool"))
    with pytest.raises(DataError, match=r"(?s)do not fit the network.*unexpected: layer1\.1"):
        load_checkpoint(path)


@pytest.mark.parametrize("trainable", [False, True])
def test_inhibition_of_the_rival_of_2020(trainable: bool, tmp_path: Path) -> None:
    model = create_model("resnet8-pp2020", 4, inhibition=6.0 if not trainable else 1.0, trainable_inhibition=trainable)
    fields = {"inhibition": 6.0} if not trainable else {"trainable_inhibition": True}
    save_checkpoint(tmp_path / "net.safetensors", model, card_of("resnet8-pp2020", **fields))
    loaded, _ = load_checkpoint(tmp_path / "net.safetensors")
    if trainable:
        assert torch.equal(loaded.conv1.inhibition, model.conv1.inhibition)
    else:
        assert loaded.conv1.inhibition == 6.0


@pytest.mark.parametrize("name", ["resnet8", "resnet8-blurpool", "resnet8-blurafter"])
@pytest.mark.parametrize("setting", [{"inhibition": 2.0}, {"trainable_inhibition": True}])
def test_networks_without_inhibition_refuse_it(name: str, setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{name} has no inhibition to set\nChoose a push-pull network"):
        create_model(name, **setting)


@pytest.mark.parametrize("name", ["resnet8", "resnet8-pp2020", "resnet8-blurpool"])
def test_only_push_pull_can_leave_its_push_as_it_is(name: str) -> None:
    assert not create_model("resnet8-pp3", rectified_push=False).conv1.rectified_push
    with pytest.raises(UsageError, match="cannot have a push that is not rectified"):
        create_model(name, rectified_push=False)


@pytest.mark.parametrize("name", ["resnet50-blurpool", "resnet18-pp2020"])
def test_a_name_without_weights_is_answered_with_how_to_train_it(name: str) -> None:
    with pytest.raises(DataError, match=f"none are published; `ppbench train --model {name} --dataset imagenet"):
        resolve_model(name)


def test_an_unknown_stem() -> None:
    with pytest.raises(UsageError, match="unknown stem 'blurpol'\ndid you mean 'blurpool'"):
        with_stem(create_model("resnet8"), "blurpol")
    assert {stem for stem in STEMS if stem.startswith("pp")} == {"pp", "pp0", "pp3", "pp5", "pp2020"}


def response(stem: str, x: Tensor, conv: nn.Conv2d, padding: tuple[int, int]) -> Tensor:
    """What the stem gives for images that are padded already, by the definitions."""
    if stem == "pp3":
        return oracle.push_pull(x, conv.weight, 1.0, conv.bias, stride=conv.stride, padding=padding).output
    if stem == "pp2020":
        geometry = {"stride": conv.stride, "padding": padding, "dilation": (1, 1), "groups": 1}
        return oracle_2020.push_pull_2020(x, conv.weight, 1.0, conv.bias, **geometry)[0]
    stride = conv.stride[0]
    taps = (4 if stem == "blurpool" else 5) + 2 * (stride - 2)
    return blur_oracle.blur(F.conv2d(x, conv.weight, conv.bias, 1, padding), (taps, taps), (stride, stride))


TIMM = [
    ("convnext_atto", "stem.0", 17),  # 4x4, stride 4
    ("efficientnet_b0", "conv_stem", 16),  # 3x3, stride 2, padding 1
    ("tf_efficientnet_b0", "conv_stem", 16),  # Conv2dSame, pads 0 above and 1 below
    ("tf_efficientnet_b0", "conv_stem", 17),  # 1 and 1
]


@cache
def network_of_timm(name: str) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, pretrained=False, num_classes=3).double().eval()


@pytest.mark.parametrize("stem", list(KINDS))
@pytest.mark.parametrize(("name", "place", "size"), TIMM)
def test_stems_of_timm(name: str, place: str, size: int, stem: str) -> None:
    model = copy.deepcopy(network_of_timm(name))
    torch.manual_seed(0)
    conv = model.get_submodule(place)
    if conv.bias is not None:
        nn.init.uniform_(conv.bias)
    keys = list(model.state_dict())
    assert with_stem(model, stem) is model
    layer = model.get_submodule(place)
    assert type(layer) is KINDS[stem]
    assert layer.weight is conv.weight
    assert list(model.state_dict()) == keys
    x = torch.randn(1, 3, size, size, dtype=torch.float64)
    padded, padding = x, tuple(conv.padding)
    if name.startswith("tf_"):  # TensorFlow's rule for a 3x3 kernel at stride 2
        odd = size % 2
        padded = F.pad(x, (odd, 1, odd, 1))
        assert torch.equal(padded, timm.layers.pad_same(x, conv.kernel_size, conv.stride))
    with torch.no_grad():
        expected = response(stem, padded, conv, padding)[
            :, :, : -(-size // conv.stride[0]), : -(-size // conv.stride[0])
        ]
        torch.testing.assert_close(layer(x)[:, :, : expected.shape[2], : expected.shape[3]], expected)
        if not stem.startswith("blur"):
            assert layer(x).shape == conv(x).shape
        assert model(torch.randn(1, 3, 32, 32, dtype=torch.float64)).shape == (1, 3)


def test_a_standardised_convolution_of_timm_is_refused() -> None:
    with WithoutDrawing(), torch.device("meta"):
        model = timm.create_model("resnetv2_50x1_bit", pretrained=False, num_classes=3)
    for stem in KINDS:
        with pytest.raises(UsageError, match="is a StdConv2d, which may compute something else"):
            with_stem(model, stem)
