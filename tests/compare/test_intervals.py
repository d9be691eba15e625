import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppbench.compare.intervals import paired_interval, paired_test
from ppbench.metrics.intervals import mean_interval, quantile
from ppbench.metrics.paired import paired_p


@pytest.mark.parametrize("n", [100, 500, 10_000])
def test_without_discordant_images_it_is_nearly_tangos_interval(n):
    found = paired_interval(np.zeros(n), 0.95)
    z = quantile(0.95)
    assert found.value == 0
    assert found.high == -found.low == pytest.approx(100 * z * z / (n + z * z), rel=0.07)


def test_with_many_differing_images_it_is_the_normal_interval():
    values = 100.0 * np.random.default_rng(0).choice([-1, 0, 1], 500, p=[0.05, 0.9, 0.05])
    assert list(paired_interval(values, 0.95)) == pytest.approx(list(mean_interval(values, 0.95)), rel=5e-3)
    assert paired_test(values) == pytest.approx(paired_p(values), rel=0.02)


def test_over_several_cells_it_is_the_normal_interval():
    values = np.random.default_rng(0).normal(1, 14, 500)
    assert paired_interval(values, 0.95).margin == pytest.approx(mean_interval(values, 0.95).margin, rel=1e-3)


@given(st.lists(st.sampled_from([-100.0, 0.0, 100.0]), min_size=2, max_size=60))
def test_no_interval_is_narrower_than_the_normal_one_and_no_p_smaller(values):
    points = np.array(values)
    found, normal = paired_interval(points, 0.95), mean_interval(points, 0.95)
    assert found.low <= normal.low + 1e-9
    assert found.high >= normal.high - 1e-9
    assert found.high > found.low
    assert paired_test(points) >= paired_p(points)
    if points.mean() == 0:
        assert paired_test(points) == 1


@pytest.mark.parametrize(
    ("worse", "better"),
    [(0.25, 0), (1, 0), (3, 0), (5, 0), (8, 0), (12, 0), (20, 0), (50, 0), (8, 1), (10, 2), (2, 2), (10, 10)],
)
def test_coverage_where_few_of_500_images_differ(worse, better):
    """Exact: 98 % at 8 images, all in one direction, where a floor of the variance alone has 89 %."""
    n, covered = 500, 0.0
    for one in range(round(worse + 7 * math.sqrt(worse) + 5)):
        for other in range(round(better + 7 * math.sqrt(better) + 5) if better else 1):
            points = np.repeat([100.0, -100.0, 0.0], [one, other, n - one - other])
            found = paired_interval(points, 0.95)
            if found.low <= 100 * (worse - better) / n <= found.high:
                covered += trinomial(n, (one, other), (worse / n, better / n))
    assert covered >= (0.945 if better else 0.95)


def trinomial(n, counts, rates):
    """Probability that so many of n images are of two kinds."""
    one, other = counts
    rest = (1 - sum(rates)) ** (n - one - other)
    return math.comb(n, one) * math.comb(n - one, other) * rates[0] ** one * rates[1] ** other * rest
