"""Keyed draws: known answers, independence, laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ppbench.corruptions.kernels import disabled
from ppbench.corruptions.keys import key
from ppbench.corruptions.random import MASK, Draws, normal_quantile, philox
from ppbench.errors import UsageError
from ppbench.vocabulary import C19

CPU = torch.device("cpu")


def philox_by_hand(key_words: tuple[int, int], counter: tuple[int, int, int, int]) -> list[int]:
    """Philox4x32-10 in Python's integers, from the paper's definition."""
    a, b = key_words
    c0, c1, c2, c3 = counter
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ a, low1, high0 ^ c3 ^ b, low0
        a, b = (a + 0x9E3779B9) % 2**32, (b + 0xBB67AE85) % 2**32
    return [c0, c1, c2, c3]


def test_the_oracle_gives_the_published_known_answers() -> None:
    """The known-answer vectors that come with Random123."""
    ones = 2**32 - 1
    assert philox_by_hand((0, 0), (0, 0, 0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox_by_hand((ones, ones), (ones,) * 4) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    assert philox_by_hand((0xA4093822, 0x299F31D0), pi) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3), st.integers(0, MASK), st.integers(1, 13))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_kernel_and_tensor_code_give_philox(keys: list[int], stream: int, count: int) -> None:
    words = torch.tensor(np.array(keys, "<u8").view("<i4").reshape(-1, 2))
    fast = philox(words, stream, count)
    with disabled():
        assert torch.equal(fast, philox(words, stream, count))
    for row, whole in zip(fast, keys, strict=True):
        blocks = [philox_by_hand((whole & MASK, whole >> 32), (i, stream, 0, 0)) for i in range(4)]
        assert (row.numpy().view(np.uint32) == np.ravel(blocks)[:count]).all()


def test_draws_follow_the_law_and_do_not_depend_on_the_others() -> None:
    draws = Draws([1, 2, 3], CPU)
    uniform, normal = draws.between("a", 0, 1, 40_000).numpy(), draws.normal("b", 40_000).numpy()
    for row in range(3):
        assert stats.kstest(uniform[row], "uniform").pvalue > 1e-3
        assert stats.kstest(normal[row], "norm").pvalue > 1e-3
    together = np.corrcoef(np.concatenate([uniform, normal]))
    assert np.abs(together - np.eye(6)).max() < 0.02  # four standard errors
    assert np.array_equal(Draws([2], CPU).between("a", 0, 1, 40_000)[0], uniform[1])
    assert np.array_equal(draws.between("a", 0, 1, 200, 200).numpy().reshape(3, -1), uniform)


def test_neighbouring_words_are_not_correlated() -> None:
    field = Draws([7], CPU).normal("a", 256, 256)[0].double()
    spectrum = torch.fft.fft2(field).abs().square() / field.numel()
    assert abs(spectrum.flatten()[1:].mean() - 1) < 0.02
    assert abs((field[:, 1:] * field[:, :-1]).mean()) < 4 / 256
    assert abs((field[1:] * field[:-1]).mean()) < 4 / 256
    assert spectrum.max() < 2 * np.log(256**2) + 8  # of 65,536 exponentials


def test_normals_are_the_quantiles_of_their_words() -> None:
    words = torch.cat([torch.arange(-(2**31), 2**31, 65_521), torch.tensor([0, -1, 2**31 - 1])]).to(torch.int32)
    bits = words.numpy().view(np.uint32)
    tail = ((bits & 0x7FFFFFFF) + 0.5) / 2**32
    expected = np.where(bits >> 31 == 0, 1, -1) * stats.norm.isf(tail)
    inside = np.abs(expected) < 5
    for get in (normal_quantile, _by_tensors):
        got = get(words).numpy()
        assert np.abs(got - expected)[inside].max() < 1e-5
        assert np.abs(got - expected).max() < 0.01  # at 6.3 standard deviations, once in 10^9 draws


def _by_tensors(words: torch.Tensor) -> torch.Tensor:
    with disabled():
        return normal_quantile(words)


@pytest.mark.parametrize("high", [1, 5, 6, 273, 2**24])
def test_integers_are_uniform_and_below_their_bound(high: int) -> None:
    drawn = Draws(range(30_000), CPU).integers("row", high)
    assert drawn.min() >= 0
    assert drawn.max() < high
    assert abs(float(drawn.double().mean()) - (high - 1) / 2) < 4 * high / np.sqrt(12 * 30_000) + 1e-9
    if high < 1000:
        assert len(drawn.unique()) == high


def test_integers_take_a_bound_per_image() -> None:
    bounds = torch.tensor([3, 100] * 5000)
    drawn = Draws(range(10_000), CPU).integers("row", bounds)
    assert [int(drawn[i::2].max()) for i in (0, 1)] == [2, 99]
    assert torch.equal(drawn[1::2], Draws(range(1, 10_000, 2), CPU).integers("row", 100))


def test_given_draws_are_used_in_place_of_keyed_ones() -> None:
    field = torch.rand(1, 4)
    draws = Draws([3], CPU, {"a": field})
    assert torch.equal(draws.normal("a", 4), field)
    assert torch.equal(draws.between("a", -1, 1, 4), field)
    assert not torch.equal(draws.between("b", -1, 1, 4), field)
    assert torch.equal(Draws([3], CPU, {"a": torch.tensor([2])}).integers("a", 4), torch.tensor([2]))
    assert draws.names == {"a", "b"}


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        (torch.rand(1, 5), "draw 'a' has shape (1, 5)", "(1, 4)"),
        (torch.tensor([[0.0, 0.0, 0.0, float("nan")]]), "not allowed", "finite, -1 to 1"),
        (torch.full((1, 4), 1.5), "not allowed", "-1 to 1"),
    ],
)
def test_given_draws_that_cannot_be_are_refused(values: torch.Tensor, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        Draws([3], CPU, {"a": values}).between("a", -1, 1, 4)
    assert message in caught.value.message
    assert hint in caught.value.hint


@given(st.integers(0, 2**40), st.sampled_from(C19), st.integers(1, 5), st.text(max_size=20))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_keys_fit_64_bits_and_differ_with_every_part(seed: int, corruption: str, severity: int, name: str) -> None:
    whole = key(seed, corruption, severity, name)
    assert 0 <= whole < 2**64
    others = {key(seed + 1, corruption, severity, name), key(seed, corruption, severity + 1, name)}
    assert whole not in others | {key(seed, corruption, severity, name + "x"), key(seed, "x", severity, name)}


def test_keys_are_stable_across_versions() -> None:
    assert key(0, "fog", 3, "test/00017") == 0x21DCFFC925977F1D
