"""The laws of noise: what the keyed draws make of flat images, where every value has the same law."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.constants import constants
from ppbench.corruptions.recipes import RECIPES

SIDE = 128
VALUES = SIDE * SIDE * 3


def noisy(level: int, name: str, severity: int, recipe: str = "imagenet-c") -> NDArray[np.uint8]:
    return corrupt(np.full((SIDE, SIDE, 3), level, np.uint8), name, severity, recipe=recipe, seed=11, ids=["0"])


def assert_same_law(got: NDArray[np.uint8], probabilities: NDArray[np.float64]) -> None:
    """Chi-squared test of the levels' counts; rare levels are pooled."""
    counts = np.bincount(got.ravel(), minlength=256)
    common = probabilities * got.size >= 10
    assert counts[probabilities == 0].sum() == 0
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(probabilities[common], probabilities[~common].sum()) * got.size
    keep = expected > 0
    scaled = expected[keep] * observed[keep].sum() / expected[keep].sum()
    assert stats.chisquare(observed[keep], scaled).pvalue > 1e-4


def truncated_law(cdf: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each level from the distribution function at 1, …, 255: below 0 is black, from 255 on white."""
    return np.diff(np.concatenate([[0.0], cdf, [1.0]]))


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("level", [3, 120, 250])
@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise"])
def test_normal_noise_has_its_width_and_is_clipped_and_truncated(
    name: str, level: int, severity: int, recipe: str
) -> None:
    std = constants(recipe, name, severity).std * (level if name == "speckle_noise" else 255)
    law = truncated_law(stats.norm.cdf(np.arange(1, 256), loc=level, scale=std))
    assert_same_law(noisy(level, name, severity, recipe), law)


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("level", [1, 120, 255])
def test_shot_noise_counts_photons(level: int, severity: int, recipe: str) -> None:
    white = constants(recipe, "shot_noise", severity).photons
    counts = np.arange(10 * white + 100)
    levels = (np.minimum(counts / white, 1) * 255).astype(int)
    law = np.bincount(levels, stats.poisson.pmf(counts, level / 255 * white), minlength=256)
    assert_same_law(noisy(level, "shot_noise", severity, recipe), law)


def test_black_has_no_photons() -> None:
    assert not noisy(0, "shot_noise", 5).any()


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_impulse_noise_replaces_single_values_by_black_and_white_alike(severity: int) -> None:
    fraction = constants("imagenet-c", "impulse_noise", severity).fraction
    got = noisy(100, "impulse_noise", severity)
    law = np.zeros(256)
    law[[0, 100, 255]] = fraction / 2, 1 - fraction, fraction / 2
    assert_same_law(got, law)
    changed = got != 100
    assert abs(changed.all(axis=2).mean() - fraction**3) < 5 * np.sqrt(fraction**3 / SIDE**2)  # not whole pixels


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"])
def test_noise_is_white_in_space_and_between_channels(name: str) -> None:
    field = noisy(120, name, 3).astype(float)
    field -= field.mean()
    limit = 4.5 * field.var() / np.sqrt(SIDE * SIDE)
    for shifted in (field[1:] * field[:-1], field[:, 1:] * field[:, :-1], field[..., 1:] * field[..., :-1]):
        assert abs(shifted.mean()) < limit
    power = np.abs(np.fft.fft2(field, axes=(0, 1))) ** 2 / SIDE**2 / field.var()
    rings = [power[:16, :16], power[48:80, 48:80]]  # low and high frequencies
    assert all(abs(ring.mean() - 1) < 0.15 for ring in rings)
