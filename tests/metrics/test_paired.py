import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ppbench.errors import UsageError
from ppbench.metrics.intervals import quantile
from ppbench.metrics.paired import (
    Differences,
    cell_test,
    holm,
    images_alone,
    images_needed,
    mcnemar,
    normal_p,
    paired_interval,
    paired_test,
    smallest_shown,
)
from tests.metrics.simulate import sparse_differences
from tests.oracles.intervals import detectable, mean_interval, permutation_p


@pytest.mark.parametrize("common", [False, True])
def test_where_images_share_draws_differences_cover_other_passes_too(common):
    """All images are harder in one pass than in another, 300 times; two networks have their draws in common or not."""
    random, n, passes, covered, alone, reaches = np.random.default_rng(1), 150, 8, 0, 0, []
    for _ in range(300):
        shift = random.normal(0, 0.08, (2, passes)).clip(-0.3, 0.3)
        shift[1] = shift[0] if common else shift[1]
        wrong = random.random((2, passes, n)) < random.uniform(0.3, 0.5, n) + shift[..., None]
        points = 100 * (wrong[1] - wrong[0].astype(float))
        seen = Differences.of(points.mean(0))
        both = seen.over_passes(points.mean(1))
        interval, plain = paired_interval(both, 0.95), paired_interval(seen, 0.95)
        covers = interval.low <= 0 <= interval.high
        assert (paired_test(both) >= 0.05) is covers
        covered, alone = covered + covers, alone + (plain.low <= 0 <= plain.high)
        reaches.append(interval.margin)
        assert smallest_shown(both) > smallest_shown(seen)
    # What both have in common cancels, as images do. What is left, the chance of single images, counts twice.
    assert 0.93 <= covered / 300 <= (1 if common else 0.99)
    assert np.mean(reaches) < 6.5 if common else np.mean(reaches) > 8.5
    assert common or alone / 300 < 0.85


def test_what_varies_between_passes_is_not_lowered_by_images():
    seen = Differences.of(np.random.default_rng(0).normal(1, 10, 400))
    assert seen.over_passes(None) == seen.over_passes(np.array([3.0])) == seen
    assert images_alone(seen, 2.0) == 2.0
    both = seen.over_passes(np.array([0.0, 1.0, 0.5, 0.2, 0.9]))
    rest = images_alone(both, 2.0)
    assert 0 < rest < 2
    assert rest**2 + (stats.t.ppf(0.975, 4) + stats.t.ppf(0.8, 4)) ** 2 * both.between == pytest.approx(4)
    assert images_alone(both, 0.5) is None


def discordant(only_a, only_b, both=20):
    """Two vectors of bits with these counts."""
    a = np.repeat([True, False, True], [only_a, only_b, both])
    b = np.repeat([False, True, True], [only_a, only_b, both])
    return a, b


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 1), (3, 9), (9, 3), (10, 10), (0, 30), (480, 520)])
def test_mcnemar_is_the_binomial_test_with_half_of_what_was_seen(only_a, only_b):
    n = only_a + only_b
    exact, seen = stats.binomtest(only_a, n).pvalue, stats.binom.pmf(only_a, n, 0.5)
    assert mcnemar(*discordant(only_a, only_b)) == pytest.approx(exact - (seen if only_a != only_b else 0))


def test_mcnemar_of_many_is_near_that_of_few(monkeypatch):
    monkeypatch.setattr("ppbench.metrics.paired.EXACT", 3000)
    pairs = [(950, 1050), (1000, 1001), (900, 1100), (500, 501)]
    summed = [mcnemar(*discordant(*pair)) for pair in pairs]
    monkeypatch.undo()
    assert [mcnemar(*discordant(*pair)) for pair in pairs] == pytest.approx(summed, abs=1e-4)


@pytest.mark.parametrize("probability", [0.004, 0.02, 0.06, 0.2])
def test_mcnemar_finds_nothing_where_both_err_alike_in_more_than_5_percent(probability):
    """Exact, over all outcomes of 500 images of which so many are discordant on average."""
    found = 0.0
    for count in range(1, 161):
        chance = stats.binom.pmf(count, 500, probability)
        few = [k for k in range(count // 2 + 1) if mcnemar(*discordant(k, count - k, 0)) < 0.05]
        rejected = sorted({*few, *(count - k for k in few)})  # 3 and 9 are as 9 and 3, as the first test of it has
        found += chance * stats.binom.pmf(rejected, count, 0.5).sum()
    assert found <= 0.052


def paired_p(differences):
    return normal_p(differences.mean(), differences.std(ddof=1), len(differences))


def test_models_that_agree_do_not_differ():
    same = np.array([True, False])
    assert mcnemar(same, same) == 1
    assert paired_p(np.zeros(5)) == 1
    assert permutation_p(np.zeros(5), 100, 0) == 1


def test_the_paired_p_value_is_that_of_the_z_test():
    differences = np.random.default_rng(0).normal(0.1, 1, 300)
    z = differences.mean() / (differences.std(ddof=1) / math.sqrt(300))
    assert paired_p(differences) == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert paired_p(-differences) == pytest.approx(paired_p(differences))
    assert paired_p(np.full(4, 0.5)) == pytest.approx(2 / 2**4), "four alike are no certainty"


def test_random_signs_agree_with_the_normal_approximation():
    differences = np.random.default_rng(1).normal(0.05, 1, 400)
    p = permutation_p(differences, 4000, 0)
    assert p == pytest.approx(paired_p(differences), abs=0.03)
    assert p == permutation_p(differences, 4000, 0)
    assert p != permutation_p(differences, 4000, 1)
    assert permutation_p(np.ones(40), 99, 0) == 0.01


def test_random_signs_come_in_blocks_without_changing_what_they_are_of(monkeypatch):
    monkeypatch.setattr("tests.oracles.intervals.BLOCK", 100)
    assert permutation_p(np.array([1.0, 1.0, 1.0]), 2000, 0) == pytest.approx(0.25, abs=0.03)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_raises_p_values_keeps_their_order_and_rejects_no_more_than_bonferroni_allows(p_values):
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    assert all(q <= min(1, len(p_values) * p) + 1e-12 for p, q in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_what_images_can_detect_and_how_many_are_needed():
    values = np.random.default_rng(2).normal(0, 0.3, 500)
    smallest = detectable(values)
    spread = float(values.std(ddof=1))
    assert smallest == pytest.approx((1.959964 + 0.841621) * spread / math.sqrt(500), rel=1e-6)
    assert images_needed(spread, smallest * 1.0001) == 500
    assert images_needed(0.3, 0.01, power=0.5) == math.ceil((1.959964 * 30) ** 2)
    assert images_needed(0, 0.01) == 2
    assert detectable(values, strata=np.arange(500) % 5) == pytest.approx(smallest, rel=0.05)


def test_impossible_questions_are_refused():
    for arguments, words in (
        ({"difference": 0}, "a difference of 0"),
        ({"difference": 1, "power": 1}, "power 1"),
        ({"difference": 1, "alpha": 5}, "alpha 5"),
    ):
        with pytest.raises(UsageError, match=words):
            images_needed(0.3, **arguments)


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
