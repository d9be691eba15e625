import pytest

from ppbench.metrics.intervals import Interval, SequenceInterval, wilson
from ppbench.metrics.metric import Metric
from ppbench.tables.numbers import decimals, margin, metric_text, reason_notes, signed, with_interval


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


def test_no_minus_before_zero():
    assert (signed(-0.01), signed(0.0), signed(-0.06), signed(0.06)) == ("+0.0", "+0.0", "-0.1", "+0.1")


def test_what_is_not_known_is_not_available():
    assert decimals(None, 2) == "n/a"
    assert metric_text(None) == "n/a"
    assert metric_text(Metric("mCE", "mCE", 76.7, "%")) == "76.70"
    assert metric_text(Metric("mCE", "mCE", 76.7, "%", interval=Interval(76.7, 76.32, 77.08))) == "76.70 ± 0.38"


def test_each_reason_is_told_once_with_what_it_is_of():
    reasons = [("mCE", "no normaliser"), ("mean_error", None), ("R_net", "no baseline, …"), ("CE", "no normaliser")]
    assert reason_notes(reasons) == ["n/a: mCE, CE: no normaliser.", "n/a: R_net: no baseline, …"]
