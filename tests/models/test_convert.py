"""Push-pull networks made from trained plain ones."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from ppbench.errors import DataError, UsageError
from ppbench.models.card import Card
from ppbench.models.checkpoint import load_checkpoint, save_checkpoint
from ppbench.models.convert import convert_to_push_pull, estimate_statistics, has_batch_norm
from ppbench.models.loaded import Checkpoint
from ppbench.models.pushpull import PushPullConv2d
from ppbench.models.resnet import create_model
from ppbench.models.undrawn import WithoutDrawing
from ppbench.models.weights import weights_hash


def trained(model: nn.Module) -> nn.Module:
    """Random weights, but batch norms as training leaves them: scales of both signs, statistics that fit."""
    channels = next(m for m in model.modules() if isinstance(m, nn.Conv2d)).in_channels
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.weight.data[::2] *= -1
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.momentum = 1
    with torch.no_grad():
        model.train()(torch.randn(8, channels, 32, 32))
    return model.eval()


def card_of(architecture: str, **fields: Any) -> Card:
    known = {"num_classes": 5, "input_size": 32, "mean": (0.5,) * 3, "std": (0.2,) * 3}
    return Card(**{**known, **fields}, architecture=architecture)


def network(name: str) -> nn.Module:
    library, _, of_library = name.rpartition(":")
    if library == "torchvision":
        return torchvision.models.get_model(of_library, num_classes=5)
    if library == "timm":
        return timm.create_model(of_library, num_classes=5)
    return create_model(name, 5, stem_bias=name == "resnet14")


FIRST = {
    "resnet8": "conv1",
    "resnet14": "conv1",  # with a bias
    "torchvision:resnet18": "conv1",
    "torchvision:mobilenet_v3_small": "features.0.0",
    "timm:efficientnet_b0": "conv_stem",
    "timm:tf_efficientnet_b0": "conv_stem",
    "timm:convnext_atto": "stem.0",
}


@pytest.mark.parametrize("name", FIRST)
def test_at_inhibition_0_nothing_changes_and_the_file_gives_the_same(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = trained(network(name))
    card = card_of(name, stem_bias=name == "resnet14")
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        expected = plain(x)
        made = convert_to_push_pull("net", Checkpoint(copy.deepcopy(plain), card), 3, inhibition=0)
        torch.testing.assert_close(made.model(x), expected, rtol=0, atol=1e-5)
        save_checkpoint(tmp_path / "net.safetensors", *made)
        loaded, stored = load_checkpoint(tmp_path / "net.safetensors")
        torch.testing.assert_close(loaded(x), expected, rtol=0, atol=1e-5)
        made.model.get_submodule(FIRST[name]).inhibition = 2.0
        assert (made.model(x) - expected).abs().max() > 1e-3  # so that a difference would be seen above
    layers = [m for m in loaded.modules() if isinstance(m, PushPullConv2d)]
    assert [(m.avg_kernel_size, m.inhibition, m.rectified_push) for m in layers] == [(3, 0.0, False)]
    assert stored.origin == {"name": "net", "architecture": name, "weights": weights_hash(plain)}
    assert stored == made.card


def test_the_pull_inhibits_the_convolution_as_it_was() -> None:
    torch.manual_seed(0)
    plain, x = trained(create_model("resnet8", 5)), torch.randn(4, 3, 64, 64)
    made = convert_to_push_pull("net", Checkpoint(copy.deepcopy(plain), card_of("resnet8")), 5, inhibition=2.0)
    layer = made.model.conv1
    assert torch.equal(layer.weight, plain.conv1.weight)
    with torch.no_grad():
        _, pull = layer.responses(x)
        torch.testing.assert_close(layer(x), plain.conv1(x) - 2 * pull, rtol=1e-4, atol=1e-5)
    assert (made.card.architecture, made.card.inhibition) == ("resnet8-pp5", 2.0)


def test_what_the_card_says() -> None:
    recipe = {"epochs": 3}
    card = card_of("torchvision:resnet18", clean_accuracy=0.8, recipe=recipe, source="https://x", command="train")
    with WithoutDrawing():
        model, cifar = torchvision.models.resnet18(num_classes=5), create_model("resnet18-cifar", 5)
    made = convert_to_push_pull("resnet18", Checkpoint(model, card), 5).card
    assert (made.architecture, made.stem, made.rectified_push) == ("resnet18-pp5", None, False)
    assert (made.clean_accuracy, made.recipe, made.command, made.source) == (None, None, None, "https://x")
    assert made.origin["recipe"] == recipe
    made = convert_to_push_pull("net", Checkpoint(cifar, card_of("resnet18-cifar")), 3).card
    assert (made.architecture, made.stem) == ("resnet18-cifar-pp3", None)
    made = convert_to_push_pull("n", Checkpoint(create_model("resnet8", 5), card_of("resnet8")), rectified_push=True)
    assert (made.card.architecture, made.card.rectified_push) == ("resnet8-pp3", True)
    assert made.model.conv1.rectified_push


def test_a_trainable_inhibition_begins_at_the_given_one(tmp_path: Path) -> None:
    plain = Checkpoint(create_model("resnet8", 5), card_of("resnet8"))
    made = convert_to_push_pull("net", plain, inhibition=0.25, trainable_inhibition=True)
    assert torch.equal(made.model.conv1.inhibition, torch.full((16,), 0.25))
    save_checkpoint(tmp_path / "net.safetensors", *made)
    assert torch.equal(load_checkpoint(tmp_path / "net.safetensors").model.conv1.inhibition, torch.full((16,), 0.25))


@pytest.mark.parametrize("name", ["resnet8-pp3", "resnet8-pp2020", "resnet8-blurpool", "resnet8-blurafter"])
def test_only_plain_networks_are_converted(name: str) -> None:
    with pytest.raises(UsageError, match=r"net (already has a push-pull|blurs before).*\nStart from the plain model"):
        convert_to_push_pull("net", Checkpoint(create_model(name, 5), card_of(name)))


@pytest.fixture(scope="module")
def mobilenet() -> nn.Module:
    """Of torchvision, with 5 classes; no test looks at its weights."""
    with WithoutDrawing():
        return torchvision.models.mobilenet_v3_small(num_classes=5)


def test_refusals() -> None:
    with pytest.raises(UsageError, match=r"--push-pull 7 is not allowed\nIt is 0 .no mean filter., 3 or 5"):
        convert_to_push_pull("net", Checkpoint(create_model("resnet8", 5), card_of("resnet8")), 7)
    with pytest.raises(UsageError, match="net is made by your code"):
        convert_to_push_pull("net", Checkpoint(create_model("resnet8", 5), card_of("pkg.mod:make")))
    for value, written in ((-1.0, "-1"), (math.nan, "nan"), (math.inf, "inf")):
        with pytest.raises(UsageError, match=f"--inhibition {written} is not allowed"):
            convert_to_push_pull("net", Checkpoint(create_model("resnet8", 5), card_of("resnet8")), inhibition=value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_classes": 10**9}, "card says 1000000000 classes"),
        (
            {"architecture": "torchvision:resnet21"},
            r"unknown torchvision network 'resnet21'[^`]*`python -c .*list_models",
        ),
        ({"architecture": "timm:resnet21"}, "this version of timm has no resnet21"),
        ({"architecture": "torchvision:squeezenet1_1"}, "do not fit the network"),
        ({"stem": "pp4"}, "unknown stem 'pp4'"),
        ({"stem": "blurpool", "inhibition": 2.0}, "has no inhibition to set"),
        ({"inhibition": 3.0}, "torchvision:mobilenet_v3_small has no inhibition to set"),
        ({"trainable_inhibition": True}, "torchvision:mobilenet_v3_small has no inhibition to set"),
        ({"rectified_push": False}, "torchvision:mobilenet_v3_small cannot have a push that is not rectified"),
        ({"architecture": "other:resnet18"}, "is not valid"),
    ],
)
def test_cards_that_lie_are_refused(fields: dict[str, Any], message: str, mobilenet: nn.Module, tmp_path: Path) -> None:
    card = card_of("torchvision:mobilenet_v3_small").model_copy(update=fields)
    save_checkpoint(tmp_path / "net.safetensors", mobilenet, card)
    with pytest.raises(DataError, match=message):
        load_checkpoint(tmp_path / "net.safetensors")


class TestStatistics:
    def test_they_are_the_averages_of_those_of_the_batches(self) -> None:
        torch.manual_seed(0)
        conv, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        nn.init.uniform_(norm.running_mean)
        model = nn.Sequential(conv, norm, nn.ReLU(), nn.Dropout(0.5))
        batches = [torch.randn(6, 3, 8, 8) * (1 + number) for number in range(3)]
        assert estimate_statistics(model, batches) == 18
        responses = [conv(x).detach().double().numpy() for x in batches]
        means = np.mean([r.mean((0, 2, 3)) for r in responses], 0)
        variances = np.mean([r.var((0, 2, 3), ddof=1) for r in responses], 0)
        np.testing.assert_allclose(norm.running_mean.numpy(), means, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(norm.running_var.numpy(), variances, rtol=1e-4)
        assert (norm.momentum, norm.num_batches_tracked, model.training, norm.training) == (0.1, 3, False, False)

    def test_a_second_estimate_forgets_the_first(self) -> None:
        torch.manual_seed(0)
        model = trained(create_model("resnet8", 5))
        batches: list[Tensor] = [torch.randn(8, 3, 32, 32) for _ in range(2)]
        estimate_statistics(model, batches)
        first = weights_hash(model)
        estimate_statistics(model, [x * 3 for x in batches])
        assert weights_hash(model) != first
        estimate_statistics(model, batches)
        assert weights_hash(model) == first

    def test_networks_of_timm_have_them_too_but_for_convnext(self) -> None:
        model = timm.create_model("efficientnet_b0", num_classes=5)
        before = model.bn1.running_mean.clone()
        estimate_statistics(model, [torch.randn(4, 3, 32, 32)])
        assert not torch.equal(model.bn1.running_mean, before)
        assert has_batch_norm(model)
        with WithoutDrawing():
            assert not has_batch_norm(timm.create_model("convnext_atto", num_classes=5))

    def test_no_images(self) -> None:
        with pytest.raises(UsageError, match="no images to estimate"):
            estimate_statistics(create_model("resnet8", 5), [])
