"""Intervals against scipy and against what they are in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from ppbench.inspection.statistics import jackknife, mean_over_filters, welch_difference


@pytest.mark.parametrize("count", [2, 3, 5, 8, 16, 17, 64, 201])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_the_interval_of_a_mean_is_that_of_scipy(count: int, confidence: float) -> None:
    values = np.random.default_rng(count).normal(size=count)
    low, high = scipy.stats.t.interval(confidence, count - 1, loc=values.mean(), scale=scipy.stats.sem(values))
    assert mean_over_filters(values, confidence) == pytest.approx((values.mean(), low, high, count), rel=1e-9)


def test_a_mean_leaves_out_what_is_not_finite() -> None:
    values = np.array([0.1, np.nan, 0.4, 0.7])
    low, high = scipy.stats.t.interval(0.95, 2, loc=0.4, scale=scipy.stats.sem([0.1, 0.4, 0.7]))
    assert mean_over_filters(values) == pytest.approx((0.4, low, high, 3))


def test_one_value_has_no_interval_and_none_no_mean() -> None:
    assert mean_over_filters(np.array([0.5, np.nan])) == (0.5, None, None, 1)
    assert mean_over_filters(np.array([np.nan])) == (None, None, None, 0)
    assert welch_difference(np.array([0.5]), np.array([0.1, 0.2])).value is None


def test_the_difference_of_two_samples_is_welch_s() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.6, 0.1, 16), rng.normal(0.5, 0.3, 40)
    found = welch_difference(a, b)
    expected = scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert found.value == pytest.approx(a.mean() - b.mean())
    # degrees of freedom are rounded down, so that the interval is a little wider
    assert found.low == pytest.approx(expected.low, rel=0.01)
    assert found.low <= expected.low
    assert found.high >= expected.high


def test_samples_without_spread_differ_exactly() -> None:
    assert welch_difference(np.ones(3), np.full(4, 0.25)) == (0.75, 0.75, 0.75, 7)


def test_the_jackknife_of_a_mean_has_the_standard_error_of_the_block_means() -> None:
    values = np.random.default_rng(1).normal(size=320)
    found = jackknife(lambda kept: float(values[kept].mean()), 320, blocks=16)
    error = values.reshape(16, 20).mean(1).std(ddof=1) / 4
    assert found.value == pytest.approx(values.mean())
    assert (found.high or 0) - (found.value or 0) == pytest.approx(scipy.stats.t.ppf(0.975, 15) * error)
