from dataclasses import replace

from ppbench.compare.comparison import compare
from ppbench.compare.difference import Difference, groups_of, is_adjusted
from ppbench.metrics.quantities import QUANTITIES
from ppbench.metrics.references import ALEXNET
from tests.compare.runs import NOISY, OLD


def test_no_two_differences_are_called_the_same():
    found = compare(OLD, NOISY, ALEXNET).differences
    assert len({difference.key for difference in found}) == len(found)


def test_a_difference_without_an_interval_has_a_change_and_is_not_shown():
    bare = Difference("calibration", "clean", "log_loss", "log_loss[clean]", 0.5, 0.75, "nats")
    assert bare.change == 0.25
    assert not bare.is_shown(0.05)
    assert replace(bare, value=None).change is None
    assert replace(bare, p=0.05).is_shown(0.051)
    assert not replace(bare, p=0.05).is_shown(0.05)


def test_groups_of_the_mean_error_have_no_prefix():
    assert groups_of(QUANTITIES["mean_error"]) == ("family", "corruption")
    assert groups_of(QUANTITIES["relative_mCE"]) == ("relative_ce_family", "relative_ce_corruption")
    assert [is_adjusted(group) for group in ("metric", "family", "ce_corruption", "calibration_family")] == [
        False, True, True, False,
    ]  # fmt: skip
