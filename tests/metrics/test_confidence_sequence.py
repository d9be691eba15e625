import math

import numpy as np
import pytest

from ppbench.errors import DataError, UsageError
from ppbench.metrics.confidence_sequence import ConfidenceSequence, decided
from ppbench.metrics.intervals import Interval
from tests.metrics.stopping import follow, nearly_perfect
from tests.metrics.synthetic import stratified_order
from tests.oracles.intervals import mean_interval


def values(n, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, n)


def test_at_its_plan_a_sequence_is_little_wider_than_an_interval_of_its_images():
    sequence = ConfidenceSequence(images=1000)
    for chunk in np.split(values(1000), 10):
        assert not sequence.is_narrow
        found = sequence.add(chunk)
    assert sequence.n == 1000
    assert found.value == pytest.approx(values(1000).mean())
    ratio = (found.high - found.low) / (2 * mean_interval(values(1000)).margin)
    assert 1.1 < ratio < math.sqrt(1.5)
    assert sequence.is_narrow


def test_with_a_half_width_it_stops_where_that_is_reached():
    sequence, seen = ConfidenceSequence(half_width=0.03), 0
    while not sequence.is_narrow:
        found = sequence.add(values(50, seen))
        seen += 50
    assert (found.high - found.low) / 2 <= 0.03 + 1e-9
    assert seen == pytest.approx((2.2818 * math.sqrt(1 / 12) / 0.03) ** 2, abs=75)


def test_the_order_within_a_chunk_does_not_matter():
    found = []
    for sort in (np.sort, np.flip, np.array):
        sequence = ConfidenceSequence(half_width=0.04)
        for chunk in np.split(values(600), 6):
            interval = sequence.add(sort(chunk))
        found.append(interval)
    assert found[0] == pytest.approx(found[1])
    assert found[0] == pytest.approx(found[2])
    assert sequence.is_narrow


def test_one_may_go_on_after_the_plan():
    sequence = ConfidenceSequence(images=200)
    widths = []
    for chunk in np.split(values(20_000), 100):
        found = sequence.add(chunk)
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True), "what was ruled out stays ruled out"
    assert widths[-1] < 2.5 * 2 * mean_interval(values(20_000)).margin


def test_all_images_of_the_dataset_leave_no_doubt():
    for plan in ({"images": 300}, {"images": 100}, {"half_width": 0.01}):
        sequence = ConfidenceSequence(total=300, **plan)
        for chunk in np.split(values(300), 3):
            found = sequence.add(chunk)
        assert found == pytest.approx([values(300).mean()] * 3)
    with pytest.raises(DataError, match="301 images of a dataset of 300"):
        sequence.add(values(1))


def test_a_finite_dataset_and_strata_narrow_it():
    strata = np.repeat(np.arange(10), 100)
    easy = np.clip(strata / 10 + 0.1 * (values(1000) - 0.5), 0, 1)
    order = stratified_order(strata, 0)[:300]
    plain = ConfidenceSequence(images=300).add(easy[order])
    finite = ConfidenceSequence(images=300, total=1000).add(easy[order])
    stratified = ConfidenceSequence(images=300).add(easy[order], strata[order])
    assert finite.margin == pytest.approx(plain.margin * math.sqrt(0.7), rel=1e-6)
    assert stratified.margin < plain.margin / 3


def test_few_images_or_none_that_differ_look_uncertain():
    sequence = ConfidenceSequence(half_width=0.01, bounds=(-1, 1))
    assert sequence.add(np.zeros(29))[1:] == (-1, 1)
    assert not sequence.is_narrow
    assert sequence.add(np.zeros(1)).margin > 0.1
    assert not sequence.is_narrow
    assert ConfidenceSequence(images=5, total=5).add(np.zeros(5)) == (0, 0, 0)


@pytest.mark.parametrize("total", [None, 1000])
def test_where_images_are_too_few_for_the_half_width_it_is_narrowest_at_the_last_of_them(total):
    """No wider than by the plan of so many images; without knowing them it is 2.6 times as wide."""
    found = {}
    for name, plan in (("known", {"available": 500}), ("unknown", {})):
        sequence = ConfidenceSequence(half_width=0.01, total=total, **plan)
        for chunk in np.split(values(500), 5):
            found[name] = sequence.add(chunk)
        assert not sequence.is_narrow
    fixed = mean_interval(values(500), total=total)
    assert found["known"].high - found["known"].low < 2 * 1.2 * fixed.margin
    assert found["unknown"].high - found["unknown"].low > 2 * 1.5 * fixed.margin


def test_where_images_are_enough_their_number_changes_nothing():
    found = []
    for plan in ({}, {"available": 2000}):
        sequence = ConfidenceSequence(half_width=0.04, **plan)
        for chunk in np.split(values(600), 6):
            interval = sequence.add(chunk)
        found.append(interval)
    assert found[0] == found[1]


def test_no_interval_reaches_beyond_what_a_mean_can_be():
    for bounds, seen in (((0, 1), np.zeros(40)), ((-1, 1), -np.ones(40)), ((-1, 1), np.tile([-1.0, 1.0], 20))):
        found = ConfidenceSequence(half_width=0.001, bounds=bounds).add(seen)
        assert bounds[0] <= found.low <= found.value <= found.high <= bounds[1]


def test_looks_that_exclude_each_other_give_way_to_the_latest():
    sequence = ConfidenceSequence(images=200)
    sequence.add(0.01 * values(200))
    found = sequence.add(1 - 0.01 * values(2000))
    assert found.low < found.value < found.high
    assert found.value > 0.9


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({}, "needs half_width or images"),
        ({"images": 10, "half_width": 0.1}, "needs half_width or images"),
        ({"half_width": 0}, "half_width 0 is not allowed"),
        ({"images": -1}, "images -1 is not allowed"),
        ({"half_width": 0.1, "available": 0}, "available 0 is not allowed"),
        ({"images": 10, "bounds": (1, 0)}, "bounds 1, 0 are not allowed"),
        ({"images": 10, "confidence": 95}, "a confidence of 95"),
    ],
)
def test_a_plan_is_one_number_above_0(plan, words):
    with pytest.raises(UsageError, match=words):
        ConfidenceSequence(**plan)


def test_a_difference_is_decided_once_its_interval_lies_on_one_side():
    assert decided(Interval(0.0, -0.01, 0.01), 0.01) is True
    assert decided(Interval(0.03, 0.011, 0.05), 0.01) is False
    assert decided(Interval(0.01, 0.0, 0.02), 0.01) is None
    assert decided(Interval(0.0, -math.inf, math.inf)) is None


def test_every_beginning_of_the_order_has_equal_shares_of_the_classes():
    strata = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [100, 100, 100, 300]))
    order = stratified_order(strata, 3)
    assert sorted(order) == list(range(600))
    for n in (6, 60, 333):
        assert np.bincount(strata[order[:n]], minlength=4) / n == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2], abs=1 / n)
    assert (order == stratified_order(strata, 3)).all()
    assert (order != stratified_order(strata, 4)).any()
    assert len(stratified_order(np.zeros(0, np.int64), 0)) == 0


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize(("chunk", "total"), [(10, None), (128, None), (32, 640)])
def test_many_sequences_at_once_say_what_each_says_alone(chunk, total, limited):
    """What the simulations of docs/statistics.md follow is what `ConfidenceSequence` gives, look by look."""
    images = nearly_perfect(0.02, most=640)
    rows = images.draw(np.random.default_rng(3), (3, 640))
    width, available = (0.03, 640) if limited else (0.05, None)
    together = follow(rows, chunk, width, images.bounds, total=total, limited=limited)
    for row, means, lows, highs in zip(rows, together.means, together.low, together.high, strict=True):
        sequence = ConfidenceSequence(half_width=width, available=available, total=total, bounds=images.bounds)
        alone = [sequence.add(part) for part in np.split(row, 640 // chunk)]
        assert np.array(alone) == pytest.approx(np.transpose([means, lows, highs]), abs=1e-9)


def test_images_that_are_not_seen_yet_may_be_as_far_away_as_the_bounds_allow():
    """The range seen so far, a hundredth, says nothing of a rare image that breaks altogether."""
    noise = 0.01 * values(128)
    narrow, wide = (
        ConfidenceSequence(half_width=0.0025, bounds=bounds).add(noise).margin for bounds in ((0, 0.01), (-1, 1))
    )
    assert narrow < 0.003
    assert wide > 2.28 * 2 / 128


def test_a_value_beyond_the_bounds_is_refused():
    sequence = ConfidenceSequence(half_width=0.01, bounds=(-1, 1))
    sequence.add(np.array([-1.0, 1.0, 1 + 1e-12]))
    for bad in (1.2, -1.2, math.nan):
        with pytest.raises(UsageError, match=r"the value .* is beyond the bounds -1, 1"):
            sequence.add(np.array([0.5, bad]))
