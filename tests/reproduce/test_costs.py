"""Estimates: multiply-accumulates against the real networks, hours that grow with the work."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ppbench import create_model
from ppbench.errors import UsageError
from ppbench.models.undrawn import WithoutDrawing
from ppbench.reproduce.costs import MACHINES, Workload, choose_machine, hours
from ppbench.reproduce.macs import macs


def count(name: str, size: int, channels: int, classes: int) -> int:
    """What convolutions and linear layers multiply, seen by hooks on the network itself, which needs no memory."""
    with WithoutDrawing(), torch.device("meta"):
        model = create_model(name, classes, in_channels=channels).eval()
    total = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += output.numel() * weight[0].numel()

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
    model(torch.empty(1, channels, size, size, device="meta"))
    return total


@pytest.mark.parametrize(
    ("name", "size", "channels"),
    [
        ("resnet18", 224, 3), ("resnet34", 161, 3), ("resnet50", 224, 3), ("resnet101", 64, 3), ("resnet152", 64, 3),
        ("resnext50_32x4d", 224, 3), ("resnext101_32x8d", 96, 3), ("resnet18-cifar", 32, 3), ("resnet50-cifar", 32, 3),
        ("resnet8", 28, 1), ("resnet20", 32, 3), ("resnet56", 33, 3),
    ],
)  # fmt: skip
def test_macs_are_those_of_the_network(name: str, size: int, channels: int) -> None:
    assert macs(name, size, in_channels=channels, num_classes=7) == count(name, size, channels, 7)


def test_resnet50_has_the_macs_that_the_literature_says() -> None:
    assert macs("resnet50", 224) == pytest.approx(4.1e9, rel=0.01)  # 4.09 G: torchvision's page of its models
    assert macs("resnet50-pp3", 224) == macs("resnet50", 224)


BASE = Workload("resnet50", 224, 3, 90, 1_281_167, 1, 0)


def test_ninety_epochs_take_what_nvidia_measured() -> None:
    """About 14 and 3 hours in mixed precision, 29 on a V100: the README whose throughputs these are."""
    one, eight = hours(BASE, MACHINES["a100"]).training
    assert one == pytest.approx(14, abs=2)
    assert eight == pytest.approx(3, abs=1.2)
    assert hours(BASE, MACHINES["v100"]).training[0] == pytest.approx(29, abs=3)


@given(
    factor=st.integers(2, 5),
    field=st.sampled_from(["epochs", "training_images", "views", "evaluated"]),
    machine=st.sampled_from(sorted(MACHINES)),
)
def test_more_work_takes_longer_in_proportion(factor: int, field: str, machine: str) -> None:
    work = BASE._replace(evaluated=1000)
    more = hours(work._replace(**{field: factor * getattr(work, field)}), MACHINES[machine])
    less = hours(work, MACHINES[machine])
    grown, other = ("evaluation", "training") if field == "evaluated" else ("training", "evaluation")
    for devices in (0, 1):
        before, after = getattr(less, grown)[devices], getattr(more, grown)[devices]
        assert after is before is None or after == pytest.approx(factor * before)
    assert getattr(more, other) == getattr(less, other)


def test_eight_devices_are_faster_but_not_eight_times() -> None:
    one, eight = hours(BASE, MACHINES["a100"]).training
    assert one is not None
    assert eight is not None
    assert one / 8 < eight < one
    assert hours(BASE, MACHINES["cpu-core"]).training[1] is None


def test_a_throughput_of_ones_own_is_used() -> None:
    mine = choose_machine("a100", 100, "resnet50", 224)
    assert hours(BASE, mine).training[0] == pytest.approx(90 * 1_281_167 / 100 / 3600)
    smaller = hours(BASE._replace(model="resnet18"), mine).training[0]
    assert smaller == pytest.approx(90 * 1_281_167 / 100 / 3600 * macs("resnet18", 224) / macs("resnet50", 224))


def test_machines_and_speeds_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="unknown machine 'a10'") as caught:
        choose_machine("a10", None, "resnet50", 224)
    assert "a100" in caught.value.hint
    for speed in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="--images-per-second"):
            choose_machine("a100", speed, "resnet50", 224)
