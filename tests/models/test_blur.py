"""Blur pool and blur after convolutions against their definitions in loops, and whole networks written out by hand."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from ppbench.errors import UsageError
from ppbench.models.blur import BlurConv2d, BlurPool2d, blur_and_subsample, with_blur_after, with_blur_pool
from ppbench.models.resnet import create_model
from tests.oracles import blur as oracle


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    size=st.integers(2, 6),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 2**31),
)
def test_blur_equals_the_definition(
    shape: tuple[int, int, int, int], size: int, stride: tuple[int, int], seed: int
) -> None:
    torch.manual_seed(seed)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    taps = tuple(1 if s == 1 else size + 2 * (s - 2) for s in stride)
    expected = oracle.blur(x, taps, stride)
    gradient = torch.randn_like(expected)
    (by_definition,) = torch.autograd.grad(expected, x, gradient)
    output = blur_and_subsample(x, size, stride)
    (ours,) = torch.autograd.grad(output, x, gradient) if output is not x else (gradient,)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours, by_definition, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_a_constant_stays_and_the_highest_frequency_goes(size: int) -> None:
    flat = torch.full((1, 2, 12, 12), 3.0)
    torch.testing.assert_close(blur_and_subsample(flat, size, (2, 2)), flat[..., ::2, ::2])
    checks = (-1.0) ** (torch.arange(12)[:, None] + torch.arange(12))
    assert blur_and_subsample(checks.expand(1, 1, 12, 12), size, (2, 2))[..., 1:-1, 1:-1].abs().max() <= 1e-6
    assert checks[::2, ::2].min() == 1  # without the blur it would pass as a constant


def test_channels_last_and_inference_before_training() -> None:
    pool = BlurPool2d()
    x = torch.randn(2, 5, 11, 10)
    with torch.inference_mode():
        first = pool(x)
    last = pool(x.to(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(first, last)
    pool(x.requires_grad_()).sum().backward()  # the kernel made above serves here, too
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("kernel", [1, 3, (1, 3), 4])
@pytest.mark.parametrize("blur_first", [False, True])
def test_a_blurred_convolution_is_a_convolution_and_a_blur(kernel: int | tuple[int, int], blur_first: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, kernel, 2, padding=0 if kernel == 1 else 1, groups=2).double()
    blurred = BlurConv2d(conv, conv.padding, size=5, stride=(2, 2), blur_first=blur_first)
    x = torch.randn(2, 4, 11, 12, dtype=torch.float64, requires_grad=True)

    def at_stride_1(x: Tensor) -> Tensor:
        return F.conv2d(x, conv.weight, conv.bias, 1, conv.padding, groups=2)

    expected = (
        at_stride_1(oracle.blur(x, (5, 5), (2, 2))) if blur_first else oracle.blur(at_stride_1(x), (5, 5), (2, 2))
    )
    gradient = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, (x, conv.weight, conv.bias), gradient)
    output = blurred(x)
    got = torch.autograd.grad(output, (x, conv.weight, conv.bias), gradient)
    torch.testing.assert_close(output, expected)
    for ours, by_definition in zip(got, wanted, strict=True):
        torch.testing.assert_close(ours, by_definition)


NETWORKS = [
    ("resnet8", (1, 1, 1), 32),
    ("resnet14", (2, 2, 2), 27),
    ("resnet18-cifar", (1, 1, 1, 1), 16),
    ("resnet18", (1, 1, 1, 1), 33),
    ("resnet50", (2, 1, 1, 1), 24),
]
"""Names, blocks that are kept of each stage (all of a stage but the first are alike), and size of the images."""


@pytest.mark.parametrize("kind", ["blurpool", "blurafter"])
@pytest.mark.parametrize(("name", "blocks", "size"), NETWORKS, ids=[name for name, _, _ in NETWORKS])
def test_networks_equal_those_written_out_by_hand(name: str, blocks: tuple[int, ...], size: int, kind: str) -> None:
    torch.manual_seed(0)
    model = create_model(f"{name}-{kind}", 5, stem_bias=True)
    for stage, kept in enumerate(blocks, 1):
        assert len(set(map(repr, model.get_submodule(f"layer{stage}")[1:]))) <= 1
        del model.get_submodule(f"layer{stage}")[kept:]
    model.double()
    state = {key: value.detach().clone() for key, value in model.state_dict().items()}
    leaves = {key: state[key].requires_grad_() for key, _ in model.named_parameters()}
    x = torch.randn(2, 3, size, size, dtype=torch.float64)
    expected = oracle.resnet({**state, **leaves}, x, kind, blocks)
    output = model(x)
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-9)
    gradient = torch.randn_like(output)
    output.backward(gradient)
    expected.backward(gradient)
    for key, parameter in model.named_parameters():
        scale = leaves[key].grad.norm()
        assert torch.dist(parameter.grad, leaves[key].grad) <= 1e-8 * scale + 1e-10, key


@pytest.mark.parametrize("kind", ["blurpool", "blurafter"])
@pytest.mark.parametrize("name", ["resnet8", "resnet18-cifar", "resnet18", "resnext50_32x4d"])
def test_the_state_is_that_of_the_plain_network(name: str, kind: str) -> None:
    with torch.device("meta"):
        plain, blurred = create_model(name, 10), create_model(f"{name}-{kind}", 10)
    assert {k: v.shape for k, v in plain.state_dict().items()} == {k: v.shape for k, v in blurred.state_dict().items()}
    strided = [m for m in blurred.modules() if isinstance(m, nn.Conv2d) and m.stride != (1, 1)]
    assert not strided
    assert (
        sum(isinstance(m, BlurConv2d | BlurPool2d) for m in blurred.modules())
        == {
            ("blurpool", "resnet8"): 4,
            ("blurafter", "resnet8"): 4,
            ("blurpool", "resnet18-cifar"): 6,
            ("blurafter", "resnet18-cifar"): 6,
            ("blurpool", "resnet18"): 8,  # two shortcuts and steps a stage, and two of the stem
            ("blurafter", "resnet18"): 7,  # the max pool is as it was
            ("blurpool", "resnext50_32x4d"): 8,
            ("blurafter", "resnext50_32x4d"): 7,
        }[kind, name]
    )


@pytest.mark.parametrize("change", [with_blur_pool, with_blur_after])
def test_other_networks_have_their_stem_blurred(change: object) -> None:
    torch.manual_seed(0)
    model = torchvision.models.mobilenet_v3_small(num_classes=4).eval()
    stem = model.features[0][0]
    change(model)
    x = torch.randn(2, 3, 33, 32)
    taps = 4 if change is with_blur_pool else 5
    expected = oracle.blur(F.conv2d(x, stem.weight, padding=1), (taps, taps), (2, 2))
    torch.testing.assert_close(model.features[0][0](x), expected, rtol=1e-5, atol=1e-6)
    assert sum(isinstance(m, BlurConv2d) for m in model.modules()) == 1
    assert model(x).shape == (2, 4)


def test_copies_and_pickles_work() -> None:
    model = create_model("resnet8-blurpool", 3).eval()
    x = torch.randn(1, 3, 32, 32)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(x), model(x))


@pytest.mark.parametrize("change", [with_blur_pool, with_blur_after])
def test_refusals(change: object) -> None:
    with pytest.raises(UsageError, match="the model already blurs"):
        change(change(create_model("resnet8", 3)))
    with pytest.raises(UsageError, match="the first convolution, '0', has stride 1"):
        change(nn.Sequential(nn.Conv2d(3, 8, 3)))
    with pytest.raises(UsageError, match="the model has no Conv2d to replace"):
        change(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(UsageError, match="pads with 'reflect'"):
        change(nn.Sequential(nn.Conv2d(3, 8, 3, 2, padding=1, padding_mode="reflect")))
    with pytest.raises(UsageError, match="a blur of 1 taps is not allowed"):
        change(create_model("resnet8", 3), 1)
