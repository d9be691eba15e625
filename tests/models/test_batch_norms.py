"""Batch norms of every kind: estimated, mixed, replaced and put back."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from ppbench.errors import UsageError
from ppbench.models.batch_norms import BatchNorms, Moments, check_adaptable
from ppbench.models.build import build
from ppbench.run import Adaptation
from tests.evaluation.models import tiny_card
from tests.oracles.adaptation import predict_adapted_plainly

FULL, PARTIAL = Adaptation(), Adaptation(source_images=8)
GROUPS = [[0, 3, 4, 9], [1, 2, 5], [6, 7, 8]]


class Mixed(nn.Module):
    """Convolutions, a flat layer, and a batch norm after each, one of them never called."""

    def __init__(self, second: nn.Module) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3), nn.SyncBatchNorm(4)
        self.second, self.norm2 = nn.Conv2d(4, 5, 3), second
        self.flat, self.norm3, self.unused = nn.Linear(5, 6), nn.BatchNorm1d(6, affine=False), nn.BatchNorm1d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        x = self.norm2(self.second(x)).relu()
        return self.norm3(self.flat(x.mean((2, 3))))


def network(second: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    model = Mixed(second)
    for module in model.modules():
        if getattr(module, "running_mean", None) is not None:
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval()


def adapted(model: nn.Module, x: Tensor, adaptation: Adaptation) -> Tensor:
    norms = BatchNorms(model, adaptation, len(x))
    moments = norms.new_moments()
    with norms.replaceable(), torch.inference_mode():
        for group in GROUPS:
            with norms.observing(moments):
                model(x[group])
        norms.use([one.statistics() if one.count else None for one in moments])
        return model(x)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return 2 + 3 * torch.rand(10, 3, 9, 9, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("adaptation", [FULL, PARTIAL])
def test_outputs_are_those_of_a_plain_loop(images: Tensor, adaptation: Adaptation) -> None:
    model = network(nn.BatchNorm2d(5))
    state = copy.deepcopy(model.state_dict())
    plain = model(images)
    expected = predict_adapted_plainly(model, images, GROUPS, adaptation.source_images)
    torch.testing.assert_close(adapted(model, images, adaptation), expected, rtol=1e-4, atol=1e-5)
    assert (plain - expected).abs().max() > 0.1  # the statistics matter
    # The network is as it was.
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    torch.testing.assert_close(model(images), plain)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_frozen_batch_norms_are_batch_norms(images: Tensor) -> None:
    frozen, usual = network(FrozenBatchNorm2d(5)), network(nn.BatchNorm2d(5))
    usual.load_state_dict(frozen.state_dict(), strict=False)
    torch.testing.assert_close(adapted(frozen, images, PARTIAL), adapted(usual, images, PARTIAL))


def test_batch_norms_that_always_use_their_batch_become_independent_of_it(images: Tensor) -> None:
    model = network(nn.BatchNorm2d(5, track_running_stats=False))
    expected = predict_adapted_plainly(model, images, GROUPS)
    torch.testing.assert_close(adapted(model, images, FULL), expected, rtol=1e-4, atol=1e-5)
    assert model.norm2.running_mean is None
    with pytest.raises(UsageError, match="net has batch norms without statistics of their own"):
        check_adaptable("net", model, PARTIAL, 10)
    check_adaptable("net", model, FULL, 10)


def test_push_pull_networks_have_batch_norms_too() -> None:
    torch.manual_seed(3)
    model = build(tiny_card(architecture="resnet8-pp3")).eval()
    x = torch.rand(10, 1, 28, 28)
    expected = predict_adapted_plainly(model, x, GROUPS)
    torch.testing.assert_close(adapted(model, x, FULL), expected, rtol=1e-4, atol=1e-5)


def test_a_norm_that_nothing_passed_has_its_own_statistics_and_not_those_of_another_cell(images: Tensor) -> None:
    model = nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.BatchNorm2d(3, track_running_stats=False)).eval()
    nn.init.constant_(model[0].running_mean, 7)
    norms = BatchNorms(model, FULL, len(images))
    with norms.replaceable(), torch.inference_mode():
        with norms.observing(norms.new_moments()):
            model(images)  # of another cell
        norms.use([None, None])
        assert model[0].running_mean.tolist() == [7, 7, 7]
        assert (model[1].running_mean.tolist(), model[1].running_var.tolist()) == ([0] * 3, [1] * 3)
    # A network without parameters has batch norms too.
    assert BatchNorms(nn.BatchNorm2d(3, affine=False, track_running_stats=False), FULL, 2).new_moments()


def test_images_that_a_batch_norm_gets_by_name(images: Tensor) -> None:
    class Named(nn.BatchNorm2d):
        def __call__(self, x: Tensor) -> Tensor:
            return super().__call__(input=x)

    torch.testing.assert_close(
        adapted(network(Named(5)), images, FULL), adapted(network(nn.BatchNorm2d(5)), images, FULL)
    )


def test_an_error_in_the_network_leaves_its_own_statistics() -> None:
    model = network(nn.BatchNorm2d(5))
    before = model.norm.running_mean
    norms = BatchNorms(model, FULL, 10)
    with pytest.raises(RuntimeError), norms.replaceable(), norms.observing(norms.new_moments()):
        model(torch.rand(2, 4, 9, 9))
    assert model.norm.running_mean is before
    assert not model.norm._forward_pre_hooks


def test_sums_of_half_precision_are_exact_and_a_single_value_has_no_variance() -> None:
    values = torch.linspace(900, 1100, 37 * 2 * 9).reshape(37, 2, 3, 3).bfloat16()
    moments = Moments()
    moments.add(values)
    mean, variance = moments.statistics()
    exact = values.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean, exact.mean(1), rtol=1e-14, atol=0)
    torch.testing.assert_close(variance, exact.var(1, correction=0), rtol=1e-9, atol=0)
    one = Moments()
    one.add(torch.full((1, 2), 0.1))
    assert one.statistics().variance.tolist() == [0, 0]


def test_networks_without_batch_norm_and_single_images_are_refused() -> None:
    with pytest.raises(UsageError, match="net has no batch norm whose statistics --adapt batchnorm:8 could estimate"):
        check_adaptable("net", nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4)), PARTIAL, 10)
    with pytest.raises(UsageError, match="--adapt batchnorm needs at least 2 images, and there is 1"):
        check_adaptable("net", nn.BatchNorm1d(3), FULL, 1)
