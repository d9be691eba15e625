import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ppbench.metrics.by_class import added_confusions, class_errors, mean_of_few, worst_classes
from ppbench.metrics.intervals import wilson
from ppbench.metrics.metric import Unavailable
from ppbench.vocabulary import CLEAN
from tests.oracles import by_image as oracle

CLEAN_CELL = (CLEAN, 0)
CELLS = [("fog", 1), ("fog", 2), ("frost", 1)]


def drawn(seed, n=60, classes=4, outputs=6):
    """Labels and predictions, about half of which are right; the last outputs are no classes of the dataset."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n)
    predicted = {}
    for cell in (CLEAN_CELL, *CELLS):
        predicted[cell] = np.where(random.random(n) < 0.5, labels, random.integers(0, outputs, n))
    return labels, predicted


def bits_of(labels, predicted):
    return {cell: own == labels for cell, own in predicted.items()}


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_errors_are_those_of_plain_loops(seed):
    labels, predicted = drawn(seed)
    bits = bits_of(labels, predicted)
    plain = {cell: list(right) for cell, right in bits.items()}
    found = class_errors(labels, bits, CELLS)
    assert [one.number for one in found] == sorted(set(labels.tolist()))
    for one in found:
        assert one.n == labels.tolist().count(one.number)
        assert one.error == pytest.approx(oracle.class_error(list(labels), plain, CELLS, one.number))
        if one.interval is not None and one.clean is not None:
            assert one.clean.value == pytest.approx(oracle.class_error(list(labels), plain, [CLEAN_CELL], one.number))
            assert one.interval.low <= one.error <= one.interval.high


def test_a_class_without_errors_or_with_nothing_else_has_an_interval_with_a_width():
    labels = np.repeat([0, 1], 20)
    bits = dict.fromkeys((CLEAN_CELL, *CELLS), labels == 0)
    right, wrong = class_errors(labels, bits, CELLS)
    assert (right.error, wrong.error) == (0, 1)
    assert tuple(right.interval) == pytest.approx(tuple(wilson(0, 20)))
    assert tuple(wrong.interval) == pytest.approx(tuple(wilson(20, 20)))
    assert right.p == wrong.p == pytest.approx(4 * stats.t.sf(1 / np.sqrt(0.25 / 10), 19))


def test_one_cell_has_nearly_wilsons_interval_and_few_images_a_wider_one():
    values = np.repeat([0.0, 1.0], [70, 30])
    assert tuple(mean_of_few(values)) == pytest.approx(tuple(wilson(30, 100)))
    # Of ten cells of each image that do not depend on each other, Wilson's with ten times the images.
    random = np.random.default_rng(0)
    many = random.binomial(10, 0.3, 5000) / 10
    assert tuple(mean_of_few(many)) == pytest.approx(tuple(wilson(10 * many.sum(), 50_000)), abs=5e-4)
    few = many[:5]
    effective = 5 * few.mean() * (1 - few.mean()) / few.var(ddof=1)
    assert mean_of_few(few).margin > wilson(effective * few.mean(), effective).margin * 1.3


def test_a_class_that_stands_out_is_found_and_one_that_does_not_is_not():
    random = np.random.default_rng(1)
    labels = np.repeat(np.arange(10), 40)
    bits = {cell: random.random(400) < np.where(labels == 3, 0.2, 0.7) for cell in CELLS}
    found = class_errors(labels, bits, CELLS)
    assert all(one.clean is None for one in found)
    assert [one.number for one in found if one.p < 0.05] == [3]
    assert worst_classes(found, 2)[0].number == 3


def test_the_p_value_of_one_cell_is_that_of_two_proportions():
    labels = np.repeat([0, 1], [40, 360])
    right = np.concatenate([np.arange(40) < 22, np.arange(360) < 270])
    first, second = class_errors(labels, {CELLS[0]: right}, CELLS[:1])
    pooled = right.mean()
    z = (270 / 360 - 22 / 40) / np.sqrt(pooled * (1 - pooled) * (1 / 40 + 1 / 360))
    # Two tests, adjusted by Holm: the smaller p-value twice, and the larger no smaller.
    small, large = sorted(2 * stats.t.sf(z, n - 1) for n in (40, 360))
    assert sorted([first.p, second.p]) == pytest.approx([2 * small, max(2 * small, large)], rel=0.02)


def test_classes_that_are_all_right_do_not_differ():
    found = class_errors(np.repeat([0, 1], 5), dict.fromkeys(CELLS, np.ones(10, bool)), CELLS)
    assert [one.p for one in found] == [1, 1]


def test_a_single_image_has_no_interval():
    labels = np.array([0, 0, 1])
    bits = {cell: np.array([True, False, True]) for cell in (CLEAN_CELL, *CELLS)}
    first, second = class_errors(labels, bits, CELLS)
    assert (second.n, second.error, second.interval, second.clean, second.p) == (1, 0, None, None, None)
    assert first.interval is not None
    assert first.p is None, "one other image is too few to compare with"


def test_the_worst_come_first_and_equals_by_number():
    labels = np.repeat([0, 1, 2], 4)
    bits = {cell: np.repeat([False, True, False], 4) for cell in CELLS}
    found = class_errors(labels, bits, CELLS)
    assert [one.number for one in worst_classes(found, 5)] == [0, 2, 1]
    assert [one.number for one in worst_classes(found, 1)] == [0]


def test_a_missing_cell_is_said():
    labels, predicted = drawn(0)
    bits = bits_of(labels, predicted)
    del bits["fog", 2]
    with pytest.raises(Unavailable, match="the run lacks 1 of 3 cells: fog s2"):
        class_errors(labels, bits, CELLS)
    with pytest.raises(Unavailable, match="no corrupted cells"):
        class_errors(labels, bits, [])
    del predicted[CLEAN_CELL]
    with pytest.raises(Unavailable, match="the run lacks the clean images"):
        added_confusions(labels, predicted, CELLS, 4)


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_added_confusions_are_those_of_plain_loops(seed):
    labels, predicted = drawn(seed, n=30)
    plain = {cell: own.tolist() for cell, own in predicted.items()}
    expected = {
        pair: rate for pair, rate in oracle.added(labels.tolist(), plain, CELLS, CLEAN_CELL, 6).items() if rate > 1e-9
    }
    found = added_confusions(labels, predicted, CELLS, 4, most=100)
    assert {(one.label, one.predicted): pytest.approx(one.added.value) for one in found} == expected
    values = [round(one.added.value, 9) for one in found]
    assert values == sorted(values, reverse=True)
    for one in found:
        assert one.corrupted - one.clean == pytest.approx(one.added.value)
        assert -1 <= one.added.low <= one.added.value <= one.added.high <= 1
    assert added_confusions(labels, predicted, CELLS, 4, most=3) == found[:3]


def test_the_interval_is_students_of_differences_by_image_and_p_counts_all_pairs():
    random = np.random.default_rng(2)
    n = 400
    labels = np.repeat([0, 1], n)
    # Class 0 becomes class 2 in half of the images, and returns from it in a few.
    clean = np.where((labels == 0) & (random.random(2 * n) < 0.3), 2, labels)
    predicted = {CLEAN_CELL: clean}
    for cell in CELLS:
        predicted[cell] = np.where((labels == 0) & (random.random(2 * n) < 0.5), 2, labels)
    (one,) = added_confusions(labels, predicted, CELLS, 3)
    differences = np.mean([predicted[cell][:n] == 2 for cell in CELLS], axis=0) - (clean[:n] == 2)
    low, high = stats.t.interval(0.95, n - 1, differences.mean(), stats.sem(differences))
    assert (one.label, one.predicted, one.n) == (0, 2, n)
    assert (one.added.low, one.added.high) == pytest.approx((low, high), abs=2e-4)
    # Images of two classes may each be taken for two others.
    assert one.p == pytest.approx(4 * stats.ttest_1samp(differences, 0).pvalue, rel=0.1)


def test_a_confusion_of_one_image_is_not_shown_to_be_more_than_chance():
    labels = np.repeat(np.arange(5), 20)
    predicted = {cell: labels.copy() for cell in (CLEAN_CELL, *CELLS)}
    for cell in CELLS:
        predicted[cell][0] = 4
    (one,) = added_confusions(labels, predicted, CELLS, 5)
    assert (one.label, one.predicted, one.p) == (0, 4, 1.0)
    assert one.added.low < 0


def test_without_more_confusions_the_list_is_empty():
    labels, predicted = drawn(3)
    same = dict.fromkeys([CLEAN_CELL, *CELLS], predicted[CLEAN_CELL])
    assert added_confusions(labels, same, CELLS, 4) == []


def test_pairs_of_equal_rate_stand_by_class_and_a_class_of_one_image_has_none():
    labels = np.array([0, 0, 1, 1, 2])
    predicted = dict.fromkeys((CLEAN_CELL, *CELLS), labels)
    predicted["fog", 1] = np.array([2, 1, 0, 2, 0])
    found = added_confusions(labels, predicted, CELLS, 3)
    assert [(one.label, one.predicted) for one in found] == [(0, 1), (0, 2), (1, 0), (1, 2)]
    assert len({one.added.value for one in found}) == 1


def test_where_most_images_are_alike_four_more_count_at_the_slope():
    """By hand: 20 images, 18 without an error, one with half of its cells wrong and one with all."""
    values = np.array([0.0] * 18 + [0.5, 1.0])
    mean, centred = values.mean(), values - values.mean()
    slope = (centred**3).sum() / (centred**2).sum()
    variance = values.var(ddof=1) + 4 * slope**2 / 20
    effective = max(20, 20 * mean * (1 - mean) / variance * (1.959964 / stats.t.ppf(0.975, 19)) ** 2)
    assert effective == 20, "few images with errors are worth no more than themselves"
    half = np.array([0.0] * 10 + [0.2, 0.4] * 5)
    mean, centred = half.mean(), half - half.mean()
    slope = (centred**3).sum() / (centred**2).sum()
    variance = half.var(ddof=1) + 4 * slope**2 / 20
    effective = 20 * mean * (1 - mean) / variance * (1.959964 / stats.t.ppf(0.975, 19)) ** 2
    assert effective > 60
    assert tuple(mean_of_few(half)) == pytest.approx(tuple(wilson(mean * effective, effective)), rel=1e-6)


def test_the_p_value_knows_that_an_image_of_many_cells_is_worth_several():
    random = np.random.default_rng(5)
    cells = [("fog", severity) for severity in range(1, 11)]
    labels = np.repeat([0, 1], 200)
    bits = {cell: random.random(400) < np.where(labels == 0, 0.72, 0.70) for cell in cells}
    wrong = np.mean([~bits[cell] for cell in cells], axis=0)
    # The cells do not depend on each other: 2,000 answers of each class.
    z = abs(wrong[:200].mean() - wrong[200:].mean()) / np.sqrt(wrong.mean() * (1 - wrong.mean()) * 2 / 2000)
    first, second = class_errors(labels, bits, cells)
    assert 0.5 < z < 3
    expected = min(1, 2 * 2 * stats.t.sf(z, 199))
    assert (first.p, second.p) == pytest.approx((expected, expected), rel=0.35)
