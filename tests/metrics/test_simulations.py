"""Seeded simulations of thousands of evaluations: intervals cover, sequences hold, tests find what they should."""

import numpy as np
import pytest

from tests.metrics.simulate import coverage, false_alarms, gain, looking, power, rough, sparse, sparse_sequences
from tests.metrics.stopping import follow


def test_intervals_cover_19_times_in_20():
    rates = coverage(1000, 300)
    # Three standard deviations of the rate. A quantile of 1.7 in place of 1.96 covers 91 %, which 99 of 100 draws find.
    assert {name: rate for name, rate in rates.items() if not 0.93 <= rate <= 0.97} == {}


def test_a_ratio_to_an_error_near_0_misses_on_one_side_and_is_told():
    found = rough(400, 300, 0.02)
    assert found.noted >= 0.95
    assert found.above <= 0.005 < found.below <= 0.05
    assert rough(200, 1000, 0.2).noted <= 0.005


@pytest.fixture(scope="module")
def infinite():
    return looking(900)


def test_a_sequence_holds_at_every_look_where_fixed_intervals_do_not(infinite):
    assert infinite.covered >= 0.95
    assert infinite.at_stop >= 0.95
    assert infinite.naive < 0.85


def test_a_sequence_costs_less_than_1_7_times_a_fixed_interval(infinite):
    assert 1.2 < infinite.cost <= 1.7


def test_a_sequence_holds_where_few_images_err():
    wrong = (np.random.default_rng(0).random((400, 1000)) < 0.01).astype(float)
    _, _, low, high = follow(wrong, 50, 0.01, (0, 1), limited=False)
    assert ((low <= 0.01) & (high >= 0.01)).all(1).mean() >= 0.95


@pytest.mark.parametrize("share", [0.02, 0.03])
def test_a_sequence_holds_where_few_images_differ_and_all_in_one_direction(share):
    worse = (np.random.default_rng(1).random((400, 1800)) < share).astype(float)
    _, _, low, high = follow(worse, 50, 0.01, (-1, 1), limited=False)
    assert ((low <= share) & (high >= share)).all(1).mean() >= 0.95


@pytest.mark.parametrize(("worse", "better"), [(0.02, 0.0), (0.01, 0.01)])
def test_a_sequence_of_sparse_paired_differences_holds(worse, better):
    held, _, cost = sparse_sequences(300, worse, better, half_width=0.7)
    assert held >= 0.95
    assert 1.5 < cost < 2, "above the 1.7 of ordinary ones, as docs/statistics.md says"


@pytest.mark.parametrize("worse", [3, 8, 12, 20])
def test_paired_intervals_cover_where_few_images_differ_and_all_in_one_direction(worse):
    assert sparse(2000, 500, worse, 0).covered >= 0.945


@pytest.mark.parametrize("differing", [2, 5, 15])
def test_paired_tests_find_nothing_where_few_images_differ_by_chance(differing):
    found = sparse(2000, 500, differing, differing)
    assert found.covered >= 0.94
    assert found.found <= 0.055


def test_paired_intervals_of_ordinary_pairs_are_as_wide_as_normal_ones():
    assert sparse(300, 500, 40, 30).wide == pytest.approx(1, abs=0.005)


def test_strata_and_the_finite_dataset_save_images_and_keep_the_sequence_right(infinite):
    both = looking(500, of_class=0.4, stratified=True, total=1500)
    assert both.covered >= 0.95
    assert both.cost <= 1.7
    assert both.images < 0.7 * infinite.images


def test_the_paired_test_has_the_power_of_the_formula():
    found = power(800, 300)
    assert 0.6 < found.formula < 0.95
    # 2.5 standard deviations of the rate. A power of 75 % becomes one of 82 % with 20 % more images.
    assert found.found == pytest.approx(found.formula, abs=0.04)
    assert found.unpaired < 0.5 * found.found


def test_equal_models_are_told_apart_once_in_20_times():
    paired, single = false_alarms(1500, 300)
    assert paired == pytest.approx(0.05, abs=0.017)  # three standard deviations; a quantile of 1.75 finds 8 %
    assert single <= 0.05


def test_knowing_how_images_were_drawn_narrows_intervals_that_still_cover():
    found = gain(1500)
    assert 0.935 <= found.covered <= 0.965
    assert found.unaware > 0.985, "without that knowledge intervals are too wide, never too narrow"
    assert found.simple < 0.93
    assert found.both < 0.9 * found.simple
