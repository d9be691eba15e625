"""The card of a model."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from ppbench.errors import UsageError
from ppbench.models.card import (
    CIFAR_MEAN,
    CIFAR_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    PRESETS,
    Card,
    CardOptions,
    parse_card_options,
)

LEAST: dict[str, Any] = {
    "architecture": "resnet20",
    "num_classes": 10,
    "input_size": 32,
    "mean": CIFAR_MEAN,
    "std": CIFAR_STD,
}


def test_round_trip() -> None:
    card = Card(**LEAST, seed=3, recipe={"epochs": 30, "lr": [0.005, 0.2]}, class_names=("a", "b"), clean_accuracy=0.93)
    assert Card.model_validate_json(card.model_dump_json(exclude_none=True)) == card


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_classes", 0),
        ("in_channels", 2),
        ("input_size", 0),
        ("interpolation", "nearest"),
        ("clean_accuracy", 93.0),
        ("mean", ()),
        ("mean", (0.5, 0.5)),
        ("std", (0.2, 0.0, 0.2)),
        ("std", (0.2, -0.1, 0.2)),
        ("mean", (float("nan"), 0.5, 0.5)),
        ("nonsense", 1),
    ],
)
def test_what_cannot_be_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Card(**{**LEAST, field: value})


def test_preprocessing_in_words() -> None:
    imagenet = Card(
        architecture="resnet50", num_classes=1000, input_size=224, resize=256, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    assert imagenet.normalization() == ", mean 0.485/0.456/0.406, std 0.229/0.224/0.225"
    grey = Card(**{**LEAST, "in_channels": 1, "input_size": 28, "mean": (0.286,), "std": (0.353,)})
    assert grey.normalization() == ", grey, mean 0.286, std 0.353"


def test_importing_it_costs_no_torch() -> None:
    code = "import sys, ppbench.models.card, ppbench.models.shapes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestOptions:
    CARD = Card(
        architecture="resnet50", num_classes=1000, input_size=224, resize=256, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )

    def test_nothing_said_changes_nothing(self) -> None:
        assert CardOptions().override(self.CARD, "x") is self.CARD
        assert CardOptions(architecture="resnet50").override(self.CARD, "x") is self.CARD

    @pytest.mark.parametrize("name", list(PRESETS))
    def test_a_preset_replaces_the_cards_values(self, name: str) -> None:
        card = CardOptions(preset=name).override(self.CARD, "x")
        assert card.model_dump() == {**self.CARD.model_dump(), **PRESETS[name]}

    def test_explicit_values_go_before_the_preset(self) -> None:
        options = parse_card_options("cifar10", mean="0.1, 0.2,0.3", input_size=28)
        card = options.override(self.CARD, "x")
        assert (card.mean, card.std, card.input_size, card.resize) == ((0.1, 0.2, 0.3), CIFAR_STD, 28, None)

    @pytest.mark.parametrize(("size", "resize"), [(112, 128), (299, 342)])
    def test_the_share_of_the_crop_stays(self, size: int, resize: int) -> None:
        assert CardOptions(input_size=size).override(self.CARD, "x").resize == resize
        assert (
            CardOptions(preset="imagenet", input_size=size).make("x", architecture="a", num_classes=2).resize == resize
        )
        assert CardOptions(input_size=size, resize=400).override(self.CARD, "x").resize == 400
        as_is = self.CARD.model_copy(update={"resize": None})
        assert CardOptions(input_size=size).override(as_is, "x").resize is None

    def test_a_card_of_options_alone(self) -> None:
        options = parse_card_options(mean="0.5", std="0.25", input_size=32)
        card = options.make("x", architecture="a", num_classes=7)
        assert card == Card(
            architecture="a", num_classes=7, in_channels=1, input_size=32, resize=None, mean=(0.5,), std=(0.25,)
        )
        assert parse_card_options("half", input_size=224).make("x", architecture="a", num_classes=7).resize == 256

    @pytest.mark.parametrize(
        ("options", "missing", "example"),
        [
            (
                CardOptions(),
                "--mean, --std, --input-size missing",
                "`--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --input-size 224`",
            ),
            (CardOptions(preset="half"), ": --input-size missing", "`--input-size 224`"),
            (CardOptions(mean=(0.5,) * 3, input_size=32), ": --std missing", "`--std 0.229,0.224,0.225`"),
        ],
    )
    def test_what_is_missing_is_named(self, options: CardOptions, missing: str, example: str) -> None:
        assert not options.is_complete
        with pytest.raises(UsageError, match=r"the card of net.pth is not known") as caught:
            options.make("net.pth", architecture="a", num_classes=7)
        assert missing in caught.value.message
        assert example in caught.value.hint
        assert "--preset imagenet" in caught.value.hint

    @pytest.mark.parametrize(
        ("said", "message"),
        [
            ({"mean": "0.5,0.5"}, "--mean 0.5,0.5 is not allowed"),
            ({"mean": "0.5,x,0.5"}, "--mean 0.5,x,0.5 is not allowed"),
            ({"mean": ""}, "--mean  is not allowed"),
            ({"mean": "123.7,116.3,103.5"}, "--mean 123.7,116.3,103.5 is not allowed"),
            ({"mean": "nan,0,0"}, "--mean nan,0,0 is not allowed"),
            ({"std": "0.2,0,0.2"}, "--std 0.2,0,0.2 is not allowed"),
            ({"std": "inf"}, "--std inf is not allowed"),
            ({"mean": "0.5", "std": "0.5,0.5,0.5"}, "--mean and --std have different numbers of values"),
            ({"input_size": 0}, "--input-size 0 is not allowed"),
            ({"preset": "imagnet"}, "unknown preset 'imagnet'"),
        ],
    )
    def test_values_that_are_not_allowed(self, said: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError) as caught:
            parse_card_options(**said)
        assert caught.value.message == message
        assert caught.value.hint

    def test_options_of_python_are_checked_too(self) -> None:
        with pytest.raises(UsageError, match="unknown interpolation 'nearest'"):
            CardOptions(interpolation="nearest")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="--resize 3 is not allowed"):
            CardOptions(resize=3)

    def test_three_means_for_a_grey_network(self) -> None:
        grey = Card(**{**LEAST, "in_channels": 1, "mean": (0.286,), "std": (0.353,)})
        with pytest.raises(UsageError, match=r"the card of net is not valid: .*mean and std need 1 values each"):
            CardOptions(preset="imagenet").override(grey, "net")


def test_usual_cards() -> None:
    assert Card.imagenet() == Card(
        architecture="custom", num_classes=1000, input_size=224, resize=256, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    assert (Card.cifar10("net").architecture, Card.cifar10().num_classes, Card.cifar10().resize) == ("net", 10, None)
    assert (Card.cifar100().num_classes, Card.cifar100().mean) == (100, (0.5071, 0.4867, 0.4408))
    assert Card.imagenet("net", 100, interpolation="bicubic").interpolation == "bicubic"
