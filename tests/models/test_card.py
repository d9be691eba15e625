"""The card of a model."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from ppbench.models.card import CIFAR_MEAN, CIFAR_STD, IMAGENET_MEAN, IMAGENET_STD, Card

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


def test_usual_cards() -> None:
    assert Card.imagenet() == Card(
        architecture="custom", num_classes=1000, input_size=224, resize=256, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    assert (Card.cifar10("net").architecture, Card.cifar10().num_classes, Card.cifar10().resize) == ("net", 10, None)
    assert (Card.cifar100().num_classes, Card.cifar100().mean) == (100, (0.5071, 0.4867, 0.4408))
    assert Card.imagenet("net", 100, interpolation="bicubic").interpolation == "bicubic"
