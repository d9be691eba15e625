"""The tensor code on a GPU that is not there: torch's fake tensors follow types, shapes and devices without computing.

They refuse what a GPU would refuse, above all an operation between tensors of two devices. That values agree is tested
on the CPU (test_apply.py), where the same code runs. Fake tensors are slow: each corruption runs at three settings.
Together they take every line and every jump of the tensor code that any recipe, severity, size or scale takes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ppbench.corruptions import blur, filters, fused, uploads
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.bar import cutout
from ppbench.corruptions.constants import constants
from ppbench.corruptions.fused import graphs, weather_graphs
from ppbench.corruptions.kernels import disabled
from ppbench.vocabulary import ALL_FAMILIES, C19
from tests.evaluation.gpu import HostWaits

MODE = FakeTensorMode(allow_non_fake_inputs=True)

IDS = ["a", "b"]
"""Without ids, keys are made of pixels, and fake tensors have none."""


@pytest.fixture(autouse=True, scope="module")
def _without_tables_of_other_tests() -> None:
    """Tables that were made in torch's inference mode, as an evaluation makes them, are no inputs for fake tensors."""
    for name in [name for name in sys.modules if name.startswith("ppbench.corruptions.")]:
        for value in vars(sys.modules[name]).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


@pytest.fixture(autouse=True)
def _without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three places ask a GPU for values: directions of trails, ends of lines, whether spatter's edges still grow."""
    for module in (filters, blur, weather_graphs):
        monkeypatch.setattr(module, "trail_offsets", lambda angle, length: np.zeros((len(angle), length, 2), np.int64))
    monkeypatch.setattr(uploads, "_pinned", lambda tensor: tensor)  # there is no GPU to pin it for
    monkeypatch.setattr(cutout, "covered", lambda ends, *size: torch.zeros(len(ends), *size, device=ends.device))
    monkeypatch.setattr(torch, "equal", lambda one, other: one.device == other.device)


def stays(name: str, severity: int, size: tuple[int, ...], recipe: str, scale: float = 1) -> None:
    def corrupted(images: torch.Tensor) -> torch.Tensor:
        return corrupt(images, name, severity, recipe=recipe, ids=IDS, scale=scale)

    with disabled(), fused.disabled():  # no kernel takes fake tensors
        corrupted(torch.zeros(size, dtype=torch.uint8))  # real tables for the caches
        with MODE:
            images = torch.empty(size, dtype=torch.uint8, device="cuda")
            got = corrupted(images)
        assert (got.device.type, got.dtype, got.shape) == ("cuda", torch.uint8, images.shape)


@pytest.mark.parametrize(("name", "severity"), [*((name, 4) for name in C19), ("spatter", 1)])
def test_everything_stays_on_the_images_device(name: str, severity: int) -> None:
    """Spatter is water at severity 1, and mud at 4."""
    stays(name, severity, (2, 3, 40, 36), "imagecorruptions")


@pytest.mark.parametrize("name", ALL_FAMILIES["c-bar"])
def test_c_bar_stays_on_the_images_device(name: str) -> None:
    stays(name, 3, (2, 1, 40, 36), "cifar-c")


@pytest.mark.parametrize("name", C19)
def test_the_draws_of_small_images_are_on_their_device(name: str) -> None:
    # glass_blur refuses images in which it has nothing to move.
    side = max(8, 2 * constants("imagenet-c", name, 4).max_shift + 1 if name == "glass_blur" else 0)
    stays(name, 4, (2, 1, side, side), "imagenet-c")


@pytest.mark.parametrize("name", C19)
def test_a_scale_changes_no_device(name: str) -> None:
    stays(name, 2, (2, 1, 30, 30), "imagenet-c", scale=4)  # its grain is coarser than its pixels


def eager() -> AbstractContextManager[None]:
    return graphs.enabled("eager")


NO_WAIT = {"scalar_tensor"}
"""A number for `torch.where` is written by the GPU itself."""

ASKED_OF_DEFINITIONS = {"spatter": {"equal"}}
"""What only the torch functions wait for: the fused kernels find spatter's edges without it."""


GRAPHED = [name for name in C19 if "noise" not in name and name not in ("glass_blur", "spatter", "saturate")]
"""Corruptions of which all goes through graphs with `--compile`, or through a fused kernel."""


@pytest.mark.parametrize(
    ("name", "channels", "way"),
    [*((name, 3, nullcontext) for name in C19), ("saturate", 1, nullcontext), *((name, 3, eager) for name in GRAPHED)],
)
def test_a_second_batch_waits_for_nothing(
    name: str, channels: int, way: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It copies no table once more, and no numbers but from pinned memory, and asks for no value."""
    tables: list[object] = []
    severities = {"elastic_transform": (1, 2, 3, 4, 5), "spatter": (1, 4)}.get(name, (4,))
    # A table of greys is made on the CPU.
    corrupt(torch.zeros((1, channels, 30, 30), dtype=torch.uint8), name, severities[0], recipe="imagenet-c")

    def copied(array: np.ndarray, device: torch.device) -> torch.Tensor:
        if not any(array is one for one in tables):
            tables.append(array)
        return torch.empty(array.shape, dtype=torch.from_numpy(array).dtype, device=device)

    monkeypatch.setattr(uploads, "_copied", copied)
    with disabled(), fused.disabled(), MODE, way(), HostWaits() as waits:
        for ids in (["a", "b"], ["c", "d"]):
            images = torch.empty((2, channels, 30, 30), dtype=torch.uint8, device="cuda")
            known = len(tables)
            waits.found.clear()
            for severity in severities:
                corrupt(images, name, severity, recipe="imagenet-c", ids=ids)
    graphs.numbers.cache_clear()  # fake tensors are of no use to others
    assert len(tables) == known
    assert set(waits.found) <= NO_WAIT | ASKED_OF_DEFINITIONS.get(name, set())


def test_a_tensor_left_on_another_device_would_be_found() -> None:
    with MODE, pytest.raises(RuntimeError, match="devices"):
        torch.empty(2, device="cuda") + torch.empty(2)
