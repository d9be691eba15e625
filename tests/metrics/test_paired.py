import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ppbench.errors import UsageError
from ppbench.metrics.paired import holm, images_needed, mcnemar, paired_p
from tests.oracles.intervals import detectable, permutation_p


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
        rejected = [k for k in range(count + 1) if mcnemar(*discordant(k, count - k, 0)) < 0.05]
        found += chance * stats.binom.pmf(rejected, count, 0.5).sum()
    assert found <= 0.052


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
