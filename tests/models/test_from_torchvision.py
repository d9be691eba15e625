"""torchvision's networks, with its weights or a user's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torchvision
from torch import nn
from torchvision.models import get_model_weights

from ppbench.errors import DataError, UsageError
from ppbench.models.card import IMAGENET_MEAN, IMAGENET_STD, Card
from ppbench.models.card_options import CardOptions
from ppbench.models.from_torchvision import (
    _card,
    _count_classes,
    _names_of_today,
    load_torchvision,
    torchvision_networks,
)
from ppbench.models.undrawn import WithoutDrawing
from ppbench.models.weights import weights_hash
from tests.models.server import Answer, serve
from tests.models.test_checkpoint import same_outputs, trained

NOTHING = CardOptions()


@pytest.fixture(scope="module")
def shufflenet() -> nn.Module:
    """The network of torchvision that computes least."""
    return trained(torchvision.models.shufflenet_v2_x0_5())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of weights, for no test may use or touch the user's."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "torch" / "hub" / "checkpoints"


def publish(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, Answer], base: str, weights: Any, model: nn.Module, path: Path
) -> bytes:
    """Make torchvision's ``weights`` those of ``model``, served from ``base`` under a name with their hash."""
    torch.save(model.state_dict(), path)
    body = path.read_bytes()
    name = f"{path.stem}-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    answers[f"/{name}"] = Answer(body)
    monkeypatch.setattr(weights.value, "url", f"{base}/{name}")
    monkeypatch.setitem(weights.value.meta, "_file_size", round(len(body) / 2**20, 3))
    return body


class TestTorchvision:
    @pytest.fixture
    def answers(self) -> dict[str, Answer]:
        return {}

    @pytest.fixture
    def base(self, answers: dict[str, Answer]) -> Iterator[str]:
        with serve(answers) as server:
            yield server.base

    def test_published_weights_are_fetched_and_kept(
        self,
        tmp_path: Path,
        cache: Path,
        monkeypatch: pytest.MonkeyPatch,
        answers: dict[str, Answer],
        base: str,
        shufflenet: nn.Module,
    ) -> None:
        weights, steps = get_model_weights("shufflenet_v2_x0_5").IMAGENET1K_V1, []
        body = publish(monkeypatch, answers, base, weights, shufflenet, tmp_path / "shufflenet.pth")
        name, (model, card) = load_torchvision("shufflenet_v2_x0_5", NOTHING, lambda *step: steps.append(step))
        assert name == "shufflenet_v2_x0_5"
        assert steps[-1] == (len(body), len(body))
        assert weights_hash(model) == weights_hash(shufflenet)
        assert same_outputs(model, shufflenet, size=64)
        assert not model.training
        assert card == Card(
            architecture="torchvision:shufflenet_v2_x0_5",
            num_classes=1000,
            input_size=224,
            resize=256,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            trained_on="imagenet",
            source=weights.url,
        )
        file = cache / weights.url.rsplit("/", 1)[-1]
        assert list(cache.iterdir()) == [file]
        answers.clear()
        assert load_torchvision("shufflenet_v2_x0_5@IMAGENET1K_V1", NOTHING)[1].card == card
        file.write_bytes(body[:-1])
        with pytest.raises(DataError, match="differs from http") as caught:
            load_torchvision("shufflenet_v2_x0_5", NOTHING)
        assert f"rm {file}" in caught.value.hint

    def test_other_weights_have_their_name_and_preprocessing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Answer], base: str
    ) -> None:
        model = torchvision.models.mobilenet_v2()
        weights = get_model_weights("mobilenet_v2").IMAGENET1K_V2
        publish(monkeypatch, answers, base, weights, model, tmp_path / "mobilenet_v2.pth")
        for choice in ("IMAGENET1K_V2", "DEFAULT"):
            name, (_, card) = load_torchvision(f"mobilenet_v2@{choice}", NOTHING)
            assert name == "mobilenet_v2@IMAGENET1K_V2"
            assert (card.resize, card.source) == (232, weights.url)
        by_hand = tmp_path / "renamed.pth"
        by_hand.write_bytes((tmp_path / "mobilenet_v2.pth").read_bytes())
        name, (_, card) = load_torchvision(f"mobilenet_v2@{by_hand}", NOTHING)
        assert (name, card.resize, card.source) == ("renamed", 232, weights.url)

    @pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "module.", "model"])
    def test_own_weights(self, tmp_path: Path, shufflenet: nn.Module, kind: str) -> None:
        path, state = tmp_path / "mine.pth", shufflenet.state_dict()
        if kind == "safetensors":
            path = path.with_suffix(".safetensors")
            safetensors.torch.save_file(state, path)
        elif kind == "model":
            torch.save({"model": state, "epoch": 3}, path)
        else:
            prefix = kind if kind.endswith(".") else ""
            content = {prefix + key: value for key, value in state.items()}
            torch.save(content, path, _use_new_zipfile_serialization=kind != "legacy")
        before = torch.get_rng_state()
        name, (model, card) = load_torchvision(f"shufflenet_v2_x0_5@{path}", NOTHING)
        assert torch.equal(before, torch.get_rng_state())
        assert name == "mine"
        assert same_outputs(model, shufflenet, size=64)
        wanted = ("torchvision:shufflenet_v2_x0_5", 1000, 256)
        assert (card.architecture, card.num_classes, card.resize) == wanted
        assert card.source is None
        assert card.trained_on is None

    def test_own_weights_with_other_classes_need_a_card(self, tmp_path: Path) -> None:
        mine = trained(torchvision.models.squeezenet1_1(num_classes=7))
        torch.save(mine.state_dict(), tmp_path / "mine.pth")
        spec = f"squeezenet1_1@{tmp_path / 'mine.pth'}"
        with pytest.raises(
            UsageError, match=r"the preprocessing of torchvision:squeezenet1_1@.*mine.pth is not known"
        ) as caught:
            load_torchvision(spec, NOTHING)
        assert "--preset imagenet" in caught.value.hint
        model, card = load_torchvision(spec, CardOptions(preset="half", input_size=64))[1]
        assert (card.num_classes, card.mean, card.input_size) == (7, (0.5, 0.5, 0.5), 64)
        assert same_outputs(model, mine, size=64)

    def test_options_go_before_the_card(self, tmp_path: Path, shufflenet: nn.Module) -> None:
        torch.save(shufflenet.state_dict(), tmp_path / "mine.pth")
        options = CardOptions(preset="unit", input_size=112)
        card = load_torchvision(f"shufflenet_v2_x0_5@{tmp_path / 'mine.pth'}", options)[1].card
        assert (card.mean, card.input_size, card.resize) == ((0, 0, 0), 112, 128)

    def test_weights_of_another_network(self, tmp_path: Path, shufflenet: nn.Module) -> None:
        torch.save(shufflenet.state_dict(), tmp_path / "mine.pth")
        with pytest.raises(
            DataError, match=r"mine.pth do not fit the network\nmissing: .*\nunexpected: .*stage2"
        ) as caught:
            load_torchvision(f"squeezenet1_1@{tmp_path / 'mine.pth'}", NOTHING)
        assert "differing: conv1" not in caught.value.hint

    def test_nothing_in_a_file_is_run(self, tmp_path: Path) -> None:
        torch.save(nn.Sequential(nn.Linear(2, 2)), tmp_path / "whole.pth")
        with pytest.raises(DataError, match="holds no tensors"):
            load_torchvision(f"squeezenet1_1@{tmp_path / 'whole.pth'}", NOTHING)

    @pytest.mark.parametrize(
        ("reference", "message", "hint"),
        [
            ("resnet5", "unknown torchvision network 'resnet5'", "did you mean 'resnet50'"),
            ("fcn_resnet50", "unknown torchvision network 'fcn_resnet50'", "list_models"),
            ("resnet18@IMAGENET1K_V2", "unknown weights or file for torchvision:resnet18 'IMAGENET1K_V2'", "_V1"),
            (
                "vgg16@IMAGENET1K_FEATURES",
                "the weights IMAGENET1K_FEATURES of torchvision's vgg16 are not of",
                "other weights",
            ),
        ],
    )
    def test_what_there_is_not(self, reference: str, message: str, hint: str) -> None:
        with pytest.raises(UsageError) as caught:
            load_torchvision(reference, NOTHING)
        assert caught.value.message.startswith(message)
        assert hint in caught.value.hint

    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"cannot read .*none.pth"):
            load_torchvision(f"resnet18@{tmp_path / 'none.pth'}", NOTHING)

    def test_a_file_that_only_has_the_name_of_published_weights(self, tmp_path: Path, shufflenet: nn.Module) -> None:
        path = tmp_path / "resnet18-f37072fd.pth"
        torch.save(shufflenet.state_dict(), path)
        with pytest.raises(
            DataError, match=r"differs from https://download.pytorch.org/models/resnet18-f37072fd.pth: "
        ):
            load_torchvision(f"resnet18@{path}", NOTHING)

    def test_a_file_of_features(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "features.pth").write_bytes(b"features")
        digits = hashlib.sha256(b"features").hexdigest()[:8]
        weights = get_model_weights("vgg16").IMAGENET1K_FEATURES
        monkeypatch.setattr(weights.value, "url", f"https://host/features-{digits}.pth")
        with pytest.raises(UsageError, match="are not of a classifier"):
            load_torchvision(f"vgg16@{tmp_path / 'features.pth'}", NOTHING)

    def test_the_architecture_is_in_the_name(self) -> None:
        with pytest.raises(UsageError, match="--architecture cannot be used with torchvision:resnet18"):
            load_torchvision("resnet18", CardOptions(architecture="resnet50"))

    @pytest.mark.parametrize("name", torchvision_networks())
    def test_the_card_is_torchvisions_own_transform(self, name: str) -> None:
        for weights in get_model_weights(name):
            if weights.meta["categories"] is None:
                continue
            card, preset = _card(name, weights, is_own=False), weights.transforms()
            assert f"resize_size=[{card.resize}]" in repr(preset)
            assert f"crop_size=[{card.input_size}]" in repr(preset)
            assert f"mean={list(card.mean)}" in repr(preset)
            assert f"std={list(card.std)}" in repr(preset)
            assert f"InterpolationMode.{card.interpolation.upper()}" in repr(preset)

    @pytest.mark.parametrize(
        "name",
        [
            "densenet121",
            "vgg11",
            "mobilenet_v3_small",
            "swin_t",
            "maxvit_t",
            "convnext_tiny",
            "vit_b_16",
            "regnet_y_400mf",
        ],
    )
    def test_classes_are_counted_at_the_last_layer(self, name: str) -> None:
        with WithoutDrawing():  # names and shapes are all there is to see
            state = torchvision.models.get_model(name, num_classes=7).state_dict()
        assert _count_classes(state) == 7
        assert _names_of_today(state).keys() == state.keys()

    def test_names_that_torchvision_has_changed(self) -> None:
        old = {
            "features.denseblock1.denselayer1.norm.1.weight": "features.denseblock1.denselayer1.norm1.weight",
            "features.denseblock1.denselayer12.conv.2.weight": "features.denseblock1.denselayer12.conv2.weight",
            "encoder.layers.encoder_layer_0.mlp.linear_1.bias": "encoder.layers.encoder_layer_0.mlp.0.bias",
            "encoder.layers.encoder_layer_0.mlp.linear_2.bias": "encoder.layers.encoder_layer_0.mlp.3.bias",
            "fc.bias": "fc.bias",
        }
        tensor = torch.zeros(1)
        assert _names_of_today(dict.fromkeys(old, tensor)) == dict.fromkeys(old.values(), tensor)
        assert _names_of_today({"aux1.fc.bias": tensor, "AuxLogits.fc.bias": tensor}) == {}

    def test_an_inception_is_what_torchvision_makes_of_its_weights(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Answer], base: str
    ) -> None:
        """It has an auxiliary head, and normalises its input again if the weights are torchvision's."""
        torch.manual_seed(0)
        theirs = torchvision.models.googlenet(transform_input=True, aux_logits=True, init_weights=False)
        weights = get_model_weights("googlenet").IMAGENET1K_V1
        publish(monkeypatch, answers, base, weights, theirs, tmp_path / "googlenet.pth")
        model = load_torchvision("googlenet", NOTHING)[1].model
        assert same_outputs(model, theirs, size=64)
        torch.save({**theirs.state_dict(), "epoch": torch.tensor(1)}, tmp_path / "mine.pth")
        with pytest.raises(DataError, match="do not fit the network\nunexpected: epoch"):
            load_torchvision(f"googlenet@{tmp_path / 'mine.pth'}", NOTHING)
