import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppbench.errors import DataError, UsageError
from ppbench.metrics.intervals import (
    Interval,
    deviation,
    fraction_interval,
    variance_slope,
    wilson,
)
from tests.oracles.intervals import linear_interval, mean_interval, ratio_influence

VALUES = np.array([0.0, 0.2, 0.4, 1.0, 0.6, 0.2])


def test_wilson_s_interval_is_the_published_one():
    # Newcombe, Statistics in Medicine 1998, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for hits, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)):
        assert wilson(hits, n) == pytest.approx((hits / n, low, high), abs=5e-5)


@given(st.integers(1, 10_000), st.data())
def test_wilson_s_interval_lies_in_0_to_1_around_the_share(n, data):
    hits = data.draw(st.integers(0, n))
    value, low, high = wilson(hits, n)
    assert 0 <= low <= value <= high <= 1
    assert low < high
    other = wilson(n - hits, n)
    assert (1 - other.high, 1 - other.low) == pytest.approx((low, high))


def test_of_one_cell_the_interval_of_a_fraction_is_wilson_s():
    hits = np.arange(50) < 13
    spread = float(hits.std())  # over n, as in value (1 - value)
    assert fraction_interval(13 / 50, spread, 50) == pytest.approx(wilson(13, 50))


def test_a_fraction_s_interval_keeps_a_width_where_nothing_went_wrong():
    assert fraction_interval(0.0, 0.0, 50) == wilson(0, 50)
    assert fraction_interval(1.0, 0.0, 50).low < 0.95


def test_the_normal_interval_by_hand():
    error = VALUES.std(ddof=1) / math.sqrt(6)
    assert mean_interval(VALUES) == pytest.approx((0.4, 0.4 - 1.959964 * error, 0.4 + 1.959964 * error))
    assert mean_interval(VALUES, 0.9).high == pytest.approx(0.4 + 1.644854 * error)
    assert linear_interval(7.0, VALUES + 3).margin == pytest.approx(1.959964 * error)


def test_a_finite_dataset_narrows_and_the_whole_of_it_leaves_no_doubt():
    whole = mean_interval(VALUES).margin
    assert mean_interval(VALUES, total=24).margin == pytest.approx(whole * math.sqrt(3 / 4))
    assert mean_interval(VALUES, total=6).margin == 0
    with pytest.raises(DataError, match="6 images of a dataset of 5"):
        mean_interval(VALUES, total=5)


def test_strata_leave_the_deviations_within_them():
    strata = np.array([3, 3, 3, 8, 8, 8])
    within = [VALUES[:3].var(ddof=1), VALUES[3:].var(ddof=1)]
    assert deviation(VALUES, strata) == pytest.approx(math.sqrt(np.mean(within)))
    assert deviation(VALUES, np.zeros(6, np.int64)) == pytest.approx(deviation(VALUES))
    assert deviation(np.repeat([0.1, 0.9], 3), strata) == pytest.approx(0)


def test_classes_of_one_image_count_as_one_stratum():
    assert deviation(VALUES, np.arange(6)) == pytest.approx(deviation(VALUES))
    assert deviation(VALUES, np.array([0, 0, 0, 0, 1, 2])) == pytest.approx(
        deviation(VALUES, np.array([0, 0, 0, 0, 1, 1]))
    )
    assert deviation(VALUES, np.array([0, 0, 0, 0, 0, 1])) == pytest.approx(deviation(VALUES))


def test_one_image_has_no_interval():
    with pytest.raises(DataError, match="1 image has no interval") as told:
        mean_interval(np.array([0.5]))
    assert "Evaluate at least 2 images" in told.value.hint


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, math.nan, 0.49, 1e-300])
def test_a_confidence_is_a_fraction(confidence):
    with pytest.raises(UsageError, match="is not allowed") as told:
        mean_interval(VALUES, confidence)
    assert "such as 0.95" in told.value.hint


def test_a_ratio_and_its_influence():
    value, influence = ratio_influence(VALUES, 2 * VALUES)
    assert value == 0.5
    assert influence == pytest.approx(np.zeros(6))
    with pytest.raises(DataError, match="have the mean 0"):
        ratio_influence(VALUES, 0 * VALUES)


def test_scaling_with_a_negative_factor_exchanges_the_ends():
    assert Interval(0.2, 0.1, 0.4).scaled(-100) == pytest.approx((-20, -40, -10))
    assert Interval(0.2, 0.1, 0.4).margin == pytest.approx(0.2)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_the_slope_of_the_variance_of_0_1_values_is_that_of_p_times_1_minus_p(share):
    values = np.repeat([1.0, 0.0], [round(1000 * share), round(1000 * (1 - share))])
    assert variance_slope(values) == pytest.approx(1 - 2 * share)


def test_the_slope_of_the_variance_is_that_of_a_tilted_sample():
    """Images weighted by exp(t z) have a higher mean and another variance; the slope is how the two go together."""
    values = np.random.default_rng(0).gamma(2.0, 3.0, 1000)

    def moments(tilt):
        weights = np.exp(tilt * values)
        mean = np.average(values, weights=weights)
        return mean, np.average((values - mean) ** 2, weights=weights)

    (low, small), (high, large) = moments(-1e-5), moments(1e-5)
    assert variance_slope(values) == pytest.approx((large - small) / (high - low), rel=1e-4)
    assert variance_slope(5 - 2 * values) == pytest.approx(-2 * variance_slope(values))


def test_the_slope_of_the_variance_is_0_of_even_and_of_equal_values():
    assert variance_slope(np.array([-1.0, 0.0, 0.0, 1.0])) == 0
    assert variance_slope(np.full(5, 0.3)) == pytest.approx(0, abs=1e-12)
