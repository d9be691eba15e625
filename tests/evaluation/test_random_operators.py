"""Operators of torch with keyed draws: their distributions at fixed seeds, and Poisson counts against scipy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from ppbench.corruptions.random import philox
from ppbench.evaluation.keyed_draws import KeyedDraws, RandomCall, as_keys
from ppbench.evaluation.random_operators import poisson_counts

IMAGES, EACH = 40, 500
KEYS = as_keys(np.arange(IMAGES, dtype=np.uint64) * 0x9E3779B97F4A7C15 + 7)
SHARED = as_keys([5])
SHAPE = (IMAGES, EACH)


def drawn(make: Callable[[], Any], number: int = 0) -> Any:
    """What is drawn with the images as first axis."""
    trial = KeyedDraws("net", KEYS, SHARED, 0)
    with torch.inference_mode(), trial:
        make()
    calls = [RandomCall(call.operator, call.shape[1:], 1) for call in trial.seen]
    with torch.inference_mode(), KeyedDraws("net", KEYS, SHARED, number, calls) as draws:
        made = make()
    draws.check_complete()
    return made


def filled(method: str, *args: float, dtype: torch.dtype = torch.float32) -> Callable[[], Tensor]:
    return lambda: getattr(torch.empty(SHAPE, dtype=dtype), method)(*args)  # type: ignore[no-any-return]


ZEROS = torch.zeros(SHAPE)
CONTINUOUS: dict[str, tuple[Callable[[], Tensor], Any]] = {
    "rand": (lambda: torch.rand(SHAPE), stats.uniform()),
    "rand_like": (lambda: torch.rand_like(ZEROS), stats.uniform()),
    "uniform_": (filled("uniform_", -2.0, 3.0), stats.uniform(-2, 5)),
    "randn": (lambda: torch.randn(SHAPE), stats.norm()),
    "randn_like": (lambda: torch.randn_like(ZEROS.double()), stats.norm()),
    "normal_": (filled("normal_", 1.5, 2.0), stats.norm(1.5, 2)),
    "normal": (lambda: torch.normal(ZEROS + 1, 3.0), stats.norm(1, 3)),
    "normal of tensors": (lambda: torch.normal(ZEROS - 1, ZEROS + 0.5), stats.norm(-1, 0.5)),
    "exponential_": (filled("exponential_", 2.0), stats.expon(scale=0.5)),
    "Normal": (lambda: torch.distributions.Normal(ZEROS, 2.0).rsample(), stats.norm(0, 2)),
    "Laplace": (lambda: torch.distributions.Laplace(ZEROS, 1.0).rsample(), stats.laplace()),
    "Gumbel": (lambda: torch.distributions.Gumbel(ZEROS, 1.0).rsample(), stats.gumbel_r()),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_draws_have_their_distribution(name: str) -> None:
    make, law = CONTINUOUS[name]
    values = drawn(make)
    assert values.shape == SHAPE
    assert stats.kstest(values.double().numpy().ravel(), law.cdf).pvalue > 0.001
    # Rows, passes and draws are independent of each other.
    other = drawn(make, 1)
    correlation = np.corrcoef(np.stack([values[0], values[1], other[0], drawn(lambda: (make(), make()))[1][0]]))
    assert np.abs(correlation - np.eye(4)).max() < 4.5 / EACH**0.5


DISCRETE: dict[str, tuple[Callable[[], Tensor], Any]] = {
    "bernoulli_": (filled("bernoulli_", 0.3), stats.bernoulli(0.3)),
    "bernoulli": (lambda: torch.bernoulli(ZEROS + 0.9), stats.bernoulli(np.float32(0.9))),
    "Bernoulli": (lambda: torch.distributions.Bernoulli(ZEROS + 0.25).sample(), stats.bernoulli(0.25)),
    "randint": (lambda: torch.randint(3, 9, SHAPE), stats.randint(3, 9)),
    "random_": (filled("random_", 6, dtype=torch.int64), stats.randint(0, 6)),
    "poisson of 0.4": (lambda: torch.poisson(ZEROS + 0.4), stats.poisson(np.float32(0.4))),
    "poisson of 7.5": (lambda: torch.poisson(ZEROS + 7.5), stats.poisson(7.5)),
    "Poisson of 120": (lambda: torch.distributions.Poisson(ZEROS + 120).sample(), stats.poisson(120)),
    "dropout": (lambda: F.dropout(ZEROS + 1, 0.25, training=True) * 0.75, stats.bernoulli(0.75)),
    "native_dropout": (lambda: torch.native_dropout(ZEROS + 1, 0.4, True)[0] * 0.6, stats.bernoulli(0.6)),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_draws_have_their_distribution(name: str) -> None:
    make, law = DISCRETE[name]
    values = drawn(make).double().round().long().numpy().ravel()
    low, high = int(law.ppf(0.001)), int(law.ppf(0.999))
    counts = np.bincount(np.clip(values, low, high) - low, minlength=high - low + 1)
    below = law.cdf(np.arange(low, high))
    expected = len(values) * np.diff(np.concatenate([[0], below, [1]]))
    assert stats.chisquare(counts, expected).pvalue > 0.001
    assert not np.array_equal(values[:EACH], values[EACH : 2 * EACH])


def test_poisson_counts_are_the_quantiles_of_the_words() -> None:
    rates = torch.tensor([0.0, 1e-3, 0.7, 3.0, 29.5, 700.0, 1e5]).double().repeat_interleave(200)
    words = philox(as_keys([1]), 0, len(rates))[0]
    words[::200], words[1::200] = -1, 0  # the largest and the smallest
    u = ((words.long() & 0xFFFFFFFF).double() + 0.5) * 2.0**-32
    expected = stats.poisson.ppf(u.numpy(), rates.numpy())
    expected[rates.numpy() == 0] = 0
    assert np.array_equal(poisson_counts(words, rates).numpy(), expected)


def test_dropout_of_whole_channels_and_of_nothing() -> None:
    x = torch.ones(IMAGES, 8, 3, 3)
    kept = drawn(lambda: F.dropout2d(x, 0.5, training=True))
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(kept, kept[:, :, :1, :1].expand_as(kept))
    assert 0.35 < float((kept > 0).float().mean()) < 0.65
    for layer in (nn.Dropout(0.5), nn.RReLU(), nn.AlphaDropout(0.5), nn.Dropout1d(0.2)):
        with torch.inference_mode(), KeyedDraws("net", KEYS, SHARED, 0, []):
            assert torch.equal(layer.eval()(x[:, :, 0]), x[:, :, 0])


def test_every_image_of_a_permutation_is_the_same() -> None:
    with KeyedDraws("net", KEYS, SHARED, 2, [RandomCall("aten.randperm", (30,))]):
        order = torch.randperm(30)
    assert sorted(order.tolist()) == list(range(30))
    assert order.tolist() != list(range(30))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_uniform_numbers_of_any_type_stay_below_the_end_of_their_interval(dtype: torch.dtype) -> None:
    for low, high in ((0, 1), (-2, 3), (-3, -1), (-1, 0), (0, 0.1)):
        values = drawn(filled("uniform_", low, high, dtype=dtype))
        assert values.dtype == dtype
        assert float(values.max()) < high
        assert float(values.max()) > high - 0.02 * (high - low)
    assert float(drawn(lambda: torch.rand(SHAPE, dtype=dtype)).max()) < 1
    zeros = ZEROS.to(dtype)
    assert drawn(lambda: torch.distributions.Laplace(zeros, zeros + 1).rsample()).isfinite().all()
