"""The push-pull layer of 2020 against its definition in loops."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ppbench.errors import UsageError
from ppbench.models.push_pull_2020 import PushPull2020Conv2d, with_push_pull_2020
from tests.oracles import push_pull_2020 as oracle

BOUND = {torch.float32: 1e-5, torch.float64: 1e-10}


@dataclass(frozen=True)
class Geometry:
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    bias: bool
    inhibition: float
    trainable_inhibition: bool


def pair(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Geometry, tuple[int, int, int, int], int]:
    groups = draw(st.sampled_from([1, 1, 2]))
    channels = st.integers(1, 3).map(lambda per_group: per_group * groups)
    geometry = Geometry(
        in_channels=draw(channels),
        out_channels=draw(channels),
        kernel_size=draw(pair(1, 5)),
        stride=draw(pair(1, 3)),
        padding=draw(pair(0, 2)),
        dilation=draw(pair(1, 2)),
        groups=groups,
        bias=draw(st.booleans()),
        inhibition=draw(st.sampled_from([0.5, 1.0, 6.0])),
        trainable_inhibition=draw(st.booleans()),
    )
    spans = [d * (k - 1) + 1 for d, k in zip(geometry.dilation, geometry.kernel_size, strict=True)]
    smallest = [max(1, span - 2 * p) for span, p in zip(spans, geometry.padding, strict=True)]
    height, width = (draw(st.integers(least, least + 4)) for least in smallest)
    return geometry, (draw(st.sampled_from([1, 2])), geometry.in_channels, height, width), draw(st.integers(0, 2**31))


def relative_error(got: Tensor, expected: Tensor) -> float:
    difference, size = torch.dist(got.double(), expected.double()).item(), expected.norm().item()
    return difference / size if size else difference


def oracle_of(layer: PushPull2020Conv2d, x: Tensor, leaves: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    assert isinstance(layer.padding, tuple)
    return oracle.push_pull_2020(
        x,
        leaves["weight"],
        leaves.get("inhibition", layer.inhibition),
        leaves.get("bias"),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(case=cases())
def test_equals_the_definition(dtype: torch.dtype, case: tuple[Geometry, tuple[int, int, int, int], int]) -> None:
    geometry, shape, seed = case
    torch.manual_seed(seed)
    layer = PushPull2020Conv2d(**asdict(geometry), dtype=dtype)
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    leaves = {name: p.detach().double().requires_grad_() for name, p in layer.named_parameters()}
    exact_x = x.detach().double().requires_grad_()
    expected, push, pull = oracle_of(layer, exact_x, leaves)
    gradient = torch.rand_like(expected) + 0.5
    for given_to_relu in (push, pull):  # where rounding alone decides on which side of 0 it lies
        gradient[given_to_relu.abs() <= 1e-5 * given_to_relu.abs().max()] = 0
    expected.backward(gradient)
    output = layer(x)
    output.backward(gradient.to(dtype))
    with torch.inference_mode():
        without_gradients = layer(x)
    errors = {
        "forward": relative_error(output.detach(), expected.detach()),
        "without gradients": relative_error(without_gradients, expected.detach()),
        "input": relative_error(x.grad, exact_x.grad),
        **{name: relative_error(p.grad, leaves[name].grad) for name, p in layer.named_parameters()},
    }
    assert {name: error for name, error in errors.items() if not error <= BOUND[dtype]} == {}


def test_gradcheck() -> None:
    torch.manual_seed(0)
    layer = PushPull2020Conv2d(2, 3, 3, 2, 1, trainable_inhibition=True).double()
    names, parameters = zip(*layer.named_parameters(), strict=True)
    x = torch.randn(2, 2, 6, 5, dtype=torch.float64, requires_grad=True)

    def output(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(output, (x, *parameters))


def test_hand_made_example() -> None:
    layer = PushPull2020Conv2d(1, 1, (1, 3), padding=(0, 1), inhibition=2.0, bias=False)
    layer.weight.data = torch.tensor([[[[2.0, 0.0, -4.0]]]])
    # The 1 x 3 kernel becomes 3 x 7: three equal rows of (2, 4/3, 2/3, 0, -4/3, -8/3, -4), negated.
    row = [-2, -4 / 3, -2 / 3, 0, 4 / 3, 8 / 3, 4]
    torch.testing.assert_close(layer.pull_kernel()[0, 0], torch.tensor([row] * 3))
    x = torch.tensor([[[[0.0, 3.0, 0.0]]]])
    # conv(x, W) = (-12, 0, 6); conv(x, pull) = (4/3 * 3, 0, -2/3 * 3) = (4, 0, -2)
    torch.testing.assert_close(layer(x), torch.tensor([[[[-8.0, 0.0, 6.0]]]]))


@pytest.mark.parametrize(("side", "pull"), [(1, 3), (2, 4), (3, 7), (4, 8), (7, 15)])
def test_the_pull_kernel_is_about_twice_as_large_and_keeps_the_corners(side: int, pull: int) -> None:
    layer = PushPull2020Conv2d(3, 2, side)
    kernel = layer.pull_kernel()
    assert kernel.shape == (2, 3, pull, pull)
    torch.testing.assert_close(-kernel[..., 0, 0], layer.weight[..., 0, 0])
    torch.testing.assert_close(-kernel[..., -1, -1], layer.weight[..., -1, -1])


def test_trainable_inhibition_is_drawn_around_a_half_and_negative_ones_count_as_none() -> None:
    torch.manual_seed(0)
    layer = PushPull2020Conv2d(4, 400, 3, padding=1, trainable_inhibition=True)
    assert (layer.inhibition - 0.5).abs().max() <= 1 / 40
    layer.inhibition.data.fill_(-3)
    push, _ = layer.responses(x := torch.randn(1, 4, 6, 6))
    assert torch.equal(layer(x), push)


def test_responses_make_up_the_output() -> None:
    layer, x = PushPull2020Conv2d(3, 4, 3, inhibition=2.5), torch.randn(2, 3, 8, 8)
    push, pull = layer.responses(x)
    assert push.min() == pull.min() == 0
    torch.testing.assert_close(layer(x), push - 2.5 * pull)


def test_channels_last_meta_autocast_and_the_state() -> None:
    torch.manual_seed(0)
    layer, x = PushPull2020Conv2d(3, 8, 7, 2, 3, trainable_inhibition=True), torch.rand(2, 3, 33, 31)
    assert set(layer.state_dict()) == {"weight", "bias", "inhibition"}
    last = copy.deepcopy(layer).to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert relative_error(last.detach(), layer(x).detach()) <= 1e-6
    with torch.autocast("cpu", torch.bfloat16):
        assert relative_error(layer(x).detach(), last.detach()) <= 0.02
    with torch.device("meta"), torch.no_grad():
        assert PushPull2020Conv2d(3, 8, 7, 2, 3)(torch.empty(2, 3, 32, 32)).shape == (2, 8, 16, 16)


def test_with_push_pull_2020_keeps_the_parameters_themselves() -> None:
    model = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, 2, 2), nn.ReLU(), nn.Conv2d(8, 2, 1)).double().eval()
    stem = model[0]
    layer = with_push_pull_2020(model, inhibition=0.5)[0]
    assert layer.weight is stem.weight
    assert layer.bias is stem.bias
    assert (layer.inhibition, layer.training) == (0.5, False)
    x = torch.randn(2, 4, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(layer(x), oracle_of(layer, x, dict(layer.named_parameters()))[0])
    with pytest.raises(UsageError, match="already has a push-pull convolution"):
        with_push_pull_2020(model)
