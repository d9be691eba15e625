"""Networks from elsewhere: torchvision's, timm's, and those of a user's own code."""

from __future__ import annotations

import hashlib
import logging
import sys
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
from ppbench.models.card import IMAGENET_MEAN, IMAGENET_STD, Card, CardOptions
from ppbench.models.checkpoint import build, load_checkpoint, save_checkpoint, weights_hash
from ppbench.models.from_code import load_from_code, names_factory
from ppbench.models.from_timm import load_timm
from ppbench.models.from_torchvision import (
    _card,
    _count_classes,
    _names_of_today,
    load_torchvision,
    torchvision_networks,
)
from tests.models.server import Answer, serve
from tests.models.test_checkpoint import same_outputs, trained

NOTHING = CardOptions()


@pytest.fixture(scope="module")
def resnet18() -> nn.Module:
    return trained(torchvision.models.resnet18())


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
        resnet18: nn.Module,
    ) -> None:
        weights, steps = get_model_weights("resnet18").IMAGENET1K_V1, []
        body = publish(monkeypatch, answers, base, weights, resnet18, tmp_path / "resnet18.pth")
        name, (model, card) = load_torchvision("resnet18", NOTHING, lambda *step: steps.append(step))
        assert name == "resnet18"
        assert steps[-1] == (len(body), len(body))
        assert weights_hash(model) == weights_hash(resnet18)
        assert same_outputs(model, resnet18, size=64)
        assert not model.training
        assert card == Card(
            architecture="torchvision:resnet18",
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
        assert load_torchvision("resnet18@IMAGENET1K_V1", NOTHING)[1].card == card
        file.write_bytes(body[:-1])
        with pytest.raises(DataError, match="is not what http") as caught:
            load_torchvision("resnet18", NOTHING)
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
    def test_own_weights(self, tmp_path: Path, resnet18: nn.Module, kind: str) -> None:
        path, state = tmp_path / "mine.pth", resnet18.state_dict()
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
        name, (model, card) = load_torchvision(f"resnet18@{path}", NOTHING)
        assert torch.equal(before, torch.get_rng_state())
        assert name == "mine"
        assert same_outputs(model, resnet18, size=64)
        assert (card.architecture, card.num_classes, card.resize) == ("torchvision:resnet18", 1000, 256)
        assert card.source is None
        assert card.trained_on is None

    def test_own_weights_with_other_classes_need_a_card(self, tmp_path: Path) -> None:
        mine = trained(torchvision.models.squeezenet1_1(num_classes=7))
        torch.save(mine.state_dict(), tmp_path / "mine.pth")
        spec = f"squeezenet1_1@{tmp_path / 'mine.pth'}"
        with pytest.raises(
            UsageError, match=r"the card of torchvision:squeezenet1_1@.*mine.pth is not known"
        ) as caught:
            load_torchvision(spec, NOTHING)
        assert "--preset imagenet" in caught.value.hint
        model, card = load_torchvision(spec, CardOptions(preset="half", input_size=64))[1]
        assert (card.num_classes, card.mean, card.input_size) == (7, (0.5, 0.5, 0.5), 64)
        assert same_outputs(model, mine, size=64)

    def test_options_go_before_the_card(self, tmp_path: Path, resnet18: nn.Module) -> None:
        torch.save(resnet18.state_dict(), tmp_path / "mine.pth")
        options = CardOptions(preset="unit", input_size=112)
        card = load_torchvision(f"resnet18@{tmp_path / 'mine.pth'}", options)[1].card
        assert (card.mean, card.input_size, card.resize) == ((0, 0, 0), 112, 128)

    def test_weights_of_another_network(self, tmp_path: Path, resnet18: nn.Module) -> None:
        torch.save(resnet18.state_dict(), tmp_path / "mine.pth")
        with pytest.raises(
            DataError, match=r"mine.pth do not fit the network\nmissing: .*\nunexpected: .*layer1"
        ) as caught:
            load_torchvision(f"shufflenet_v2_x0_5@{tmp_path / 'mine.pth'}", NOTHING)
        assert "differing: conv1" not in caught.value.hint

    def test_nothing_in_a_file_is_run(self, tmp_path: Path) -> None:
        torch.save(torchvision.models.squeezenet1_1(num_classes=2), tmp_path / "whole.pth")
        with pytest.raises(DataError, match="holds no tensors"):
            load_torchvision(f"squeezenet1_1@{tmp_path / 'whole.pth'}", NOTHING)

    @pytest.mark.parametrize(
        ("reference", "message", "hint"),
        [
            ("resnet5", "unknown torchvision network 'resnet5'", "did you mean 'resnet50'"),
            ("fcn_resnet50", "unknown torchvision network 'fcn_resnet50'", "list_models"),
            ("resnet18@IMAGENET1K_V2", "unknown weights or file for torchvision:resnet18 'IMAGENET1K_V2'", "_V1"),
            ("vgg16@IMAGENET1K_FEATURES", "the weights IMAGENET1K_FEATURES of torchvision's vgg16 are of no", "others"),
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

    def test_a_file_that_only_has_the_name_of_published_weights(self, tmp_path: Path, resnet18: nn.Module) -> None:
        path = tmp_path / "resnet18-f37072fd.pth"
        torch.save(resnet18.state_dict(), path)
        with pytest.raises(
            DataError, match=r"is not what https://download.pytorch.org/models/resnet18-f37072fd.pth is"
        ):
            load_torchvision(f"resnet18@{path}", NOTHING)

    def test_a_file_of_features(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "features.pth").write_bytes(b"features")
        digits = hashlib.sha256(b"features").hexdigest()[:8]
        weights = get_model_weights("vgg16").IMAGENET1K_FEATURES
        monkeypatch.setattr(weights.value, "url", f"https://host/features-{digits}.pth")
        with pytest.raises(UsageError, match="are of no classifier"):
            load_torchvision(f"vgg16@{tmp_path / 'features.pth'}", NOTHING)

    def test_the_architecture_is_in_the_name(self) -> None:
        with pytest.raises(UsageError, match="--architecture is not for torchvision:resnet18"):
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
    def test_classes_are_counted_at_the_last_layer(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for function in ("xavier_uniform_", "kaiming_normal_", "trunc_normal_", "normal_"):
            monkeypatch.setattr(nn.init, function, lambda tensor, *args, **options: tensor)
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
        theirs = torchvision.models.googlenet(transform_input=True, aux_logits=True, init_weights=False)
        weights = get_model_weights("googlenet").IMAGENET1K_V1
        publish(monkeypatch, answers, base, weights, theirs, tmp_path / "googlenet.pth")
        model = load_torchvision("googlenet", NOTHING)[1].model
        assert same_outputs(model, theirs, size=64)
        torch.save({**theirs.state_dict(), "epoch": torch.tensor(1)}, tmp_path / "mine.pth")
        with pytest.raises(DataError, match="do not fit the network\nunexpected: epoch"):
            load_torchvision(f"googlenet@{tmp_path / 'mine.pth'}", NOTHING)


class TestTimm:
    NAME = "test_resnet.r160_in1k"

    @pytest.fixture(autouse=True)
    def _offline(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """As huggingface_hub is under HF_HUB_OFFLINE=1, with an empty cache."""
        constants = pytest.importorskip("huggingface_hub.constants")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    @pytest.fixture
    def timm(self) -> Any:
        return pytest.importorskip("timm")

    @pytest.mark.parametrize("name", ["test_resnet.r160_in1k", "test_vit", "test_efficientnet", "test_byobnet"])
    @pytest.mark.parametrize("ending", ["pth", "safetensors"])
    def test_own_weights(self, timm: Any, tmp_path: Path, name: str, ending: str) -> None:
        theirs, path = trained(timm.create_model(name)), tmp_path / f"mine.{ending}"
        save = safetensors.torch.save_file if ending == "safetensors" else torch.save
        save(theirs.state_dict(), path)
        label, (model, card) = load_timm(f"{name}@{path}", NOTHING)
        assert label == "mine"
        assert same_outputs(model, theirs, size=160)
        data = timm.data.resolve_model_data_config(theirs)
        assert (card.mean, card.std, card.interpolation) == (data["mean"], data["std"], data["interpolation"])
        assert (card.input_size, card.resize) == (160, 168)
        assert card.architecture == f"timm:{name.split('.')[0]}.r160_in1k"
        assert card.num_classes == 1000

    def test_the_resize_is_that_of_timms_own_transform(self, timm: Any, tmp_path: Path) -> None:
        theirs = timm.create_model(self.NAME)
        torch.save(theirs.state_dict(), tmp_path / "mine.pth")
        card = load_timm(f"{self.NAME}@{tmp_path / 'mine.pth'}", NOTHING)[1].card
        transform = timm.data.create_transform(**timm.data.resolve_model_data_config(theirs), is_training=False)
        assert transform.transforms[0].size == card.resize
        assert set(transform.transforms[1].size) == {card.input_size}

    def test_own_weights_with_other_classes_need_a_card(self, timm: Any, tmp_path: Path) -> None:
        theirs = trained(timm.create_model(self.NAME, num_classes=7))
        torch.save(theirs.state_dict(), tmp_path / "mine.pth")
        with pytest.raises(UsageError, match=r"the card of timm:test_resnet.r160_in1k@.* is not known"):
            load_timm(f"{self.NAME}@{tmp_path / 'mine.pth'}", NOTHING)
        model, card = load_timm(f"{self.NAME}@{tmp_path / 'mine.pth'}", CardOptions(preset="cifar10"))[1]
        assert (card.num_classes, card.input_size) == (7, 32)
        assert same_outputs(model, theirs)

    def test_weights_of_another_network(self, timm: Any, tmp_path: Path) -> None:
        torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "mine.pth")
        with pytest.raises(DataError, match="do not fit the network"):
            load_timm(f"{self.NAME}@{tmp_path / 'mine.pth'}", NOTHING)

    def test_a_size_that_a_network_does_not_take(self, timm: Any, tmp_path: Path) -> None:
        torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "mine.pth")
        with pytest.raises(DataError, match=r"does not take images of 3 x 100 x 100 values: AssertionError: .*100"):
            load_timm(f"test_vit@{tmp_path / 'mine.pth'}", CardOptions(input_size=100))

    def test_weights_of_timms_own(self, timm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        theirs = trained(timm.create_model(self.NAME))
        monkeypatch.setattr(timm, "create_model", lambda name, pretrained: theirs)
        for name in (self.NAME, "test_resnet"):
            label, (model, card) = load_timm(name, NOTHING)
            assert model is theirs
            assert label == "timm-test_resnet.r160_in1k"
            assert card.source == "https://huggingface.co/timm/test_resnet.r160_in1k"
            assert card.trained_on == "imagenet"

    @pytest.mark.usefixtures("timm")
    def test_no_network(self) -> None:
        with pytest.raises(DataError, match=r"timm cannot load the weights of test_resnet.r160_in1k: ") as caught:
            load_timm(self.NAME, NOTHING)
        url = "https://huggingface.co/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
        assert f"wget {url}" in caught.value.hint
        assert f"--model timm:{self.NAME}@model.safetensors" in caught.value.hint

    @pytest.mark.usefixtures("timm")
    def test_a_hub_that_is_not_reached_is_tried_once_and_told_once(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from huggingface_hub import constants

        tries = []

        def fail(*arguments: Any, **options: Any) -> Any:
            tries.append(arguments)
            logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s")
            raise ConnectionError("no route")

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", fail)
        monkeypatch.setattr("timm.create_model", fail)
        with pytest.raises(DataError, match="ConnectionError: no route"):
            load_timm(self.NAME, NOTHING)
        assert len(tries) == 1
        assert capsys.readouterr() == ("", "")

    def test_weights_in_the_cache_need_no_hub(self, timm: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        from huggingface_hub import constants

        def fail(*arguments: Any, **options: Any) -> Any:
            raise AssertionError

        folder = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k"
        (folder / "snapshots" / "abc").mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("abc")
        (folder / "snapshots" / "abc" / "model.safetensors").write_text("weights")
        theirs = trained(timm.create_model(self.NAME))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", fail)
        monkeypatch.setattr(timm, "create_model", lambda name, pretrained: theirs)
        assert load_timm(self.NAME, NOTHING)[1].model is theirs

    @pytest.mark.usefixtures("timm")
    @pytest.mark.parametrize(
        ("reference", "message", "hint"),
        [
            ("resnet5", "unknown timm network 'resnet5'", "did you mean"),
            ("resnet50.a1_in2k", "unknown weights of timm 'resnet50.a1_in2k'", "did you mean 'resnet50.a1_in1k'"),
            ("vit_small_patch14_dinov2", "timm:vit_small_patch14_dinov2 is no classifier", "classes"),
        ],
    )
    def test_what_there_is_not(self, reference: str, message: str, hint: str) -> None:
        with pytest.raises(UsageError) as caught:
            load_timm(reference, NOTHING)
        assert caught.value.message.startswith(message)
        assert hint in caught.value.hint

    @pytest.mark.usefixtures("timm")
    def test_a_network_without_weights(self) -> None:
        with pytest.raises(DataError, match="timm has no weights for test_mambaout") as caught:
            load_timm("test_mambaout", NOTHING)
        assert "--model timm:test_mambaout@FILE" in caught.value.hint

    def test_timm_is_an_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "timm", None)
        with pytest.raises(UsageError, match="timm, which is not installed") as caught:
            load_timm("resnet18", NOTHING)
        assert "uv sync --extra timm" in caught.value.hint


CODE = """
import sys
import torch
from torch import nn
from ppbench import Card
from ppbench.errors import DataError
from ppbench.models.checkpoint import Checkpoint

CARD = Card(architecture="mine", num_classes=5, input_size=16, mean=(0.5,) * 3, std=(0.5,) * 3)


class Net(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, classes), nn.Dropout())

    def forward(self, x):
        return self.layers(x)


class Wrapped(Net):
    def forward(self, x):
        return {"logits": super().forward(x)}


class Flat(Net):
    def forward(self, x):
        return super().forward(x).flatten()


class Leaves(Net):
    def forward(self, x):
        sys.exit(0)


def bare(): return Net()
def pair(): return Net(), CARD
def checkpoint(): return Checkpoint(Net(), CARD)
def wrong_card(): return Net(7), CARD
def number(): return 3
def nothing(): pass
def pair_of_something(): return Net(), {"mean": 0.5}
def broken(): raise ValueError("no\\nweights")
def leaves(): sys.exit(2)
def explains(): raise DataError("no weights here", "Look elsewhere.")
def needs(argument): return Net()

constant = 3
net = Net()
"""


class TestCode:
    OPTIONS = CardOptions(preset="half", input_size=16)

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        (tmp_path / "pkg_of_mine" / "sub").mkdir(parents=True)
        (tmp_path / "pkg_of_mine" / "__init__.py").touch()
        (tmp_path / "pkg_of_mine" / "nets.py").write_text(CODE)
        (tmp_path / "pkg_of_mine" / "imports.py").write_text("import nothing_of_this_name")
        (tmp_path / "pkg_of_mine" / "syntax.py").write_text("def (")
        monkeypatch.chdir(tmp_path)
        before = list(sys.path)
        yield
        assert sys.path == before
        for name in [name for name in sys.modules if name.startswith("pkg_of_mine")]:
            del sys.modules[name]

    @pytest.mark.parametrize("factory", ["bare", "Net"])
    def test_a_module_with_the_card_in_options(self, factory: str) -> None:
        name, (model, card) = load_from_code(f"pkg_of_mine.nets:{factory}", self.OPTIONS)
        assert name == factory
        assert not model.training
        assert card == Card(
            architecture=f"pkg_of_mine.nets:{factory}",
            num_classes=5,
            input_size=16,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        )

    def test_the_architecture_may_be_named(self) -> None:
        options = CardOptions(preset="half", input_size=16, architecture="my net")
        assert load_from_code("pkg_of_mine.nets:bare", options)[1].card.architecture == "my net"
        assert load_from_code("pkg_of_mine.nets:pair", options)[1].card.architecture == "my net"

    @pytest.mark.parametrize("factory", ["pair", "checkpoint"])
    def test_a_module_with_its_card(self, factory: str) -> None:
        card = load_from_code(f"pkg_of_mine.nets:{factory}", NOTHING)[1].card
        assert (card.architecture, card.num_classes, card.mean) == ("mine", 5, (0.5, 0.5, 0.5))
        card = load_from_code(f"pkg_of_mine.nets:{factory}", CardOptions(preset="unit"))[1].card
        assert card.mean == (0, 0, 0)

    @pytest.mark.parametrize(
        ("spec", "options", "message", "hint"),
        [
            ("nowhere_to_be:f", NOTHING, "--model nowhere_to_be:f: there is no module nowhere_to_be", "PYTHONPATH"),
            ("pkg_of_mine.net:f", NOTHING, "--model pkg_of_mine.net:f: there is no module pkg_of_mine.net", ""),
            (
                "pkg_of_mine.nets:pare",
                NOTHING,
                "--model pkg_of_mine.nets:pare: pkg_of_mine.nets has no pare",
                "did you mean 'pair'",
            ),
            ("pkg_of_mine.nets:constant", NOTHING, "pkg_of_mine.nets:constant is a int, no factory", "def make"),
            ("pkg_of_mine.nets:net", NOTHING, "pkg_of_mine.nets:net is a Net, no factory", "def make"),
            ("pkg_of_mine.nets:number", NOTHING, "pkg_of_mine.nets:number returns a int", "nn.Module"),
            ("pkg_of_mine.nets:nothing", NOTHING, "pkg_of_mine.nets:nothing returns None", "nn.Module"),
            (
                "pkg_of_mine.nets:pair_of_something",
                NOTHING,
                "pkg_of_mine.nets:pair_of_something returns a tuple",
                "Card",
            ),
        ],
    )
    def test_what_is_no_factory(self, spec: str, options: CardOptions, message: str, hint: str) -> None:
        with pytest.raises(UsageError) as caught:
            load_from_code(spec, options)
        assert caught.value.message == message
        assert hint in caught.value.hint

    @pytest.mark.parametrize(
        ("factory", "message"),
        [
            ("nets:broken", "pkg_of_mine.nets:broken raised ValueError: no weights"),
            ("nets:leaves", "pkg_of_mine.nets:leaves raised SystemExit: 2"),
            ("nets:needs", "pkg_of_mine.nets:needs raised TypeError: needs() missing 1 required positional argument"),
            ("imports:f", "importing pkg_of_mine.imports raised ModuleNotFoundError: No module named 'nothing_of"),
            ("syntax:f", "importing pkg_of_mine.syntax raised SyntaxError: "),
        ],
    )
    def test_code_that_raises(self, factory: str, message: str) -> None:
        with pytest.raises(DataError) as caught:
            load_from_code(f"pkg_of_mine.{factory}", NOTHING)
        assert caught.value.message.startswith(message)
        assert "\n" not in caught.value.message
        assert 'python -c "import pkg_of_mine.' in caught.value.hint

    def test_errors_of_ppbench_stay_as_they_are(self) -> None:
        with pytest.raises(DataError, match=r"^no weights here\nLook elsewhere.$"):
            load_from_code("pkg_of_mine.nets:explains", NOTHING)

    def test_a_network_without_a_card_needs_one(self) -> None:
        missing = r"the card of pkg_of_mine\.nets:bare is not known: --mean, --std, --input-size missing"
        with pytest.raises(UsageError, match=missing):
            load_from_code("pkg_of_mine.nets:bare", NOTHING)

    @pytest.mark.parametrize(
        ("factory", "options", "message"),
        [
            (
                "bare",
                CardOptions(preset="cifar10"),
                "pkg_of_mine.nets:bare does not take images of 3 x 32 x 32 values: ",
            ),
            ("Leaves", OPTIONS, "pkg_of_mine.nets:Leaves raised SystemExit: 0 in its forward pass"),
            ("wrong_card", NOTHING, "pkg_of_mine.nets:wrong_card has 7 classes, its card says 5"),
            ("Wrapped", OPTIONS, "pkg_of_mine.nets:Wrapped gives a dict for 2 images instead of logits (2, classes)"),
            ("Flat", OPTIONS, "pkg_of_mine.nets:Flat gives a Tensor (10,) for 2 images instead of logits (2, classes)"),
        ],
    )
    def test_networks_that_do_not_do(self, factory: str, options: CardOptions, message: str) -> None:
        with pytest.raises(DataError) as caught:
            load_from_code(f"pkg_of_mine.nets:{factory}", options)
        assert caught.value.message.startswith(message)

    @pytest.mark.parametrize(
        ("spec", "yes"),
        [
            ("mod:f", True),
            ("a.b_1.c:Class.method", True),
            ("torchvision.models:resnet18", True),
            ("mod", False),
            ("mod:", False),
            (":f", False),
            ("C:\\nets\\net", False),
            ("C:/nets/net", False),
            ("a:b:c", False),
            ("1a:b", False),
            ("a..b:c", False),
        ],
    )
    def test_what_has_the_form_of_a_factory(self, spec: str, yes: bool) -> None:
        assert names_factory(spec) is yes


def test_a_stored_card_must_name_a_network_that_can_be_built(tmp_path: Path) -> None:
    """Only networks of ppbench, torchvision and timm can be read back from their card: no code that it names runs."""
    card = Card(architecture="resnet8", num_classes=10, input_size=32, mean=(0.5,) * 3, std=(0.5,) * 3)
    other = card.model_copy(update={"architecture": "pkg.mod:make"})
    save_checkpoint(tmp_path / "net.safetensors", build(card), other)
    with pytest.raises(DataError, match=r"the card in .* is not valid: unknown model 'pkg\.mod:make'"):
        load_checkpoint(tmp_path / "net.safetensors")
    other = card.model_copy(update={"architecture": "torchvision:resnet18"})
    save_checkpoint(tmp_path / "net.safetensors", build(card), other)
    with pytest.raises(DataError, match=r"(?s)do not fit the network.*missing: layer1\.1"):
        load_checkpoint(tmp_path / "net.safetensors")
