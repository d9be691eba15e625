"""The push-pull layer against its plain definition, and what it promises beside the numbers."""

from __future__ import annotations

import copy
import pickle
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ppbench.errors import UsageError
from ppbench.models.push_pull_2020 import PushPull2020Conv2d
from ppbench.models.pushpull import PushPullConv2d, _pieces, with_push_pull
from tests.oracles import pushpull as oracle

BOUND = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Largest relative error, ``||a - b|| / ||b||`` with the Euclidean norm over the whole tensor."""

ROUNDING = {torch.float32: 1e-5, torch.float64: 1e-13}
"""How far from 0, relative to the largest, a rectifier's input can lie and yet get the other sign by rounding."""


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
    avg_kernel_size: int
    inhibition: float
    trainable_inhibition: bool


def pair(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Geometry, tuple[int, int, int, int], int]:
    """A layer, an input shape its kernel fits, and a seed."""
    groups = draw(st.sampled_from([1, 1, 2, 4]))
    channels = st.integers(1, 64 // groups).map(lambda per_group: per_group * groups)
    geometry = Geometry(
        in_channels=draw(channels),
        out_channels=draw(channels),
        kernel_size=draw(pair(1, 7)),
        stride=draw(pair(1, 3)),
        padding=draw(pair(0, 3)),
        dilation=draw(pair(1, 2)),
        groups=groups,
        bias=draw(st.booleans()),
        avg_kernel_size=draw(st.sampled_from([0, 3, 5])),
        inhibition=draw(st.sampled_from([0.5, 1.0, 6.0])),
        trainable_inhibition=draw(st.booleans()),
    )
    spans = [d * (k - 1) + 1 for d, k in zip(geometry.dilation, geometry.kernel_size, strict=True)]
    smallest = [max(1, span - 2 * p) for span, p in zip(spans, geometry.padding, strict=True)]
    height, width = (draw(st.integers(least, least + 9)) for least in smallest)
    shape = (draw(st.sampled_from([1, 3])), geometry.in_channels, height, width)
    return geometry, shape, draw(st.integers(0, 2**31))


def layer_of(geometry: Geometry, dtype: torch.dtype) -> PushPullConv2d:
    return PushPullConv2d(**asdict(geometry), dtype=dtype)


def oracle_of(layer: PushPullConv2d, x: Tensor, leaves: dict[str, Tensor]) -> oracle.Parts:
    """The definition with the layer's geometry and ``leaves`` as its parameters."""
    assert isinstance(layer.padding, tuple)
    return oracle.push_pull(
        x,
        leaves["weight"],
        leaves.get("inhibition", layer.inhibition),
        leaves.get("bias"),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        avg_kernel_size=layer.avg_kernel_size,
    )


def doubles(layer: PushPullConv2d) -> dict[str, Tensor]:
    return {name: p.detach().double().requires_grad_() for name, p in layer.named_parameters()}


def relative_error(got: Tensor, expected: Tensor) -> float:
    difference, size = torch.dist(got.double(), expected.double()).item(), expected.norm().item()
    return difference / size if size else difference


def upstream_gradient(parts: oracle.Parts, rounding: float) -> Tensor:
    """Random, but 0 where a rectifier's input is within rounding of 0.

    There relu has no derivative: on which side such an input falls, and so its whole gradient, is decided by the
    last bit of a sum, of which both ways of summing are right. Positive elsewhere, so that the gradients of bias
    and inhibition, which are sums over the image, do not vanish by chance and make a relative error meaningless.
    """
    gradient = torch.rand_like(parts.output) + 0.5
    for given_to_relu in (parts.push_input, parts.pull_input):
        gradient[given_to_relu.abs() <= rounding * given_to_relu.abs().max()] = 0
    return gradient


@settings(max_examples=250, deadline=None, derandomize=True)
@given(case=cases())
def test_equals_the_two_convolution_definition(case: tuple[Geometry, tuple[int, int, int, int], int]) -> None:
    """In float32 and float64, with the same weights and images: the definition is computed once for both."""
    geometry, shape, seed = case
    torch.manual_seed(seed)
    single, double = layer_of(geometry, torch.float32), layer_of(geometry, torch.float64)
    double.load_state_dict(single.state_dict())
    leaves, exact_x = doubles(single), torch.randn(shape).double().requires_grad_()
    expected = oracle_of(single, exact_x, leaves)
    gradient = upstream_gradient(expected, ROUNDING[torch.float32])  # the larger; float64 needs less
    expected.output.backward(gradient)
    for layer, dtype in ((single, torch.float32), (double, torch.float64)):
        x = exact_x.detach().to(dtype).requires_grad_()
        output = layer(x)
        output.backward(gradient.to(dtype))
        with torch.inference_mode():
            in_place = layer(x)
        errors = {
            "forward": relative_error(output.detach(), expected.output.detach()),
            "forward, in place": relative_error(in_place, expected.output.detach()),
            "input": relative_error(x.grad, exact_x.grad),
            **{name: relative_error(p.grad, leaves[name].grad) for name, p in layer.named_parameters()},
        }
        assert {name: error for name, error in errors.items() if not error <= BOUND[dtype]} == {}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=cases())
def test_without_rectified_push_the_convolution_itself_is_inhibited(
    case: tuple[Geometry, tuple[int, int, int, int], int],
) -> None:
    geometry, shape, seed = case
    torch.manual_seed(seed)
    layer = PushPullConv2d(**asdict(geometry), rectified_push=False, dtype=torch.float64)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    leaves, exact_x = doubles(layer), x.detach().requires_grad_()
    parts = oracle_of(layer, exact_x, leaves)
    expected = parts.output - torch.relu(parts.push_input) + parts.push_input
    gradient = upstream_gradient(parts, ROUNDING[torch.float64])
    expected.backward(gradient)
    output = layer(x)
    output.backward(gradient)
    with torch.inference_mode():
        in_place = layer(x)
    errors = {
        "forward": relative_error(output.detach(), expected.detach()),
        "forward, in place": relative_error(in_place, expected.detach()),
        "input": relative_error(x.grad, exact_x.grad),
        **{name: relative_error(p.grad, leaves[name].grad) for name, p in layer.named_parameters()},
    }
    assert {name: error for name, error in errors.items() if not error <= BOUND[torch.float64]} == {}


def test_without_rectified_push_and_inhibition_it_is_the_plain_convolution() -> None:
    conv = nn.Conv2d(3, 8, 7, 2, 3)
    layer = with_push_pull(nn.Sequential(conv), inhibition=0, rectified_push=False)[0]
    x = torch.randn(2, 3, 16, 16)
    # On some processors the convolution adds its bias in one rounding, the layer in two.
    torch.testing.assert_close(layer(x), conv(x), rtol=0, atol=1e-6)
    assert layer.responses(x)[0].min() < 0
    assert repr(layer).endswith("inhibition=0.0, rectified_push=False)")


@pytest.mark.parametrize(("groups", "trainable"), [(1, False), (2, True)])
@pytest.mark.parametrize("avg_kernel_size", [0, 3])
def test_gradcheck(groups: int, trainable: bool, avg_kernel_size: int) -> None:
    torch.manual_seed(0)
    layer = PushPullConv2d(
        2, 4, 3, 2, 1, groups=groups, avg_kernel_size=avg_kernel_size, trainable_inhibition=trainable
    ).double()
    names, parameters = zip(*layer.named_parameters(), strict=True)
    x = torch.randn(2, 2, 6, 5, dtype=torch.float64, requires_grad=True)

    def output(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(output, (x, *parameters))


def test_equal_extremes_share_the_gradient() -> None:
    layer = PushPullConv2d(1, 1, (1, 3), bias=False, avg_kernel_size=0)
    layer.weight.data = torch.tensor([[[[2.0, 2.0, 1.0]]]])
    x = torch.tensor([[[[1.0, 1.0, 1.0]]]])
    # push = 5; P = (1, 1, 2), pull = 4 = 3 (max + min) - sum W; half of the maximum's 3 for either 2.
    layer(x).backward()
    assert layer.weight.grad.flatten().tolist() == [1 - (1.5 - 1), 1 - (1.5 - 1), 1 - (3 - 1)]


def test_nothing_flows_where_both_responses_are_zero() -> None:
    layer = PushPullConv2d(1, 2, 3, padding=1, bias=False)
    x = torch.zeros(1, 1, 5, 5, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.count_nonzero() == 0  # relu's derivative at 0 is 0, and so is ours


def test_hand_made_example() -> None:
    layer = PushPullConv2d(1, 1, (1, 2), avg_kernel_size=3, inhibition=2.0)
    layer.weight.data, layer.bias.data = torch.tensor([[[[1.0, -3.0]]]]), torch.tensor([0.5])
    x = torch.tensor([[[[1.0, 0.0, 4.0, 1.0]]]])
    # W = (1, -3), P = (-3, 1): push = relu(1, -12, 1); conv(x, P) = (-3, 4, -11), mean over real neighbours
    # (.5, -10/3, -3.5), relu (.5, 0, 0); y = push - 2 pull + .5
    assert layer.pull_kernel().flatten().tolist() == [-3, 1]
    torch.testing.assert_close(layer(x), torch.tensor([[[[0.5, 0.5, 1.5]]]]))


class _Convolutions(TorchDispatchMode):
    """Notes the output shape of every convolution that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if "convolution" in str(func) or "conv2d" in str(func):
            self.shapes.append(tuple(result.shape))
        return result


@pytest.mark.parametrize("no_grad", [False, True])
@pytest.mark.parametrize("groups", [1, 4])
def test_runs_one_full_convolution(groups: int, no_grad: bool) -> None:
    layer, x = PushPullConv2d(8, 16, 3, groups=groups, avg_kernel_size=5), torch.randn(2, 8, 9, 9)
    with torch.set_grad_enabled(not no_grad), _Convolutions() as ran:
        layer(x)
    assert sorted(ran.shapes) == [(2, groups, 7, 7), (2, 16, 7, 7)]


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("avg_kernel_size", [0, 3])
def test_channels_last_gives_the_same_values_in_its_own_layout(avg_kernel_size: int, trainable: bool) -> None:
    torch.manual_seed(0)
    layer = PushPullConv2d(3, 8, 7, 2, 3, avg_kernel_size=avg_kernel_size, trainable_inhibition=trainable)
    x = torch.randn(2, 3, 17, 15)
    expected = layer(x)
    layer = layer.to(memory_format=torch.channels_last)
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            output = layer(x.to(memory_format=torch.channels_last))
        assert output.is_contiguous(memory_format=torch.channels_last)
        assert relative_error(output.detach(), expected.detach()) <= 1e-6


def test_a_large_batch_is_worked_off_in_pieces_without_a_trace() -> None:
    torch.manual_seed(0)
    layer, x = PushPullConv2d(3, 64, 3, padding=1), torch.randn(6, 3, 64, 64)
    assert _pieces(torch.empty(6, 64, 64, 64)) == 4  # so the batch is cut into 4 and 2
    with torch.no_grad():
        whole, single = layer(x), torch.cat([layer(image[None]) for image in x])
    assert relative_error(whole, single) <= 1e-6
    assert relative_error(whole, layer(x).detach()) <= 1e-6


def test_forward_alters_neither_input_nor_state_and_repeats_exactly() -> None:
    torch.manual_seed(0)
    layer, x = PushPullConv2d(1, 1, 1, trainable_inhibition=True), torch.randn(2, 1, 5, 5)
    before = copy.deepcopy(layer.state_dict()), x.clone()
    for context in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with context():
            first, second = layer(x), layer(x)
            first_again = first.clone()
            second.fill_(7)  # not the memory of the first
        assert torch.equal(first, first_again)
    assert torch.equal(x, before[1])
    assert all(torch.equal(layer.state_dict()[name], before[0][name]) for name in before[0])


def test_responses_make_up_the_output() -> None:
    layer, x = PushPullConv2d(3, 4, 3, inhibition=2.5), torch.randn(2, 3, 8, 8)
    push, pull = layer.responses(x)
    assert push.min() == pull.min() == 0
    torch.testing.assert_close(layer(x), push - 2.5 * pull + layer.bias.view(-1, 1, 1))


@pytest.mark.parametrize("frozen", [("weight",), ("weight", "bias"), ("weight", "inhibition"), ("bias",)])
def test_any_part_may_be_frozen(frozen: tuple[str, ...]) -> None:
    layer = PushPullConv2d(3, 4, 3, trainable_inhibition=True)
    for name in frozen:
        layer.get_parameter(name).requires_grad_(False)
    layer(torch.randn(2, 3, 8, 8)).sum().backward()
    assert {name for name, p in layer.named_parameters() if p.grad is None} == set(frozen)


def test_same_padding_and_an_image_without_batch() -> None:
    layer = PushPullConv2d(2, 3, 5, padding="same", dilation=2)
    explicit = PushPullConv2d(2, 3, 5, padding=4, dilation=2)
    explicit.load_state_dict(layer.state_dict())
    x = torch.randn(2, 2, 400, 9)  # one channel is large enough for pieces that would cut between channels
    torch.testing.assert_close(layer(x), explicit(x))
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            assert layer(x[0]).shape == (3, 400, 9)
            torch.testing.assert_close(layer(x[0]), layer(x)[0])


def test_an_empty_batch() -> None:
    layer, x = PushPullConv2d(4, 6, 3, groups=2), torch.empty(0, 4, 9, 9, requires_grad=True)
    output = layer(x)
    output.sum().backward()
    assert output.shape == (0, 6, 7, 7)
    assert layer.weight.grad.count_nonzero() == 0
    with torch.no_grad():
        assert layer(x).shape == (0, 6, 7, 7)


def test_meta_device() -> None:
    layer = PushPullConv2d(3, 8, 7, 2, 3, device="meta", trainable_inhibition=True)
    with torch.no_grad():
        output = layer(torch.empty(2, 3, 32, 32, device="meta"))
    assert (output.device.type, output.shape) == ("meta", (2, 8, 16, 16))


@pytest.mark.parametrize("trainable", [False, True])
def test_bfloat16_autocast(trainable: bool) -> None:
    torch.manual_seed(0)
    layer, x = PushPullConv2d(3, 16, 7, 2, 3, trainable_inhibition=trainable), torch.rand(2, 3, 32, 32)
    exact = layer(x).detach()
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients), torch.autocast("cpu", torch.bfloat16):
            output = layer(x)
        assert output.dtype == torch.bfloat16  # as of nn.Conv2d
        assert relative_error(output.detach(), exact) <= 0.02  # 8 bits of precision
    output = layer(x)
    output.sum().backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_trainable_inhibition_starts_uniform_between_0_and_1() -> None:
    torch.manual_seed(0)
    strength = PushPullConv2d(1, 4000, 1, trainable_inhibition=True).inhibition
    assert strength.min() >= 0
    assert strength.max() < 1
    assert abs(strength.mean() - 0.5) < 0.02
    assert abs(strength.std() - 12**-0.5) < 0.01


@pytest.mark.parametrize("size", [2, 4, -1, -3])
def test_even_and_negative_mean_filters_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match=f"avg_kernel_size {size} is not allowed\nIt is 0 .none. or odd: 3, 5, 7"):
        PushPullConv2d(3, 8, 3, avg_kernel_size=size)


@pytest.mark.parametrize("trainable", [False, True])
def test_state_copy_and_pickle_round_trips(trainable: bool) -> None:
    layer = PushPullConv2d(3, 8, 3, inhibition=2.0, trainable_inhibition=trainable)
    other = PushPullConv2d(3, 8, 3, inhibition=2.0, trainable_inhibition=trainable)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3, 8, 8)
    for twin in (other, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x), layer(x))
    assert set(layer.state_dict()) == {"weight", "bias"} | ({"inhibition"} if trainable else set())


def test_its_print_shows_geometry_and_settings() -> None:
    text = repr(PushPullConv2d(3, 8, (7, 5), 2, 3, bias=False, avg_kernel_size=5, inhibition=1.5))
    assert text == (
        "PushPullConv2d(3, 8, kernel_size=(7, 5), stride=(2, 2), padding=(3, 3), dilation=(1, 1), groups=1, "
        "bias=False, avg_kernel_size=5, inhibition=1.5)"
    )
    assert "inhibition=trainable" in repr(PushPullConv2d(3, 8, 3, trainable_inhibition=True))


class TestWithPushPull:
    def test_keeps_the_parameters_themselves_and_the_rest_of_the_model(self) -> None:
        model = nn.Sequential(
            nn.Identity(), nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, 2, 2), nn.ReLU()), nn.Conv2d(8, 2, 1)
        )
        model = model.to(torch.float64).to(memory_format=torch.channels_last).eval()
        stem, other = model[1][0], model[2]
        result = with_push_pull(model, 5, inhibition=0.5)
        layer = model[1][0]
        assert result is model
        assert model[2] is other
        assert layer.weight is stem.weight
        assert layer.bias is stem.bias
        assert layer.weight.is_contiguous(memory_format=torch.channels_last)
        assert (layer.avg_kernel_size, layer.inhibition, layer.training) == (5, 0.5, False)
        x = torch.randn(2, 4, 9, 9, dtype=torch.float64)
        expected = oracle_of(layer, x, dict(layer.named_parameters())).output
        torch.testing.assert_close(layer(x), expected)

    def test_trainable_inhibition_has_the_dtype_and_device_of_the_weights(self) -> None:
        model = with_push_pull(nn.Sequential(nn.Conv2d(3, 8, 3, dtype=torch.float64)), trainable_inhibition=True)
        assert model[0].inhibition.dtype == torch.float64
        with torch.device("meta"):
            model = nn.Sequential(nn.Conv2d(3, 8, 3, padding="same"))
        layer = with_push_pull(model, trainable_inhibition=True)[0]
        assert {p.device.type for p in layer.parameters()} == {"meta"}
        assert layer.padding == "same"

    def test_a_model_of_torchvision(self) -> None:
        model = with_push_pull(torchvision.models.mobilenet_v3_small(num_classes=7)).eval()
        layers = [module for module in model.modules() if isinstance(module, PushPullConv2d)]
        assert layers == [model.features[0][0]]
        with torch.no_grad():
            assert model(torch.randn(2, 3, 64, 64)).shape == (2, 7)

    def test_refusals(self) -> None:
        with pytest.raises(UsageError, match="the model has no Conv2d to replace"):
            with_push_pull(nn.Sequential(nn.Linear(2, 2)))
        with pytest.raises(UsageError, match="the model has no Conv2d to replace"):
            with_push_pull(nn.Conv2d(3, 8, 3))  # cannot be replaced in place
        with pytest.raises(UsageError, match="already has a push-pull convolution"):
            with_push_pull(with_push_pull(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))))
        with pytest.raises(UsageError, match="convolution '0' pads with 'reflect'"):
            with_push_pull(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect")))

    def test_a_convolution_of_a_derived_class_is_refused_not_altered_in_meaning(self) -> None:
        class StandardizedConv2d(nn.Conv2d):
            def forward(self, x: Tensor) -> Tensor:
                return 0 * super().forward(x)

        model = nn.Sequential(StandardizedConv2d(3, 8, 3))
        with pytest.raises(UsageError, match="convolution '0' is a StandardizedConv2d"):
            with_push_pull(model)
        assert type(model[0]) is StandardizedConv2d


@pytest.mark.parametrize("layer", [PushPullConv2d, PushPull2020Conv2d])
@pytest.mark.parametrize("number", [torch.tensor, np.int64, np.array])
def test_numbers_of_numpy_and_torch_are_sizes(layer: type[nn.Module], number: Any) -> None:
    plain, other = layer(3, 4, 3, 2, 1), layer(number(3), number(4), number(3), number(2), number(1))
    other.load_state_dict(plain.state_dict())
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(plain(x), other(x))


@pytest.mark.parametrize("rectified", [True, False])
def test_the_definition_with_two_convolutions_is_the_same_function(rectified: bool) -> None:
    layer = PushPullConv2d(
        4, 6, 3, stride=2, padding="same", groups=2, trainable_inhibition=True, rectified_push=rectified,
        dtype=torch.float64,
    )  # fmt: skip
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(layer(x), layer.by_two_convolutions(x), rtol=0, atol=1e-12)
