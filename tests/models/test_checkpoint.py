"""Checkpoints of every kind the loader promises to read, and the files it must refuse with one clear message."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import struct
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn

from ppbench.errors import DataError, UsageError
from ppbench.models.build import build
from ppbench.models.card import CIFAR_MEAN, CIFAR_STD, IMAGENET_MEAN, IMAGENET_STD, METADATA_KEY, Card
from ppbench.models.card_options import CardOptions
from ppbench.models.checkpoint import load_checkpoint, save_checkpoint
from ppbench.models.pushpull import PushPullConv2d
from ppbench.models.resnet import create_model
from ppbench.models.weights import weights_hash

CARD = Card(
    architecture="resnet8-pp5",
    num_classes=10,
    in_channels=1,
    input_size=28,
    mean=(0.286,),
    std=(0.353,),
    stem_bias=True,
    inhibition=0.7,
    trained_on="fashion-mnist",
    clean_accuracy=0.93,
    seed=3,
    recipe={"epochs": 2, "lr": 0.2},
)


def trained(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter and buffer a value of its own, as training would."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(17)
        else:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.2 + 0.01)
    return model.eval()


def same_outputs(a: nn.Module, b: nn.Module, channels: int = 3, size: int = 32) -> bool:
    x = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return torch.equal(a.eval()(x), b.eval()(x))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, trained(build(CARD)), CARD)
    return path


@pytest.fixture(scope="module")
def resnet8() -> nn.Module:
    return trained(create_model("resnet8", 10))


CIFAR = CardOptions(preset="cifar10")
"""Makes the card that a bare state dict of `resnet8` lacks."""


class TestOwnFormat:
    @pytest.mark.parametrize("trainable", [False, True])
    def test_round_trip_is_exact(self, tmp_path: Path, trainable: bool) -> None:
        card = CARD.model_copy(update={"trainable_inhibition": trainable})
        model = trained(build(card))
        save_checkpoint(tmp_path / "new" / "folder" / "model.safetensors", model, card)
        loaded = load_checkpoint(str(tmp_path / "new" / "folder" / "model.safetensors"))
        assert loaded.card == card
        assert not loaded.model.training
        state = loaded.model.state_dict()
        assert state.keys() == model.state_dict().keys()
        assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
        assert weights_hash(loaded.model) == weights_hash(model)
        assert same_outputs(loaded.model, model, 1)

    def test_the_name_of_the_file_does_not_matter(self, saved: Path) -> None:
        other = saved.rename(saved.with_name("best.ckpt"))
        assert load_checkpoint(other).card == CARD

    def test_a_header_whose_length_looks_like_html(self, tmp_path: Path) -> None:
        # A header of 15,392 = 0x3C20 bytes makes the file begin with " <".
        tensors = {key: value.contiguous() for key, value in trained(build(CARD)).state_dict().items()}
        card = CARD.model_copy(update={"command": "x"})
        blob = safetensors.torch.save(tensors, {METADATA_KEY: card.model_dump_json(exclude_none=True)})
        missing = 0x3C20 - int.from_bytes(blob[:8], "little")
        card = CARD.model_copy(update={"command": "x" * (1 + missing)})
        save_checkpoint(tmp_path / "model.safetensors", build(card), card)
        assert (tmp_path / "model.safetensors").read_bytes()[:2] == b" <"
        assert load_checkpoint(tmp_path / "model.safetensors").card == card

    def test_loading_leaves_the_random_generator_alone(self, saved: Path) -> None:
        before = torch.get_rng_state()
        load_checkpoint(saved)
        assert torch.equal(torch.get_rng_state(), before)

    def test_channels_last_and_half_precision_are_stored_and_read(self, tmp_path: Path) -> None:
        model = trained(build(CARD)).half().to(memory_format=torch.channels_last)
        save_checkpoint(tmp_path / "half.safetensors", model, CARD)
        loaded = load_checkpoint(tmp_path / "half.safetensors").model
        assert {p.dtype for p in loaded.parameters()} == {torch.float32}
        assert weights_hash(loaded) == weights_hash(model.float())

    def test_the_architecture_may_be_repeated_but_not_contradicted(self, saved: Path) -> None:
        assert load_checkpoint(saved, architecture="resnet8-pp5").card == CARD
        with pytest.raises(UsageError, match=r"holds a resnet8-pp5, not a resnet20\nLeave out the architecture"):
            load_checkpoint(saved, architecture="resnet20")
        with pytest.raises(UsageError, match="unknown model 'resnet9'"):
            load_checkpoint(saved, architecture="resnet9")

    def test_saving_where_nothing_can_be_saved(self, tmp_path: Path, saved: Path) -> None:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(DataError, match=r"cannot write .*model.safetensors.x: "):
            save_checkpoint(saved / "x", build(CARD), CARD)
        with pytest.raises(DataError, match="cannot write"):
            save_checkpoint(tmp_path, build(CARD), CARD)
        assert sorted(tmp_path.rglob("*")) == before


class TestTorchvision:
    @pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "module.", "_orig_mod.module."])
    def test_every_container(self, tmp_path: Path, resnet8: nn.Module, kind: str) -> None:
        path, state = tmp_path / "weights.pth", resnet8.state_dict()
        if kind == "safetensors":
            safetensors.torch.save_file(state, path.with_suffix(".safetensors"))
            path = path.with_suffix(".safetensors")
        else:
            prefix = kind if kind.endswith(".") else ""
            content = {prefix + key: value for key, value in state.items()}
            torch.save(content, path, _use_new_zipfile_serialization=kind != "legacy")
        model, card = load_checkpoint(path, options=CIFAR)
        assert same_outputs(model, resnet8)
        assert weights_hash(model) == weights_hash(resnet8)
        assert (card.architecture, card.num_classes, card.input_size) == ("resnet8", 10, 32)

    def test_a_network_with_the_classes_of_imagenet_needs_no_card(self, tmp_path: Path) -> None:
        resnet18 = trained(torchvision.models.resnet18())
        torch.save(resnet18.state_dict(), tmp_path / "weights.pth")
        model, card = load_checkpoint(tmp_path / "weights.pth")
        assert same_outputs(model, resnet18, size=64)
        assert (card.architecture, card.num_classes, card.input_size, card.resize) == ("resnet18", 1000, 224, 256)
        assert (card.mean, card.std, card.trained_on) == (IMAGENET_MEAN, IMAGENET_STD, "imagenet")

    def test_a_checkpoint_with_other_things_beside_the_state_dict(self, tmp_path: Path, resnet8: nn.Module) -> None:
        content = {"epoch": 90, "state_dict": resnet8.state_dict(), "optimizer": {"state": {}}, "best_acc1": 0.7}
        torch.save(content, tmp_path / "weights.pth.tar")
        assert same_outputs(load_checkpoint(tmp_path / "weights.pth.tar", options=CIFAR).model, resnet8)

    def test_batch_counters_may_be_missing(self, tmp_path: Path, resnet8: nn.Module) -> None:
        state = {key: v for key, v in resnet8.state_dict().items() if not key.endswith("num_batches_tracked")}
        torch.save(state, tmp_path / "old.pth")
        model = load_checkpoint(tmp_path / "old.pth", options=CIFAR).model
        assert same_outputs(model, resnet8)
        assert model.bn1.num_batches_tracked == 0

    def test_a_push_pull_network_by_architecture(self, tmp_path: Path, resnet8: nn.Module) -> None:
        torch.save(resnet8.state_dict(), tmp_path / "weights.pth")
        model, card = load_checkpoint(tmp_path / "weights.pth", architecture="resnet8-pp", options=CIFAR)
        assert isinstance(model.conv1, PushPullConv2d)
        assert card.architecture == "resnet8-pp3"

    def test_other_classes_need_a_card(self, tmp_path: Path) -> None:
        model = trained(create_model("resnet8", 10))
        torch.save(model.state_dict(), tmp_path / "cifar.pth")
        with pytest.raises(UsageError, match=r"bare state dict .resnet8, 10 classes.: its mean, std.*\nGive the card"):
            load_checkpoint(tmp_path / "cifar.pth")
        card = Card(architecture="resnet8", num_classes=10, input_size=32, mean=CIFAR_MEAN, std=CIFAR_STD)
        loaded = load_checkpoint(tmp_path / "cifar.pth", card=card)
        assert loaded.card is card
        assert same_outputs(loaded.model, model)


def authors_state(model: nn.Module) -> dict[str, Any]:
    """The state of ``model`` under the names of the authors' code."""
    push_pull = isinstance(model.conv1, PushPullConv2d)
    names = {"bn1.": "bn.", "fc.": "classifier.", "conv1.inhibition": "conv1.pull_inhibition_strength"}
    if push_pull:
        names["conv1.weight"] = "conv1.push_conv.weight"
    state: dict[str, Any] = {}
    for key, value in model.state_dict().items():
        start = next((start for start in names if key.startswith(start)), "")
        state[names.get(start, "") + key.removeprefix(start)] = value
    return state


def authors_checkpoint(path: Path, state: dict[str, Any], **hyper_parameters: Any) -> None:
    """A Lightning 2 checkpoint as their training writes it, with an object of a class that is gone afterwards."""
    module = types.ModuleType("a_project_of_theirs")
    module.GeneralizedPRIMEModule = type("GeneralizedPRIMEModule", (nn.Module,), {"__module__": module.__name__})
    sys.modules[module.__name__] = module
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(3))], lr=0.1, momentum=0.9)
    settings = {
        "model": "resnet18",
        "dataset_name": "imagenet",
        "num_classes": 10,
        "img_size": 224,
        "use_push_pull": True,
        "num_push_pull_layers": 1,
        "avg_kernel_size": 3,
        "pull_inhibition_strength": 1.0,
        "trainable_pull_inhibition": False,
        "use_grayscale": False,
        "augmentation": module.GeneralizedPRIMEModule(),
        "ckpt": pathlib.PurePosixPath("/scratch/models"),
        "logs_dir": {pathlib.Path("logs")},
        "args": argparse.Namespace(lr=0.1),
    }
    content = {
        "epoch": 19,
        "global_step": 100,
        "pytorch-lightning_version": "2.0.6",
        "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.7), "dirpath": "x"}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [{"_step_count": 1}],
        "hparams_name": "args",
        "hyper_parameters": settings | hyper_parameters,
    }
    try:
        torch.save(content, path)
    finally:
        del sys.modules[module.__name__]


class TestAuthors:
    @pytest.mark.parametrize(
        ("name", "settings", "prefix"),
        [  # theirs is a ResNet-18 or larger; the small one is quick, and its tensors have the same names
            ("resnet18-pp5", {"avg_kernel_size": 5, "pull_inhibition_strength": 2.5, "model": "ResNet18"}, "module."),
            ("resnet8-pp3", {}, ""),
            ("resnet8-pp3", {}, "module."),
            ("resnet8-pp0", {"avg_kernel_size": 0}, ""),
            ("resnet8", {"use_push_pull": False, "avg_kernel_size": None}, ""),
            ("resnet8", {"use_push_pull": False, "avg_kernel_size": None}, "module."),
            ("resnet8-pp3", {"trainable_pull_inhibition": True, "dataset_name": "imagenet100_20pc"}, ""),
            ("resnet8-pp3", {"trainable_pull_inhibition": True, "dataset_name": "imagenet100_20pc"}, "module."),
            ("resnet8-pp3", {"use_grayscale": True}, ""),
            ("resnet18-cifar-pp3", {"dataset_name": "cifar10", "img_size": 32}, ""),
            ("resnet18-cifar", {"dataset_name": "cifar10", "use_push_pull": False, "model": "resnet18"}, ""),
        ],
    )
    def test_network_and_card(self, tmp_path: Path, name: str, settings: dict[str, Any], prefix: str) -> None:
        settings = {"model": name.partition("-")[0], **settings}
        strength = settings.get("pull_inhibition_strength", 1.0)
        trainable = settings.get("trainable_pull_inhibition", False)
        channels = 1 if settings.get("use_grayscale") else 3
        source = create_model(
            name, 10, in_channels=channels, stem_bias=True, inhibition=strength, trainable_inhibition=trainable
        )
        state = authors_state(trained(source))
        assert {"bn.weight", "classifier.bias"} <= state.keys()
        if not trainable and "-pp" in name:
            state["conv1.pull_inhibition_strength"] = strength  # no tensor, in some of the published files
        authors_checkpoint(tmp_path / "last.ckpt", {prefix + k: v for k, v in state.items()}, **settings)
        model, card = load_checkpoint(tmp_path / "last.ckpt")
        assert same_outputs(model, source, channels)
        assert weights_hash(model) == weights_hash(source)
        cifar = "cifar" in name
        assert (card.architecture, card.num_classes, card.in_channels) == (name, 10, channels)
        assert (card.input_size, card.resize) == ((32, None) if cifar else (224, 224))
        if channels == 3:
            assert (card.mean, card.std) == ((CIFAR_MEAN, CIFAR_STD) if cifar else (IMAGENET_MEAN, IMAGENET_STD))
        assert (card.stem_bias, card.inhibition, card.trainable_inhibition) == (True, strength, trainable)
        assert card.trained_on == settings.get("dataset_name", "imagenet")
        assert "a_project_of_theirs" not in sys.modules

    def test_grey_normalisation_is_theirs(self, tmp_path: Path) -> None:
        state = authors_state(trained(create_model("resnet8-pp", 10, in_channels=1, stem_bias=True)))
        authors_checkpoint(tmp_path / "grey.ckpt", state, model="resnet8", use_grayscale=True)
        card = load_checkpoint(tmp_path / "grey.ckpt").card
        grey = torch.rand(1, 4, 4)
        normalised = torchvision.transforms.functional.normalize(grey.expand(3, 4, 4), IMAGENET_MEAN, IMAGENET_STD)
        theirs = torchvision.transforms.functional.rgb_to_grayscale(normalised)
        torch.testing.assert_close((grey - card.mean[0]) / card.std[0], theirs, rtol=1e-4, atol=2e-4)

    def test_options_change_the_card_but_not_the_network(self, tmp_path: Path) -> None:
        state = authors_state(trained(create_model("resnet8-pp", 10, stem_bias=True)))
        authors_checkpoint(tmp_path / "last.ckpt", state, model="resnet8")
        card = load_checkpoint(tmp_path / "last.ckpt", options=CardOptions(preset="half")).card
        assert (card.architecture, card.mean) == ("resnet8-pp3", (0.5, 0.5, 0.5))
        with pytest.raises(UsageError, match="holds a resnet8-pp3, not a resnet8-pp5"):
            load_checkpoint(tmp_path / "last.ckpt", options=CardOptions(preset="imagenet", architecture="resnet8-pp5"))

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ({"model": "densenet121"}, "unknown model 'densenet121-pp3'"),
            ({"model": ["resnet18"]}, "AttributeError"),
            ({"avg_kernel_size": None}, "TypeError"),
            ({"avg_kernel_size": 7}, "unknown model 'resnet18-pp7'"),
            ({"num_classes": "many"}, "ValueError"),
            ({"num_classes": 0}, "num_classes: Input should be greater than or equal to 1"),
            ({"pull_inhibition_strength": float("nan")}, "inhibition: Input should be a finite number"),
        ],
    )
    def test_settings_that_make_no_sense(self, tmp_path: Path, settings: dict[str, Any], reason: str) -> None:
        authors_checkpoint(tmp_path / "odd.ckpt", {"conv1.bias": torch.zeros(1)}, **settings)
        with pytest.raises(DataError) as caught:
            load_checkpoint(tmp_path / "odd.ckpt")
        assert "odd.ckpt do not describe a network that ppbench knows (" in str(caught.value)
        assert reason in str(caught.value)
        assert "Give the card" in caught.value.hint


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        load_checkpoint(path, **options)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return str(caught.value)


class TestRefusals:
    @pytest.mark.parametrize("name", ["w.pth", "w.ckpt", "w.safetensors"])
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"<!DOCTYPE html><html>Sign in</html>", "begins like a web page"),
            (b"\xef\xbb\xbf\r\n <html>", "begins like a web page"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "is a Git LFS pointer"),
            (b"", "is empty"),
            (b"PK", ""),
            (b"\x80\x02", ""),
            (b'{"error": "not found"}', ""),
            (bytes(range(256)) * 40, ""),
            (b"\0" * 4096, ""),
        ],
    )
    def test_files_that_are_no_checkpoints(self, tmp_path: Path, name: str, content: bytes, reason: str) -> None:
        (tmp_path / name).write_bytes(content)
        message = refusal(tmp_path / name)
        assert reason in message
        assert reason or "is not a readable checkpoint (" in message or "is a damaged safetensors file (" in message

    def test_no_file(self, tmp_path: Path) -> None:
        assert "cannot read the checkpoint" in refusal(tmp_path / "none.pth")
        assert "No such file" in refusal(tmp_path / "none.pth")
        assert "Is a directory" in refusal(tmp_path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "w.pth")
        assert "is a device or a pipe, not a file" in refusal(tmp_path / "w.pth")

    @pytest.mark.parametrize("keep", [9, 200, 0.5, 0.99])
    def test_truncated_safetensors(self, saved: Path, keep: float) -> None:
        whole = saved.read_bytes()
        saved.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else int(keep)])
        assert "is a damaged safetensors file (" in refusal(saved)

    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize("keep", [0.01, 0.5, 0.999])
    def test_truncated_torch_files(self, tmp_path: Path, zipped: bool, keep: float) -> None:
        path = tmp_path / "w.pth"
        torch.save(build(CARD).state_dict(), path, _use_new_zipfile_serialization=zipped)
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
        assert "is not a readable checkpoint (" in refusal(path)

    def test_one_flipped_byte_of_a_zip(self, tmp_path: Path) -> None:
        path = tmp_path / "w.pth"
        torch.save(build(CARD).state_dict(), path)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
        assert "is not a readable checkpoint (Bad CRC-32" in refusal(path)

    def test_safetensors_with_a_header_of_exabytes(self, tmp_path: Path) -> None:
        (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}" + b" " * 100)
        assert "is a damaged safetensors file (" in refusal(tmp_path / "w.safetensors")

    @pytest.mark.parametrize(
        ("card", "reason"),
        [
            ("{", "Invalid JSON"),
            ("{}", "architecture: Field required"),
            (json.dumps({**CARD.model_dump(), "num_classes": -1}), "num_classes: Input should be greater"),
            (json.dumps({**CARD.model_dump(), "surprise": 1}), "surprise: Extra inputs are not permitted"),
            (json.dumps({**CARD.model_dump(), "architecture": "vgg16"}), "unknown model 'vgg16'"),
            (json.dumps({**CARD.model_dump(), "mean": [0.1, 0.2]}), "mean and std need 1 values each"),
        ],
    )
    def test_safetensors_with_a_wrong_card(self, tmp_path: Path, card: str, reason: str) -> None:
        safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors", {METADATA_KEY: card})
        message = refusal(tmp_path / "w.safetensors")
        assert message.startswith(f"the card in {tmp_path / 'w.safetensors'} is not valid: ")
        assert reason in message

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ([1, 2], "holds a list, not a state dict"),
            (torch.zeros(3), "holds a Tensor, not a state dict"),
            ("text", "holds a str, not a state dict"),
            ({}, "holds no tensors"),
            ({"state_dict": 3}, "the state_dict in .* is a int"),
            ({"a": 1}, "holds no tensors"),
            (nn.Linear(2, 2), "holds no tensors"),
            ({"conv1.weight": torch.zeros(3)}, "is not the state dict of a network that ppbench knows"),
            (
                {"features.0.weight": torch.zeros(1)},
                "is not the state dict of a network that ppbench knows\nIts first keys: features.0.weight",
            ),
            (
                torchvision.models.squeezenet1_1(num_classes=2).state_dict(),
                "is not the state dict of a network that ppbench knows",
            ),
            (
                {1: torch.zeros(1), "fc.weight": torch.zeros(())},
                "is not the state dict of a network that ppbench knows",
            ),
        ],
    )
    def test_torch_files_without_a_known_network(self, tmp_path: Path, content: Any, reason: str) -> None:
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(DataError, match=reason):
            load_checkpoint(tmp_path / "w.pth")

    def test_telling_tensors_alone_are_not_enough(self, tmp_path: Path) -> None:
        state = build(CARD).state_dict()
        few = {key: state[key] for key in ("conv1.weight", "fc.weight", "layer1.0.conv2.weight")}
        torch.save(few, tmp_path / "w.pth")
        assert "is not the state dict of a network that ppbench knows" in refusal(tmp_path / "w.pth")

    def test_all_that_does_not_fit_is_listed(self, tmp_path: Path) -> None:
        state: dict[str, Tensor] = dict(build(CARD).state_dict())
        del state["conv1.weight"], state["bn1.weight"]
        state["fc.weight"], state["head"] = torch.zeros(7, 64), torch.zeros(1)
        state["fc.bias"], state["bn1.bias"] = torch.zeros(10, dtype=torch.int64), torch.zeros(16, dtype=torch.cfloat)
        safetensors.torch.save_file(state, tmp_path / "w.safetensors")
        message = refusal(tmp_path / "w.safetensors", card=CARD)
        assert message.splitlines()[1:] == [
            "missing: conv1.weight, bn1.weight",
            "unexpected: head",
            "differing: bn1.bias complex (16,) instead of float (16,), fc.weight float (7, 64) instead of float "
            "(10, 64), fc.bias integer (10,) instead of float (10,)",
        ]

    def test_long_lists_are_cut(self, tmp_path: Path) -> None:
        safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors")
        message = refusal(tmp_path / "w.safetensors", card=CARD)
        assert message.splitlines()[1].startswith("missing: conv1.weight, conv1.bias, bn1.weight, ")
        assert message.splitlines()[1].endswith(" more")
        assert len(message) < 600
