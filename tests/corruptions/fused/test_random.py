"""Fused draws, run by Triton's interpreter, against numba's kernels and the torch functions: equal bits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from ppbench.corruptions import fused
from ppbench.corruptions.kernels import disabled
from ppbench.corruptions.random import Draws, normal_quantile, normals, philox, uniforms
from ppbench.corruptions.scale import ScaledDraws

KEYS = torch.tensor(np.array([1, 2**64 - 1, 0x9E3779B97F4A7C15], "<u8").view("<i4").reshape(-1, 2))

WAYS = {"fused": fused.interpreted, "numba": nullcontext, "torch": disabled}


def same_bits(compute: Callable[[], torch.Tensor]) -> torch.Tensor:
    results = []
    for way in WAYS.values():
        with way():
            results.append(compute())
    for other in results[1:]:
        assert results[0].dtype == other.dtype
        assert results[0].shape == other.shape
        assert torch.equal(results[0].view(torch.int32), other.view(torch.int32))
    return results[0]


@pytest.mark.parametrize("count", [0, 1, 3, 1023, 1024, 1025, 2050])
def test_words_are_the_same_everywhere(count: int) -> None:
    """A program makes 1,024 words, four at a time."""
    assert same_bits(lambda: philox(KEYS, 0xFFFFFFF0, count)).shape == (3, count)
    assert same_bits(lambda: philox(KEYS[:0], 1, count)).shape == (0, count)


def test_keys_need_not_lie_side_by_side() -> None:
    apart = torch.stack([KEYS, KEYS], dim=2)[..., 0]
    assert not apart.is_contiguous()
    assert torch.equal(same_bits(lambda: philox(apart, 1, 9)), philox(KEYS, 1, 9))


def test_uniform_and_normal_numbers_are_the_same_everywhere() -> None:
    same_bits(lambda: uniforms(KEYS, 7, 1030, -1, 1))
    same_bits(lambda: uniforms(KEYS, 7, 1030, 0.1, 0.7))
    same_bits(lambda: normals(KEYS, 7, 1030))


def test_quantiles_agree_in_the_tails_and_wherever_the_logarithm_changes_its_exponent() -> None:
    near = torch.cat([2**k + torch.arange(-3, 4) for k in range(2, 32)]).clamp(max=2**31 - 1)
    words = torch.cat([near, -near, torch.arange(-(2**31), 2**31, 1_000_003), torch.tensor([-(2**31), 2**31 - 1])])
    words = words.to(torch.int32)
    same_bits(lambda: normal_quantile(words))


def test_draws_use_the_fused_kernels_unless_a_number_has_a_grain() -> None:
    for kind, scale in ((Draws, 1), (ScaledDraws, 2)):
        draws = kind([3, 4], torch.device("cpu"), scale=scale)
        same_bits(lambda draws=draws: draws.normal("noise", 6, 5, 3))  # type: ignore[misc]
        same_bits(lambda draws=draws: draws.between("dx", -1, 1, 6, 5))  # type: ignore[misc]
