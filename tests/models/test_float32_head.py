"""The classifier of a network in half precision."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn.utils import parametrizations

from ppbench.devices import computing
from ppbench.models.float32_head import find_classifier, float32_classifier, in_float32
from ppbench.models.resnet import create_model
from ppbench.models.weights import weights_hash

CPU = torch.device("cpu")


def named(model: nn.Module, classes: int = 7) -> str | None:
    """Where the classifier is."""
    found = find_classifier(model, classes)
    return None if found is None else next(name for name, module in model.named_modules() if module is found.layer)


@pytest.mark.parametrize(
    ("model", "where"),
    [
        (lambda: create_model("resnet8", 7), "fc"),
        (lambda: torchvision.models.resnet18(num_classes=7), "fc"),
        (lambda: torchvision.models.squeezenet1_1(num_classes=7), None),  # a convolution
        (lambda: torchvision.models.mobilenet_v3_small(num_classes=7), "classifier.3"),
        (lambda: timm.create_model("test_vit", num_classes=7), "head"),
        (lambda: timm.create_model("test_convnext", num_classes=7), "head.fc"),
        (lambda: timm.create_model("test_efficientnet", num_classes=7), "classifier"),
    ],
)
def test_the_classifier_is_found(model: Any, where: str | None) -> None:
    assert named(model()) == where


class Twice(torchvision.models.ResNet):
    """A subclass of the user's own."""


def test_it_is_not_guessed() -> None:
    hooked = create_model("resnet8", 7)
    hooked.fc.register_forward_hook(lambda *_: None)  # type: ignore[union-attr]
    parametrized = create_model("resnet8", 7)
    parametrizations.weight_norm(parametrized.fc)  # type: ignore[arg-type]
    twice = create_model("resnet8", 7)
    twice.other = nn.Linear(3, 7)
    own = Twice(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=7)
    assert [named(model) for model in (hooked, parametrized, twice, own)] == [None] * 4
    twice.aux_other = twice.other
    del twice.other
    assert named(twice) == "fc"
    assert named(create_model("resnet8", 7), classes=8) is None


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_logits_are_the_float32_product_of_what_enters_the_classifier(precision: str) -> None:
    torch.manual_seed(0)
    model = create_model("resnet8", 7, in_channels=3).eval()
    images, before = torch.rand(4, 3, 32, 32), weights_hash(model)
    entered: list[torch.Tensor] = []
    with torch.inference_mode(), computing(precision, CPU):
        plain = model(images)
        with in_float32(float32_classifier(model, 7, precision)):
            layer = model.fc
            layer.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))  # type: ignore[union-attr]
            logits = model(images)
    weight, bias = model.fc.weight, model.fc.bias  # type: ignore[union-attr]
    assert torch.equal(logits, torch.nn.functional.linear(entered[0].float(), weight, bias))  # type: ignore[arg-type]
    assert (plain.dtype, logits.dtype) == (torch.bfloat16 if precision == "bf16" else torch.float16, torch.float32)
    # The same but for the rounding of the product.
    assert (plain.float() - logits).abs().max() < 0.05
    assert not torch.equal(plain.float(), logits)
    assert weights_hash(model) == before
    assert type(model.fc) is nn.Linear


def test_full_precision_needs_none() -> None:
    model = create_model("resnet8", 7)
    assert float32_classifier(model, 7, "fp32") is None
    assert float32_classifier(model, 7, "tf32") is None
    with in_float32(None):
        assert type(model.fc) is nn.Linear


def test_the_network_is_as_before_after_an_error() -> None:
    model = create_model("resnet8", 7)
    with suppress(ValueError), in_float32(find_classifier(model, 7)):
        assert type(model.fc) is not nn.Linear
        raise ValueError("why")
    assert type(model.fc) is nn.Linear
