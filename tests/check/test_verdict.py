from xml.etree import ElementTree

import pytest

from ppbench.check.junit import to_junit
from ppbench.check.strictness import FailOn, OnPowerless, Strictness
from ppbench.check.verdict import Status, outcome_text
from ppbench.metrics.paired import images_needed
from tests.check.verdicts import OLD, as_dict, export, judged, lost, newer, verdict_of


def test_an_undecided_rule_is_counted_once_and_is_a_warning():
    verdict = verdict_of(newer(0.4), {"gaussian_noise/3": 0.0})
    assert verdict.warnings == ("gaussian_noise/3: undecided, but tolerated",)
    assert as_dict(verdict)["warnings"] == list(verdict.warnings)
    assert "3: undecided, but tolerated" in export(verdict, "markdown")
    assert verdict.headline == "NOT DECIDED (not failed): new against old: 1 rule, undecided (500 images)"
    assert (verdict.exit_code, as_dict(verdict)["verdict"]) == (0, "pass")
    strict = verdict_of(newer(0.4), {"gaussian_noise/3": 0.0}, strict=Strictness(FailOn.UNDECIDED))
    assert (strict.exit_code, strict.warnings) == (1, ())
    assert strict.headline == "FAIL: new against old: 1 rule, undecided, which fails (500 images)"


def test_a_drop_of_three_where_one_is_allowed_says_how_many_images_tell_whether_it_is():
    (outcome,) = judged(lost(3.0, 1.2), 1.0).outcomes
    assert outcome.status is Status.PERHAPS
    assert outcome.images_needed == images_needed(1.2 * 20, 2.0)
    assert "This may be allowed: about" in outcome_text(outcome, 0.95)


@pytest.mark.parametrize(
    ("on_powerless", "code", "warned"), [("pass", 0, False), ("warn", 0, True), ("fail", 1, False)]
)
def test_a_pass_whose_images_could_only_have_shown_far_more_is_powerless(on_powerless, code, warned):
    """With a standard error of 1.5 points 80 % of the drops found are above 4.2, and 0.5 is allowed."""
    verdict = judged(lost(0.1, 1.5), 0.5, strictness=Strictness(on_powerless=OnPowerless(on_powerless)))
    (outcome,) = verdict.outcomes
    assert (outcome.status, outcome.is_powerless, outcome.label) == (Status.PASS, True, "pass (underpowered)")
    assert outcome.detectable == pytest.approx(4.2, abs=0.05)
    assert outcome.detectable_worse == pytest.approx(4.7, abs=0.05)
    assert (verdict.exit_code, bool(verdict.warnings)) == (code, warned)
    assert as_dict(verdict)["rules"][0]["powerless"] is True
    assert verdict.headline.endswith(f"1 rule, passed (underpowered){', which fails' if code else ''} (400 images)")
    suite = ElementTree.fromstring(to_junit(verdict)).find("testsuite")
    assert int(suite.get("failures")) == code
    assert "pass (underpowered)" in export(verdict, "markdown")


@pytest.mark.parametrize(("error", "allowed", "powerless"), [(0.3, 0.0, False), (0.4, 0.0, True), (0.7, 1.0, False)])
def test_far_above_the_tolerance_is_twice_it_and_a_point_more(error, allowed, powerless):
    assert judged(lost(-0.1, error), allowed).outcomes[0].is_powerless is powerless


def test_a_pass_whose_whole_interval_is_within_the_tolerance_is_a_plain_one():
    """These images, too, would have shown only a drop of 4.2 points, but the gain is certain."""
    (outcome,) = judged(lost(-5.0, 1.5), 0.5).outcomes
    assert outcome.detectable > 4
    assert outcome.adjusted.high < 0.5
    assert outcome.label == "pass"


def test_a_drop_that_no_model_can_have_is_not_promised_to_be_found():
    (outcome,) = judged(lost(0.0, 1.5), 99.0).outcomes
    assert outcome.detectable_worse is None
    assert not outcome.is_powerless


def test_the_same_weights_are_warned_of():
    assert "same weights" in verdict_of(OLD, {"mean": 0.5}).warnings[0]
    assert verdict_of(newer(0), {"mean": 0.5}).warnings == ()
