"""What a user says of a model's card."""

from __future__ import annotations

from typing import Any

import pytest

from ppbench.errors import UsageError
from ppbench.models.card import CIFAR_STD, IMAGENET_MEAN, IMAGENET_STD, PRESETS, Card
from ppbench.models.card_options import CardOptions, parse_card_options


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
        with pytest.raises(UsageError, match=r"the preprocessing of net.pth is not known") as caught:
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
        grey = Card(architecture="resnet20", num_classes=10, input_size=32, in_channels=1, mean=(0.286,), std=(0.353,))
        with pytest.raises(UsageError, match=r"the card of net is not valid: .*mean and std need 1 values each"):
            CardOptions(preset="imagenet").override(grey, "net")
