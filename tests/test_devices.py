"""TF32 is off whichever of torch's switches turned it on, and on again afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import backends, nn

from ppbench.devices import full_precision, in_channels_last


def new_switches() -> tuple[str, ...]:
    cuda, cpu = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn), backends.mkldnn
    return tuple(switch.fp32_precision for switch in (*cuda, cpu.matmul, cpu.conv, cpu.rnn))


def told(old: Callable[[], object]) -> object:
    """An old switch; torch refuses to tell it where a new one contradicts it."""
    try:
        return old()
    except RuntimeError:
        return RuntimeError


def old_switches() -> tuple[object, ...]:
    return tuple(
        told(old)
        for old in (
            torch.get_float32_matmul_precision,
            lambda: backends.cuda.matmul.allow_tf32,
            lambda: backends.cudnn.allow_tf32,
        )
    )


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    everything, before, old = backends.fp32_precision, new_switches(), old_switches()
    yield
    backends.fp32_precision = everything
    torch.set_float32_matmul_precision(old[0])
    backends.cudnn.allow_tf32 = old[2]
    cuda, cpu = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn), backends.mkldnn
    for switch, precision in zip((*cuda, cpu.matmul, cpu.conv, cpu.rnn), before, strict=True):
        switch.fp32_precision = precision
    assert (new_switches(), old_switches()) == (before, old)


def old_matmul() -> None:
    backends.cuda.matmul.allow_tf32 = True


def old_cudnn() -> None:
    backends.cudnn.allow_tf32 = False


def old_medium() -> None:
    torch.set_float32_matmul_precision("medium")


def new_matmul() -> None:
    backends.cuda.matmul.fp32_precision = "tf32"


def new_matmul_off() -> None:
    backends.cuda.matmul.fp32_precision = "ieee"


def new_convolution() -> None:
    backends.cudnn.conv.fp32_precision = "ieee"


def new_everything() -> None:
    backends.fp32_precision = "tf32"


@pytest.mark.parametrize(
    "turned",
    [
        [], [old_matmul], [old_cudnn], [old_medium], [new_matmul], [new_convolution], [new_everything],
        [old_matmul, new_matmul_off], [new_matmul_off, old_matmul], [new_convolution, old_medium],
        [new_everything, old_medium], [old_cudnn, new_matmul],
    ],
    ids=lambda turned: "-".join(turn.__name__ for turn in turned) or "none",
)  # fmt: skip
def test_float32_is_float32_whoever_turned_which_switch(turned: list[Callable[[], None]]) -> None:
    for turn in turned:
        turn()
    before = new_switches(), old_switches()
    with full_precision():
        assert new_switches() == ("ieee",) * 6
        assert old_switches() == ("highest", False, False)
    assert (new_switches(), old_switches()) == before


def test_switches_are_as_before_after_an_error_too() -> None:
    new_matmul()
    before = new_switches()
    with pytest.raises(ValueError, match="why"), full_precision():
        raise ValueError("why")
    assert new_switches() == before


def test_weights_with_five_axes_stay_as_they_are_while_those_with_four_get_the_layout_of_images() -> None:
    plane, volume = nn.Conv2d(3, 4, 3), nn.Conv3d(3, 4, 3)
    network, before = nn.Sequential(plane, volume), (plane.weight.detach().clone(), volume.weight.detach().clone())
    assert in_channels_last(network) is network
    assert plane.weight.is_contiguous(memory_format=torch.channels_last)
    assert volume.weight.is_contiguous()
    assert torch.equal(plane.weight, before[0])
    assert torch.equal(volume.weight, before[1])
