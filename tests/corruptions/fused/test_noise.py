"""Fused noise, run by Triton's interpreter, against numba's kernels and the torch functions: equal pixels."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from ppbench.corruptions import fused
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.kernels import disabled
from ppbench.corruptions.noise import detect, detected, noisy, replaced
from ppbench.corruptions.photons import poisson

KEYS = torch.tensor([[5, -6], [-7, 8]], dtype=torch.int32)


def images(n: int, height: int, width: int, channels: int) -> torch.Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (n, channels, height, width), dtype=np.uint8)
    pixels.flat[:9] = 0
    pixels.flat[-9:] = 255
    return torch.from_numpy(pixels)


@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise", "shot_noise", "impulse_noise"])
def test_pixels_are_the_same_everywhere(name: str, severity: int) -> None:
    """A program makes 1,024 values: one image fits into one, the other needs two, and no size is a multiple of 4."""
    for size, recipe in (((2, 9, 11, 1), "imagenet-c"), ((2, 21, 17, 3), "cifar-c")):
        batch = images(*size)
        with fused.interpreted():
            got = corrupt(batch, name, severity, recipe=recipe)
        for way in (nullcontext, disabled):
            with way():
                assert torch.equal(got, corrupt(batch, name, severity, recipe=recipe))
        assert not torch.equal(got, batch)


@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise", "shot_noise", "impulse_noise"])
def test_a_noise_is_one_kernel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from triton.runtime.interpreter import GridExecutor

    started: list[str] = []
    run = GridExecutor.__call__

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        started.append(self.fn.__name__)
        return run(self, *args, **options)

    monkeypatch.setattr(GridExecutor, "__call__", counted)
    with fused.interpreted():
        corrupt(images(2, 9, 8, 3), name, 2, ids=["a", "b"])
    assert len(started) == 1


def test_no_images_are_no_program() -> None:
    none = torch.empty(0, 4, 5, 3, dtype=torch.uint8)
    with fused.interpreted():
        assert noisy(none, KEYS[:0], 1, 0.1, False).shape == none.shape
        assert replaced(none, KEYS[:0], 1, 0.1).shape == none.shape
        assert detected(none, KEYS[:0], 1, 60).shape == none.shape


def test_pixels_need_not_lie_side_by_side() -> None:
    batch = images(2, 8, 9, 3).permute(0, 2, 3, 1)
    assert not batch.is_contiguous()
    for noise in (lambda: noisy(batch, KEYS, 1, 0.1, True), lambda: detected(batch, KEYS, 1, 3)):
        expected = noise()
        with fused.interpreted():
            assert torch.equal(noise(), expected)


def test_draws_that_are_given_are_used() -> None:
    batch = images(1, 8, 8, 3)
    draws = {"noise": torch.zeros(1, 8, 8, 3)}
    with fused.interpreted():
        assert (corrupt(batch, "gaussian_noise", 5, draws=draws).int() - batch.int()).abs().max() <= 1


@pytest.mark.parametrize("white", [3, 60])
def test_counts_agree_at_the_thresholds(white: int) -> None:
    """Words at and below thresholds, and at both ends of the guide's parts."""
    law = poisson(white)
    level = np.repeat(np.arange(0, 256, 5), 30)
    words = law.thresholds[level, np.arange(level.size) % white]
    words = np.concatenate([words, words - 1, words & 0xFF800000, words | 0x7FFFFF])
    level = np.tile(level, 4)
    below = law.thresholds[level] <= words[:, None]
    batch = torch.from_numpy(level.astype(np.uint8)).view(1, -1, 1, 1)
    for way in (fused.interpreted, nullcontext, disabled):
        with way():
            got = detect(batch, torch.from_numpy(words.view(np.int32)).view(batch.shape), *law)
        assert np.array_equal(got.flatten(), law.levels[below.sum(axis=1)])
