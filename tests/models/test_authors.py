"""Checkpoints of the networks that the push-pull authors compare with, and of antialiased-cnns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ppbench.errors import DataError
from ppbench.models.checkpoint import load_checkpoint
from ppbench.models.resnet import create_model
from ppbench.models.weights import weights_hash
from tests.models.test_checkpoint import authors_checkpoint, trained


def zhang(model: nn.Module, taps: int = 4, *, pool_only: bool = False, cifar: bool = False) -> dict[str, Tensor]:
    """The state of a ResNet with blur pools under the names of antialiased-cnns, where each blur has a buffer."""
    state: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        layer, block, *rest = name.split(".")
        strided = layer in ("layer2", "layer3", "layer4") and block == "0"
        if strided and rest[0] == "conv2":
            name = f"{layer}.0.conv2.1.weight"
        elif strided and rest[0] == "downsample":
            name = f"{layer}.0.downsample.{int(rest[1]) + 1}.{rest[2]}"
        state[name] = tensor
    places = [f"layer{stage}.0.{part}.0.filt" for stage in (2, 3, 4) for part in ("conv2", "downsample")]
    stem = [] if cifar else ["maxpool.1.filt"] if pool_only else ["maxpool.0.filt", "maxpool.2.filt"]
    return state | {name: torch.full((64, 1, taps, taps), 1 / taps**2) for name in places + stem}


def authors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.replace("fc.", "classifier."): tensor for name, tensor in state.items()}


@pytest.fixture(scope="module")
def blurring() -> nn.Module:
    return trained(create_model("resnet8-blurpool", 10))


def test_antialiased_cnns(tmp_path: Path) -> None:
    blurring = trained(create_model("resnet18-blurpool", 1000))
    state = {f"module.{name}": tensor for name, tensor in zhang(blurring).items()}
    torch.save({"epoch": 90, "arch": "resnet18", "state_dict": state}, tmp_path / "w.pth.tar")
    model, card = load_checkpoint(tmp_path / "w.pth.tar")
    assert card.architecture == "resnet18-blurpool"
    assert weights_hash(model) == weights_hash(blurring)


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({"taps": 3}, "its blurs have 3 taps; ppbench's …-blurpool has 4"),
        ({"pool_only": True}, r"its first convolution keeps its stride \(pool_only=True\)"),
    ],
)
def test_blurs_that_are_others(tmp_path: Path, blurring: nn.Module, changed: dict[str, Any], missing: str) -> None:
    torch.save(zhang(blurring, **changed), tmp_path / "w.pth")
    with pytest.raises(DataError, match=f"antialiased-cnns that ppbench cannot build: {missing}"):
        load_checkpoint(tmp_path / "w.pth")


def test_blurs_in_other_networks(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.ones(3), "features.1.filt": torch.ones(1, 1, 4, 4)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="ppbench supports blur pool only in ResNets"):
        load_checkpoint(tmp_path / "w.pth")


def test_zhang(tmp_path: Path, blurring: nn.Module) -> None:
    settings = {"model": "zhang_resnet8", "use_push_pull": False}
    authors_checkpoint(tmp_path / "w.ckpt", authors(zhang(blurring)), **settings)
    model, card = load_checkpoint(tmp_path / "w.ckpt")
    assert (card.architecture, card.stem_bias) == ("resnet8-blurpool", False)
    assert weights_hash(model) == weights_hash(blurring)
    authors_checkpoint(tmp_path / "both.ckpt", authors(zhang(blurring)), **{**settings, "use_push_pull": True})
    with pytest.raises(DataError, match="it has both a push-pull stem and blur pool"):
        load_checkpoint(tmp_path / "both.ckpt")


def test_zhang_for_cifar(tmp_path: Path) -> None:
    network = trained(create_model("resnet18-cifar-blurpool", 10, stem_bias=True))
    settings = {"model": "zhang_resnet18", "use_push_pull": False, "dataset_name": "cifar10"}
    authors_checkpoint(tmp_path / "w.ckpt", authors(zhang(network, cifar=True)), **settings)
    model, card = load_checkpoint(tmp_path / "w.ckpt")
    assert card.architecture == "resnet18-cifar-blurpool"
    assert weights_hash(model) == weights_hash(network)


@pytest.mark.parametrize("trainable", [False, True])
def test_strisciuglio(tmp_path: Path, trainable: bool) -> None:
    strength = 1.0 if trainable else 0.5
    network = create_model("resnet8-pp2020", 10, stem_bias=True, inhibition=strength, trainable_inhibition=trainable)
    state = authors(trained(network).state_dict())
    names = {"conv1.weight": "conv1.push.weight", "conv1.bias": "conv1.push.bias", "conv1.inhibition": "conv1.alpha"}
    state = {
        names.get(name, name.replace("bn1.", "bn.") if name[:3] == "bn1" else name): of for name, of in state.items()
    }
    if trainable:
        state["conv1.alpha"] = state["conv1.alpha"].view(1, -1, 1, 1)
    settings = {"model": "strisciuglio_resnet8", "trainable_pull_inhibition": trainable}
    authors_checkpoint(tmp_path / "w.ckpt", state, **settings, pull_inhibition_strength=strength)
    model, card = load_checkpoint(tmp_path / "w.ckpt")
    assert (card.architecture, card.inhibition) == ("resnet8-pp2020", strength)
    assert card.trainable_inhibition == trainable
    assert weights_hash(model) == weights_hash(network)


def test_vasconcelos(tmp_path: Path) -> None:
    state = {"conv1.0.weight": torch.ones(1), "conv1.1.filt": torch.ones(64, 1, 5, 5)}
    authors_checkpoint(tmp_path / "w.ckpt", state, model="vasconcelos_resnet50", use_push_pull=False)
    with pytest.raises(DataError, match="it blurs after every 3x3 convolution of stages 2 to 4"):
        load_checkpoint(tmp_path / "w.ckpt")


@pytest.mark.parametrize("model", ["efficientnet-b0", "convnext_tiny", "AlexNet"])
def test_networks_of_theirs_that_ppbench_has_not(tmp_path: Path, model: str) -> None:
    authors_checkpoint(tmp_path / "w.ckpt", {"_conv_stem.push_conv.weight": torch.ones(1)}, model=model)
    with pytest.raises(
        DataError, match=f"holds the push-pull authors' {model.lower()}, which cannot be built"
    ) as caught:
        load_checkpoint(tmp_path / "w.ckpt")
    assert "--model pkg.mod:factory" in caught.value.hint
