import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppbench.metrics.intervals import quantile
from ppbench.metrics.paired import cell_test, paired_interval, paired_p, paired_test, smallest_shown
from tests.metrics.simulate import sparse_differences
from tests.oracles.intervals import detectable, mean_interval


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


def test_interval_and_p_of_a_cell_say_the_same():
    """Of all pairs with fewer than 80 of 500 images worse, and fewer better."""
    odd = []
    for worse in range(1, 80):
        for better in range(worse):
            old, new, points = cell_of(worse, better)
            p, low = cell_test(old, new), paired_interval(points, 0.95).low
            assert p >= 0.05 or low > 0, (worse, better)
            odd += [(p, low)] if p >= 0.05 and low > 0 else []
    assert len(odd) < 10
    assert all(p < 0.051 and low < 0.02 for p, low in odd)


def cell_of(worse, better, n=500):
    """Where two models are right, and the points that the second is worse by, by image."""
    kinds = [worse, better, n - worse - better]
    old, new = np.repeat([True, False, True], kinds), np.repeat([False, True, True], kinds)
    return old, new, np.repeat([100.0, -100.0, 0.0], kinds)


@pytest.mark.parametrize(
    ("worse", "better"), [(0, 0), (1, 0), (3, 0), (5, 0), (2, 2), (4, 1), (10, 5), (40, 30), (80, 80)]
)
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 15])
def test_the_difference_that_a_cell_is_said_to_show_is_found_4_times_in_5(worse, better, alpha):
    """Of the least images that make it, all that differ in one direction if they must."""
    n, runs = 500, 1200
    images = n * smallest_shown(cell_of(worse, better)[2], alpha) / 100
    discordant = max(worse + better, images)
    rates = [(discordant + images) / 2 / n, (discordant - images) / 2 / n]
    random = np.random.default_rng([worse, better])
    drawn = random.multinomial(n, [*rates, 1 - sum(rates)], runs)[:, :2]
    kinds, times = np.unique(drawn, axis=0, return_counts=True)
    found = sum(count * (cell_test(*cell_of(*kind)[:2]) < alpha) for kind, count in zip(kinds, times, strict=True))
    assert 0.77 <= found / runs <= 0.95
    if worse + better > 100:
        assert found / runs <= 0.83, "ordinary cells are promised no more than they hold"


@pytest.mark.parametrize(("worse", "better"), [(0.5, 0), (3, 0), (2, 2), (40, 30)])
def test_the_mean_difference_that_few_images_are_said_to_show_is_found_4_times_in_5(worse, better):
    random, n, found = np.random.default_rng(2), 500, []
    for _ in range(600):
        points = sparse_differences(random, n, worse / n, better / n)
        points[0] = points[0] or 100 / 9  # a cell of one image differs at least
        share = n * smallest_shown(points) / np.abs(points[points != 0]).mean()
        discordant = max(worse + better, share)
        rates = (discordant + share) / 2 / n, (discordant - share) / 2 / n
        found.append(paired_test(sparse_differences(random, n, *rates)) < 0.05)
    assert np.mean(found) >= 0.75


def test_with_many_differing_images_the_smallest_shown_is_that_of_the_normal_formula():
    for values in (cell_of(70, 60)[2], np.random.default_rng(0).normal(1, 14, 500)):
        assert smallest_shown(values) == pytest.approx(detectable(values), rel=0.015)


def trinomial(n, counts, rates):
    """Probability that so many of n images are of two kinds."""
    one, other = counts
    rest = (1 - sum(rates)) ** (n - one - other)
    return math.comb(n, one) * math.comb(n - one, other) * rates[0] ** one * rates[1] ** other * rest
