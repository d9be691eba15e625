"""Finding the first layer, its responses, and a unit that sees no border."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from ppbench.errors import DataError
from ppbench.inspection.layer import FirstLayer, find_first_layer
from ppbench.models.checkpoint import load_checkpoint
from ppbench.models.embedded import EMBEDDED_MODELS, embedded_path
from ppbench.models.push_pull_2020 import PushPull2020Conv2d
from ppbench.models.pushpull import PushPullConv2d
from ppbench.models.resnet import create_model
from tests.inspection.layers import Net, card, push_pull
from tests.oracles import pushpull as oracle


@pytest.mark.parametrize("name", EMBEDDED_MODELS)
def test_the_embedded_networks_begin_with_conv1_and_its_batch_norm(name: str) -> None:
    model, of = load_checkpoint(embedded_path(name))
    layer = find_first_layer(name, model, of)
    assert layer.name == "conv1"
    assert layer.norm is not None
    assert layer.norm.name == "bn1"
    assert layer.is_push_pull == name.endswith("pp3")
    x = torch.randn(2, 1, 28, 28)
    with torch.no_grad():
        expected = F.relu(model.bn1(model.conv1(x)))
    torch.testing.assert_close(layer.after_norm(layer.responses(x).output), expected, atol=1e-5, rtol=1e-4)


def test_push_pull_and_output_are_those_of_the_definition() -> None:
    kernels = torch.randn(4, 1, 3, 3)
    layer, x = push_pull(kernels, inhibition=0.7), torch.randn(2, 1, 9, 9)
    parts = oracle.push_pull(x, kernels, 0.7, None, padding=(1, 1), avg_kernel_size=3)
    push, pull, output = layer.responses(x)
    torch.testing.assert_close(push, parts.push_input.relu())
    torch.testing.assert_close(pull, parts.pull_input.relu())
    torch.testing.assert_close(output, parts.output)
    torch.testing.assert_close(layer.pull_kernels(), oracle.pull_kernel(kernels))


@pytest.mark.parametrize("make", [nn.Conv2d, PushPullConv2d])
def test_the_bias_is_left_out_of_the_output_and_comes_back_before_the_norm(make: type) -> None:
    layer, x = FirstLayer("conv", make(1, 3, 3, bias=True), None), torch.randn(2, 1, 9, 9)
    output = layer.responses(x).output
    with torch.no_grad():
        torch.testing.assert_close(output + layer.module.bias.view(-1, 1, 1), layer.module(x))
        torch.testing.assert_close(layer.after_norm(output), layer.module(x).relu())


def test_the_layer_of_2020_is_push_pull_with_a_larger_pull_kernel() -> None:
    module = PushPull2020Conv2d(1, 3, 3, padding=1, trainable_inhibition=True)
    with torch.no_grad():
        module.inhibition[0] = -1.0  # type: ignore[index]
    layer, x = FirstLayer("conv", module, None), torch.randn(1, 1, 12, 12)
    assert layer.is_push_pull
    assert layer.pull_kernels().shape == (3, 1, 7, 7)  # type: ignore[union-attr]
    assert layer.inhibition[0] == 0  # type: ignore[index]
    with torch.no_grad():
        torch.testing.assert_close(layer.responses(x).output, module(x))


@pytest.mark.parametrize("stem", ["pp0", "pp5", "pp2020", "blurpool", "blurafter"])
def test_every_stem_is_found(stem: str) -> None:
    name = f"resnet18-{stem}"
    layer = find_first_layer(name, create_model(name), card(3, 64))
    assert layer.name == "conv1"
    assert layer.norm is not None
    assert layer.is_push_pull == stem.startswith("pp")
    assert layer.filters == 64


class Backwards(nn.Module):
    """Registers its second convolution first."""

    def __init__(self) -> None:
        super().__init__()
        self.later, self.sooner = nn.Conv2d(4, 10, 3), nn.Conv2d(1, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.later(self.sooner(x)).mean((2, 3))


def test_first_is_what_the_image_enters_first() -> None:
    layer = find_first_layer("net", Backwards(), card())
    assert layer.name == "sooner"
    assert layer.norm is None


def test_a_batch_norm_that_is_not_right_behind_is_not_the_layer_s() -> None:
    layers = (nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))
    assert find_first_layer("net", Net(layers, 4), card()).norm is None


@pytest.mark.parametrize(
    "layers",
    [(nn.Flatten(2), nn.Unflatten(2, (28, 28))), (nn.BatchNorm2d(1), nn.Conv2d(1, 1, 3)), (nn.AvgPool2d(2),)],
)
def test_a_network_that_begins_otherwise_is_refused(layers: tuple[nn.Module, ...]) -> None:
    with pytest.raises(DataError, match="odd has no convolution that the image enters first") as caught:
        find_first_layer("odd", Net(layers, 1), card(std=0.5))
    assert "begin with a convolution" in caught.value.hint


def test_a_network_that_cannot_take_the_images_is_refused() -> None:
    with pytest.raises(DataError, match=r"net does not take images of 3 x 28 x 28 values") as caught:
        find_first_layer("net", Backwards(), card(3))
    assert "--input-size" in caught.value.hint


GEOMETRIES = st.fixed_dictionaries(
    {"kernel_size": st.integers(1, 5), "stride": st.integers(1, 3), "dilation": st.integers(1, 2)}
)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["plain", "pp0", "pp3", "pp5", "2020", "circular", "same"]), GEOMETRIES, st.integers(0, 3))
def test_the_chosen_unit_sees_no_border(kind: str, geometry: dict[str, int], padding: int) -> None:
    torch.manual_seed(0)
    padding = min(padding, geometry["dilation"] * (geometry["kernel_size"] - 1))
    layer = FirstLayer("conv", build(kind, geometry, padding), None)
    for one in (layer, layer.without_padding()):
        (down, across), side = one.place_and_side()
        image = torch.randn(1, 2, *side)
        shift = 4 * one.module.stride[0]
        larger = torch.randn(1, 2, side[0] + 2 * shift, side[1] + 2 * shift)
        larger[..., shift : shift + side[0], shift : shift + side[1]] = image
        alone = one.responses(image).output[..., down, across]
        torch.testing.assert_close(one.responses(larger).output[..., down + 4, across + 4], alone, atol=1e-4, rtol=1e-4)


def build(kind: str, geometry: dict[str, int], padding: int) -> nn.Module:
    if kind == "2020":
        return PushPull2020Conv2d(2, 3, padding=padding, **geometry)  # type: ignore[arg-type]
    if kind.startswith("pp"):
        return PushPullConv2d(2, 3, padding=padding, avg_kernel_size=int(kind[2:]), **geometry)  # type: ignore[arg-type]
    if kind == "same":
        odd = {"kernel_size": geometry["kernel_size"] | 1, "dilation": geometry["dilation"]}
        return nn.Conv2d(2, 3, padding="same", **odd)  # type: ignore[arg-type]
    mode = "circular" if kind == "circular" else "zeros"
    return nn.Conv2d(2, 3, padding=padding, padding_mode=mode, **geometry)  # type: ignore[arg-type]


@pytest.mark.parametrize("stem", ["blurafter", "blurpool"])
def test_the_chosen_unit_of_a_blurring_stem_sees_no_border(stem: str) -> None:
    layer = find_first_layer("net", create_model(f"resnet18-{stem}"), card(3, 64))
    (down, across), side = layer.place_and_side()
    image = torch.randn(1, 3, *side)
    larger = torch.randn(1, 3, side[0] + 16, side[1] + 16)
    larger[..., 8 : 8 + side[0], 8 : 8 + side[1]] = image
    steps = 4 if stem == "blurafter" else 8  # the blur pool stands further on, the convolution has stride 1
    alone = layer.responses(image).output[..., down, across]
    there = layer.responses(larger).output[..., down + steps, across + steps]
    torch.testing.assert_close(there, alone, atol=1e-4, rtol=1e-4)
