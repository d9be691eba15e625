import pytest

from ppbench.check.judge import check_files
from ppbench.check.strictness import FailOn, OnPowerless, Strictness, strictness
from ppbench.errors import UsageError
from tests.check.verdicts import OLD
from tests.compare.runs import write_measured


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_inconclusive": "maybe"}, "on-inconclusive maybe is not allowed"),
        ({"fail_on": "wors"}, "unknown fail-on 'wors'"),
        ({"on_powerless": "ignore"}, "unknown on-powerless 'ignore'"),
        ({"fail_on": "worse", "on_inconclusive": "fail"}, "fail-on and on-inconclusive are both given"),
    ],
)
def test_words_of_strictness_that_are_none(tmp_path, options, message):
    run = write_measured(tmp_path / "run.json", OLD)
    with pytest.raises(UsageError, match=message):
        check_files(run, run, {"mean": 1.0}, **options)


def test_the_older_name_of_fail_on_still_counts():
    assert strictness() == strictness(on_inconclusive="pass") == Strictness(FailOn.WORSE, OnPowerless.WARN)
    assert strictness(on_inconclusive="fail").fail_on is FailOn.UNDECIDED
