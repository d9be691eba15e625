import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppbench.metrics.consistency import error_consistency
from ppbench.metrics.metric import Unavailable
from tests.oracles import by_image as oracle

CELLS = [("fog", 1), ("fog", 2)]


def of_table(both, first, second, neither):
    """Two models' bits of one cell, from how many images both, only one, or neither gets right."""
    counts = [both, first, second, neither]
    return (
        {CELLS[0]: np.repeat([True, True, False, False], counts)},
        {CELLS[0]: np.repeat([True, False, True, False], counts)},
    )


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        # Kaptein & van den Heuvel, Statistics for Data Scientists (2022), table 6.1.
        ((20, 5, 10, 65), 0.625),
        # Two readers of grant proposals, https://en.wikipedia.org/wiki/Cohen%27s_kappa
        ((20, 5, 10, 15), 0.4),
        ((45, 15, 25, 15), 0.1304),
        ((25, 35, 5, 35), 0.2593),
    ],
)
def test_kappa_is_that_of_published_tables(table, kappa):
    found = error_consistency(*of_table(*table), CELLS[:1])
    assert found.kappa == pytest.approx(kappa, abs=5e-5)
    assert found.kappa == pytest.approx((found.observed - found.expected) / (1 - found.expected))


def test_the_interval_is_that_of_the_published_standard_error():
    """Fleiss, Cohen & Everitt (1969) give the standard error of kappa in a table."""
    table = (900, 400, 300, 2400)
    found = error_consistency(*of_table(*table), CELLS[:1])
    error = oracle.kappa_error([table[:2], table[2:]])
    assert found.interval.margin == pytest.approx(1.96 * error, rel=2e-3)


def test_the_oracle_of_the_standard_error_gives_what_its_textbook_prints():
    """Fleiss, Levin & Paik, Statistical Methods for Rates and Proportions, 3rd ed., table 18.1: 0.68 and 0.087."""
    table = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]
    assert oracle.kappa_error(table) == pytest.approx(0.087, abs=1e-3)


@given(st.integers(0, 10_000))
@settings(max_examples=15)
def test_over_cells_it_is_the_mean_of_kappas_with_the_error_of_leaving_out_images(seed):
    random = np.random.default_rng(seed)
    n = 60
    hard = random.random(n)
    one, other = ({cell: hard + random.random(n) / 2 < 0.8 for cell in CELLS} for _ in range(2))

    def mean_kappa(places):
        values = [oracle.kappa(one[cell][places].tolist(), other[cell][places].tolist()) for cell in CELLS]
        return sum(values) / len(values)

    found = error_consistency(one, other, CELLS)
    assert found.kappa == pytest.approx(mean_kappa(list(range(n))))
    assert (found.cells, found.undefined) == (2, ())
    reach = 1.96 * oracle.jackknife_error(mean_kappa, n)
    # Where few images differ the interval is wider than the jackknife's, never narrower.
    assert found.kappa - found.interval.low > 0.97 * reach
    assert found.interval.high == pytest.approx(min(1, 2 * found.kappa - found.interval.low))


def test_the_order_of_the_models_does_not_matter():
    one, other = of_table(20, 5, 10, 65)
    assert error_consistency(one, other, CELLS[:1]) == error_consistency(other, one, CELLS[:1])


def test_agreement_on_every_image_has_an_interval_with_a_width():
    found = error_consistency(*of_table(70, 0, 0, 30), CELLS[:1])
    assert found.kappa == pytest.approx(1)
    assert found.interval.low < 0.95
    assert found.interval.high == 1
    opposite = error_consistency(*of_table(0, 50, 50, 0), CELLS[:1])
    assert opposite.kappa == pytest.approx(-1)
    assert opposite.interval.low == -1


def test_where_both_are_always_right_kappa_is_undefined_and_the_cell_is_named():
    one, other = of_table(20, 5, 10, 65)
    perfect = np.ones(100, bool)
    one[CELLS[1]] = other[CELLS[1]] = perfect
    found = error_consistency(one, other, CELLS)
    assert (found.cells, found.undefined) == (1, (CELLS[1],))
    assert found.kappa == pytest.approx(0.625)
    assert found.observed == pytest.approx((0.85 + 1) / 2)
    nothing = error_consistency(one, other, CELLS[1:])
    assert (nothing.kappa, nothing.interval, nothing.observed, nothing.expected) == (None, None, 1, 1)
    both_wrong = error_consistency({CELLS[0]: ~perfect}, {CELLS[0]: ~perfect}, CELLS[:1])
    assert both_wrong.kappa is None


def test_a_missing_cell_is_said():
    one, other = of_table(20, 5, 10, 65)
    with pytest.raises(Unavailable, match="the first run lacks 1 of 2 cells: fog s2"):
        error_consistency(one, other, CELLS)
    one[CELLS[1]] = one[CELLS[0]]
    with pytest.raises(Unavailable, match="the second run lacks 1 of 2 cells"):
        error_consistency(one, other, CELLS)


def test_few_errors_still_have_a_kappa_and_common_ones_may_have_been_missed():
    found = error_consistency(*of_table(97, 1, 1, 1), CELLS[:1])
    assert found.kappa == pytest.approx(oracle.kappa([True] * 98 + [False] * 2, [True] * 97 + [False, True, False]))
    # Three errors of each model in 200 images, none of them common: independent models, or related ones by chance.
    none = error_consistency(*of_table(194, 3, 3, 0), CELLS[:1])
    assert none.kappa == pytest.approx(-0.015, abs=1e-3)
    assert none.interval.high > 0.5
    related = error_consistency(*of_table(19_400, 300, 300, 0), CELLS[:1])
    assert related.interval.high < 0.05, "with many images it would have shown"
