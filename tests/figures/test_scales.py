from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppbench.figures.scales import DIVERGING_STEPS, ColourScale, nice_above, tick_text, ticks

NUMBERS = st.floats(-1e4, 1e4, allow_nan=False)


@pytest.mark.parametrize(("error", "step"), [(0, 0), (9.99, 0), (10, 1), (58.3, 5), (100 * 0.7, 7), (99, 9), (100, 9)])
def test_errors_have_ten_steps_of_ten_points(error: float, step: int) -> None:
    assert ColourScale().step(error) == step


def test_a_diverging_scale_has_its_centre_in_the_middle_and_reaches_the_farthest_value() -> None:
    scale = ColourScale.around(100, [91.0, 103.0])
    assert (scale.limit, scale.ends) == (10, (90, 110))
    assert [scale.step(value) for value in (100, 90, 110, 60, 300)] == [4, 0, 8, 0, 8]


def test_a_scale_of_nothing_or_of_equal_values_has_a_width() -> None:
    assert ColourScale.around(0, []).step(0) == ColourScale.around(0, [0.0]).step(0) == 4


def test_rounding_errors_have_no_colour() -> None:
    scale = ColourScale.around(0, [1e-14, -2e-15])
    assert scale.step(1e-14) == scale.step(-2e-15) == 4


def test_a_far_outlier_does_not_take_the_colour_of_all_others() -> None:
    assert ColourScale.around(100, [400.0, 120.0]).ends == (0, 200)


@given(st.lists(NUMBERS), NUMBERS)
def test_steps_of_a_diverging_scale_are_symmetric(values: list[float], value: float) -> None:
    scale = ColourScale.around(0, values)
    assert scale.step(value) + scale.step(-value) == DIVERGING_STEPS - 1


@given(NUMBERS, NUMBERS, st.integers(1, 8))
def test_ticks_cover_the_range_in_order_and_not_too_many(one: float, other: float, about: int) -> None:
    low, high = sorted((one, other))
    found = ticks(low, high, about)
    assert found == sorted(set(found))
    assert found[0] <= low + 1e-6 * (1 + abs(low))
    assert found[-1] >= high - 1e-6 * (1 + abs(high))
    assert 2 <= len(found) <= about + 3


def test_ticks_are_round_numbers() -> None:
    assert ticks(-1.3, 0.7, 4) == [-1.5, -1, -0.5, 0, 0.5, 1]
    assert ticks(0, 100, 2) == [0, 50, 100]
    assert [tick_text(tick) for tick in ticks(0, 0.3, 3)] == ["0", "0.1", "0.2", "0.3"]


def test_nice_numbers() -> None:
    assert [nice_above(value) for value in (0.03, 1, 2.1, 3, 51, 100.1)] == [0.05, 1, 2.5, 5, 100, 200]
