"""The two ways to the engine, over arrays and over tensors on a device, are one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ppbench
from ppbench.copies.corruptor import Corruptor
from ppbench.copies.encode import ImageFormat
from ppbench.copies.settings import PixelSettings
from ppbench.errors import PpbenchError
from tests.trees import photographs

SETTINGS = PixelSettings("tiny-imagenet-c", "ppbench", 3, ImageFormat.SAME, None, "cpu")
PHOTOS = np.stack(photographs(48, 3))


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])  # the latter takes the way of GPUs
@pytest.mark.parametrize("channels", [1, 3])
def test_both_ways_give_what_corrupt_gives(device: str, channels: int) -> None:
    images = PHOTOS[..., :channels]
    make = Corruptor(SETTINGS, device).load(images)
    for cell in [("gaussian_noise", 2), ("fog", 5), ("contrast", 1)]:
        made = make(cell, ["a", "b", "c"])
        expected = ppbench.corrupt(images.copy(), *cell, recipe="tiny-imagenet-c", seed=3, ids=["a", "b", "c"])
        assert made.flags.c_contiguous
        assert np.array_equal(made, expected)


def test_too_little_memory_on_a_gpu_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("ppbench.corruptions.apply.corrupt", fail)
    make = Corruptor(SETTINGS, "cpu:0").load(PHOTOS)
    with pytest.raises(PpbenchError, match="cpu:0 does not have enough memory") as caught:
        make(("fog", 1), ["a", "b", "c"])
    assert "--batch-size" in caught.value.hint


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_differs_by_one_level_at_most() -> None:
    make = Corruptor(SETTINGS, "cuda").load(PHOTOS)
    for cell in [("gaussian_noise", 2), ("contrast", 1)]:
        expected = ppbench.corrupt(PHOTOS, *cell, recipe="tiny-imagenet-c", seed=3, ids=["a", "b", "c"])
        assert np.abs(make(cell, ["a", "b", "c"]).astype(int) - expected).max() <= 1
