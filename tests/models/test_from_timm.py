"""timm's networks."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from ppbench.errors import DataError, UsageError
from ppbench.models.card_options import CardOptions
from ppbench.models.from_timm import load_timm
from tests.models.test_checkpoint import same_outputs, trained

NOTHING = CardOptions()


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
        with pytest.raises(UsageError, match=r"the preprocessing of timm:test_resnet.r160_in1k@.* is not known"):
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
            ("vit_small_patch14_dinov2", "timm:vit_small_patch14_dinov2 is not a classifier", "with a classifier"),
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
