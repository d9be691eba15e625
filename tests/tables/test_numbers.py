import pytest

from ppbench.metrics.intervals import Interval, SequenceInterval, wilson
from ppbench.tables.numbers import decimals, margin, with_interval


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(76.7, 76.32, 77.08), "76.70 ± 0.38"),
        (wilson(1, 9).scaled(100), "11.1 [2.0, 43.5]"),  # ± 32.39 would leave 0 to 100
        (Interval(0.0, 0.0, 0.76), "0.00 [0.00, 0.76]"),
        (Interval(100.0, 100.0, 100.0), "100.00 ± 0.00"),
        (Interval(20.0, 16.37, 24.2), "20.00 [16.37, 24.20]"),
        (Interval(20.0, 19.09, 21.0), "20.00 ± 1.00"),  # a tenth is allowed
        (Interval(20.0, 19.1, 20.99), "20.00 ± 0.99"),
        (Interval(20.0, 19.2, 21.0), "20.00 [19.20, 21.00]"),
        (Interval(-4.0, -30.0, 1.0), "-4.0 [-30.0, 1.0]"),
        (Interval(99.5, 99.49, 99.516), "99.50 [99.49, 99.52]"),
    ],
)
def test_plus_minus_stands_only_where_both_sides_are_that_long(interval, text):
    assert with_interval(interval) == text
    assert text.endswith(margin(interval))


def test_sides_that_print_alike_have_one_margin():
    assert with_interval(Interval(99.0, 98.94, 99.02), 1) == "99.0 ± 0.1"
    assert margin(Interval(99.0, 97.5, 99.6), 1, "±") == "[97.5, 99.6]"
    assert margin(Interval(50.0, 45.1, 54.9), 1, "±") == "±4.9"


def test_of_a_sequence_the_interval_that_was_waited_for_stands_there():
    """A half-width of 3 around another middle: ± 3.10 would be another interval."""
    ends = 33.1, 30.2, 36.2
    assert with_interval(Interval(*ends)) == "33.10 ± 3.10"
    assert with_interval(SequenceInterval(*ends)) == "33.10 [30.20, 36.20]"
    assert with_interval(SequenceInterval(0.331, 0.301, 0.361).scaled(100)) == "33.10 ± 3.00"


def test_numbers_are_rounded_as_on_paper():
    assert decimals(100 * (1 - 0.6125), 1) == "38.8"
    assert decimals(-0.001, 2) == "0.00"
    assert decimals(-0.25, 1) == "-0.2"
