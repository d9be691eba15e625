"""The tensor code on a GPU that is not there: torch's fake tensors follow types, shapes and devices without computing.

They refuse what a GPU would refuse, above all an operation between tensors of two devices. That values agree is tested
on the CPU (test_apply.py), where the same code runs.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ppbench.corruptions import blur, filters
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.kernels import disabled
from ppbench.vocabulary import C19

MODE = FakeTensorMode(allow_non_fake_inputs=True)

IDS = ["a", "b"]
"""Without ids, keys are made of pixels, and fake tensors have none."""


@pytest.fixture(autouse=True)
def _without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places ask a GPU for values: the directions of trails, and whether spatter's edges still grow."""
    for module in (filters, blur):
        monkeypatch.setattr(module, "trail_offsets", lambda angle, length: np.zeros((len(angle), length, 2), np.int64))
    monkeypatch.setattr(torch, "equal", lambda one, other: one.device == other.device)


@pytest.mark.parametrize("recipe", ["imagenet-c", "imagecorruptions"])
@pytest.mark.parametrize("name", C19)
def test_everything_stays_on_the_images_device(name: str, recipe: str) -> None:
    for severity in range(1, 6):
        for channels in (1, 3):
            size = (2, channels, 40, 36)
            corrupt(
                torch.zeros(size, dtype=torch.uint8), name, severity, recipe=recipe, ids=IDS
            )  # real tables for the caches
            with MODE, disabled():  # small draws are made on the CPU, of fake tensors by tensor code
                images = torch.empty(size, dtype=torch.uint8, device="cuda")
                got = corrupt(images, name, severity, recipe=recipe, ids=IDS)
                assert (got.device.type, got.dtype, got.shape) == ("cuda", torch.uint8, images.shape)


def test_a_tensor_left_on_another_device_would_be_found() -> None:
    with MODE, pytest.raises(RuntimeError, match="devices"):
        torch.empty(2, device="cuda") + torch.empty(2)
