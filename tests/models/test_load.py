"""What ``--model`` takes, and what each model is then called."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torchvision

from ppbench.errors import DataError, UsageError
from ppbench.models.card import CIFAR_MEAN
from ppbench.models.card_options import CardOptions, parse_card_options
from ppbench.models.checkpoint import load_checkpoint, save_checkpoint
from ppbench.models.load import resolve_model
from ppbench.models.resnet import create_model
from ppbench.models.weights import weights_hash
from tests.evaluation.models import tiny_card, tiny_checkpoint, tiny_subject


def test_an_embedded_model_with_another_card() -> None:
    plain = resolve_model("fashion-mnist-resnet8")
    other = resolve_model("fashion-mnist-resnet8", CardOptions(mean=(0.5,), std=(0.5,)))
    assert (plain.name, other.name) == ("fashion-mnist-resnet8",) * 2
    assert other.card == plain.card.model_copy(update={"mean": (0.5,), "std": (0.5,)})
    assert weights_hash(plain.model) == weights_hash(other.model)


def test_a_file_with_its_card_and_with_another(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path / "net.v2.safetensors", channels=3)
    assert resolve_model(str(path)).card == tiny_card(channels=3)
    subject = resolve_model(str(path), parse_card_options("cifar10"))
    assert (subject.name, subject.card.mean, subject.card.input_size) == ("net.v2", CIFAR_MEAN, 32)
    assert resolve_model(str(path), CardOptions(architecture="resnet8")).card.architecture == "resnet8"
    with pytest.raises(UsageError, match="holds a resnet8, not a resnet20"):
        resolve_model(str(path), CardOptions(architecture="resnet20"))


def test_a_bare_state_dict_needs_a_card(tmp_path: Path) -> None:
    path = tmp_path / "cifar.pth"
    torch.save(create_model("resnet20", 10).state_dict(), path)
    with pytest.raises(UsageError, match="its mean, std and input size are not known") as caught:
        resolve_model(str(path))
    assert "`--preset cifar10`" in caught.value.hint
    with pytest.raises(UsageError, match=r"the preprocessing of .*cifar.pth is not known: --std, --input-size missing"):
        resolve_model(str(path), parse_card_options(mean="0.5,0.5,0.5"))
    card = resolve_model(str(path), parse_card_options("cifar10")).card
    assert (card.architecture, card.num_classes, card.input_size, card.mean) == ("resnet20", 10, 32, CIFAR_MEAN)


def test_a_bare_state_dict_of_a_push_pull_network(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"conv1.push_conv.weight": torch.zeros(1)}, path)
    model = create_model("resnet18-cifar-pp5", 10)
    state = {re.sub("^conv1.weight", "conv1.push_conv.weight", k): v for k, v in model.state_dict().items()}
    torch.save(state, path)
    with pytest.raises(DataError, match="holds the weights of a push-pull network") as caught:
        resolve_model(str(path), CardOptions(preset="cifar10"))
    assert "`--architecture resnet50-pp3`" in caught.value.hint
    subject = resolve_model(str(path), CardOptions(preset="cifar10", architecture="resnet18-cifar-pp5"))
    assert weights_hash(subject.model) == weights_hash(model)


def test_a_lightning_checkpoint_of_ones_own(tmp_path: Path) -> None:
    """Its hyper-parameters are not the push-pull authors': the tensors tell the network, the card has to be given."""
    path, model = tmp_path / "last.ckpt", create_model("resnet20", 10)
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": {"lr": 0.1}}, path)
    with pytest.raises(UsageError, match=r"bare state dict \(resnet20, 10 classes\): its mean, std") as caught:
        resolve_model(str(path))
    assert "--preset cifar10" in caught.value.hint
    for options in (parse_card_options("cifar10", architecture="resnet20"), parse_card_options("cifar10")):
        subject = resolve_model(str(path), options)
        assert weights_hash(subject.model) == weights_hash(model)
    assert weights_hash(load_checkpoint(path, card=subject.card).model) == weights_hash(model)


def test_own_weights_of_a_network_of_torchvisions(tmp_path: Path) -> None:
    path = tmp_path / "mine@home.pth"
    torch.save(torchvision.models.squeezenet1_1().state_dict(), path)
    subject = resolve_model(f"torchvision:squeezenet1_1@{path}")
    assert (subject.name, subject.card.architecture) == ("mine@home", "torchvision:squeezenet1_1")


def test_own_weights_of_a_network_of_timms(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "mine.pth")
    subject = resolve_model(f"timm:test_resnet.r160_in1k@{tmp_path / 'mine.pth'}")
    assert (subject.name, subject.card.architecture) == ("mine", "timm:test_resnet.r160_in1k")


def test_a_factory() -> None:
    subject = resolve_model("torchvision.models:squeezenet1_1", CardOptions(preset="imagenet"))
    assert (subject.name, subject.card.num_classes) == ("squeezenet1_1", 1000)


def test_a_path_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, model, card = tiny_subject()
    save_checkpoint(tmp_path / "run:best", model, card)
    assert resolve_model("run:best").name == "run:best"
    for missing in ("run:net.pth", "C:/nets/net.pth", "C:\\nets\\net.pth"):
        with pytest.raises(DataError, match="cannot read the checkpoint"):
            resolve_model(missing)


def test_a_network_of_torchvisions_without_its_prefix() -> None:
    with pytest.raises(DataError, match="--model resnet50 is a network without weights") as caught:
        resolve_model("resnet50")
    assert caught.value.hint.startswith("weights: `--model torchvision:resnet50`")
    with pytest.raises(UsageError, match="unknown model 'vgg16'") as unknown:
        resolve_model("vgg16")
    assert "'torchvision:vgg16'" in unknown.value.hint


@pytest.mark.parametrize("spec", ["torchvision:", "timm:", "1:2", ""])
def test_what_is_no_model_at_all(spec: str) -> None:
    with pytest.raises(UsageError, match="unknown model"):
        resolve_model(spec)
