"""Fused spatter, run by Triton's interpreter, against OpenCV's and numba's: equal pixels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from ppbench.corruptions import fused, spatter
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.kernels import disabled
from tests.corruptions.fused.test_edges import levels_of

LEVELS = torch.from_numpy(levels_of(14, 19))
PIXELS = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (2, 14, 19, 3), dtype=np.uint8))


def same_everywhere(compute: Callable[[], torch.Tensor]) -> torch.Tensor:
    results = []
    for way in (fused.interpreted, nullcontext, disabled):
        with way():
            results.append(compute())
    assert all(torch.equal(results[0], other) for other in results[1:])
    return results[0]


def test_water_shines_alike() -> None:
    assert same_everywhere(lambda: spatter.shine(LEVELS[:1])).any()
    flat = torch.full((1, 9, 9), 7, dtype=torch.uint8)  # one level has no histogram to spread
    same_everywhere(lambda: spatter.shine(flat))


def test_water_and_mud_change_pixels_alike() -> None:
    shine = spatter.shine(LEVELS)
    same_everywhere(lambda: spatter.brighten(PIXELS, LEVELS, shine, 0.6, spatter.WATER))
    thickness = torch.rand(2, 14, 19, generator=torch.Generator().manual_seed(0))
    thickness[thickness < 0.3] = 0
    same_everywhere(lambda: spatter.cover(PIXELS, thickness, spatter.MUD))


@pytest.mark.parametrize("severity", [2, 4])
def test_spatter_is_the_same_with_them(severity: int) -> None:
    batch = PIXELS[:1].permute(0, 3, 1, 2)
    expected = corrupt(batch, "spatter", severity, recipe="imagenet-c", ids=["a"])
    with fused.interpreted():
        got = corrupt(batch, "spatter", severity, recipe="imagenet-c", ids=["a"])
    assert torch.equal(got, expected)
