"""Images enter timm's networks as timm itself has it: size, crop, crop mode, and the size of its validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ppbench.data.cut import describe_cut
from ppbench.data.source import Geometry
from ppbench.errors import UsageError
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.subject import ClassHead, Subject
from ppbench.inspection.images import load_images
from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions
from ppbench.models.from_timm import card_of
from ppbench.models.load import resolve_model
from tests.timm_preprocessing import ROUNDING, configurations, ours, photographs, theirs


@pytest.fixture(scope="module")
def timm() -> Any:
    return pytest.importorskip("timm")


def card_for(timm: Any, name: str, *, test_size: bool = False) -> Card:
    return card_of(timm, timm.get_pretrained_cfg(name).to_dict(), 1000, test_size=test_size)


def test_all_pretrained_configurations_are_preprocessed_as_timm_does(timm: Any) -> None:
    """One photograph each; the script `tests.timm_preprocessing` takes all four, for all names."""
    configs, refused = configurations(timm)
    assert len(configs) > 100
    assert all("1024 x 768" in reason for reason in refused.values()), refused
    files = photographs()
    wrong = {}
    for number, config in enumerate(configs):
        file = files[number % len(files)]
        difference = float((ours(config, file) - theirs(timm, config, file)).abs().max())
        if difference > ROUNDING:
            wrong[config.names[0]] = difference
    assert wrong == {}
    assert {config.card.crop_mode for config in configs} >= {"center", "squash"}


@pytest.mark.parametrize(
    ("mode", "resize"), [("center", 40), ("center", 28), ("squash", 40), ("squash", 28), ("border", 40), ("border", 28)]
)
def test_every_mode_on_every_photograph(timm: Any, mode: str, resize: int) -> None:
    """Also with a crop above 1, which pads, for the modes that no pretrained network has it in."""
    from tests.timm_preprocessing import Config

    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    card = Card(architecture="net", num_classes=10, input_size=32, resize=resize, mean=mean, std=std, crop_mode=mode)  # type: ignore[arg-type]
    crop_pct = 32 / (resize + 0.5)  # so that timm's rounding gives the size
    wanted = {"input_size": (3, 32, 32), "interpolation": "bilinear", "mean": mean, "std": std, "crop_pct": crop_pct}
    config = Config(card, {**wanted, "crop_mode": mode})
    for file in photographs():
        assert float((ours(config, file) - theirs(timm, config, file)).abs().max()) <= ROUNDING


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("convnext_tiny.fb_in22k_ft_in1k_384", "resize 384 x 384 bicubic, crop 384"),
        ("volo_d4_448.sail_in1k", "resize 389 bicubic, pad (0/0/0) and crop 448"),
        ("resnet50.tv_in1k", "resize 256, crop 224"),
    ],
)
def test_the_cut_is_said_in_words(timm: Any, name: str, cut: str) -> None:
    assert describe_cut(Geometry.of(card_for(timm, name))) == cut


def test_a_border_has_the_mean_colour() -> None:
    card = Card(architecture="n", num_classes=2, input_size=16, resize=16, mean=(0.5,) * 3, std=(1,) * 3)
    cut = Geometry.of(card.model_copy(update={"crop_mode": "border"}))
    assert (cut.fill, describe_cut(cut)) == ((128, 128, 128), "resize longer side 16, pad (128/128/128) and crop 16")
    assert Geometry.of(card).fill == (0, 0, 0)


def test_the_size_of_timms_validation(timm: Any) -> None:
    usual, test = (card_for(timm, "resnet50.a1_in1k", test_size=size) for size in (False, True))
    assert (usual.input_size, usual.resize) == (224, 235)
    assert (test.input_size, test.resize) == (288, 288)
    for size in (False, True):  # one that has no other size
        assert card_for(timm, "resnet50.tv_in1k", test_size=size).input_size == 224


def test_the_size_of_timms_validation_with_weights_from_a_file(timm: Any, tmp_path: Path) -> None:
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "mine.pth")
    spec = f"timm:test_resnet.r160_in1k@{tmp_path / 'mine.pth'}"
    wanted = timm.get_pretrained_cfg("test_resnet.r160_in1k")
    assert resolve_model(spec).card.input_size == wanted.input_size[1]
    assert resolve_model(spec, CardOptions(test_size=True)).card.input_size == (wanted.test_input_size or (0, 160))[1]


def test_other_networks_have_no_such_size() -> None:
    for spec in ("fashion-mnist-resnet8", "torchvision:resnet18", "net.pth", "code:make"):
        with pytest.raises(UsageError, match=f"--test-size cannot be used with --model {spec}"):
            resolve_model(spec, CardOptions(test_size=True))


def test_cards_of_before_have_the_crop_in_the_centre() -> None:
    old = {"architecture": "resnet8", "num_classes": 2, "input_size": 32, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    card = Card(**old)  # type: ignore[arg-type]
    assert card.crop_mode == "center"
    assert "crop_mode" not in card.model_dump(mode="json") | card.model_dump()
    assert "crop_mode" not in card.model_dump_json()
    squashed = card.model_copy(update={"crop_mode": "squash"})
    assert Card.model_validate_json(squashed.model_dump_json()) == squashed
    assert CardOptions(mean=(0.4,) * 3).override(squashed, "net").crop_mode == "squash"


@pytest.mark.parametrize("size", [(40, 40), (39, 40)])
def test_corrupted_images_are_padded_where_the_card_has_a_crop_above_one(size: tuple[int, int]) -> None:
    side, crop = size
    card = Card(architecture="n", num_classes=2, input_size=crop, resize=side, mean=(0,) * 3, std=(1,) * 3)
    network = Inference(Subject("n", nn.Identity(), card, ClassHead(None, "own")), torch.device("cpu"), resize=side)
    images = torch.full((2, 3, 64, 64), 255, dtype=torch.uint8)
    found = network.preprocess(images)
    assert found.shape == (2, 3, crop, crop)
    assert int((found[0, 0] == 1).sum()) == side * side


def test_inspected_images_are_cut_in_the_same_way(tmp_path: Path) -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :10] = 255  # which only squashing keeps
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    card = Card(
        architecture="n", num_classes=2, input_size=16, resize=16, mean=(0,) * 3, std=(1,) * 3, crop_mode="squash"
    )
    for mode, white in (("squash", True), ("center", False)):
        ((_, cut),) = load_images([tmp_path / "wide.png"], card.model_copy(update={"crop_mode": mode}))
        assert bool((cut == 255).any()) == white
