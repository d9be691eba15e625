import csv
import io
from xml.etree import ElementTree

import numpy as np
import pytest

from ppbench.check.junit import to_junit
from tests.check.verdicts import FORMS, as_dict, export, judged, lost, newer, verdict_of

WORDS = ("pass", "undecided", "worse, perhaps allowed", "worse than allowed")
VALUES = ("pass", "undecided", "worse, perhaps within the allowance", "worse than allowed")
"""The words in JSON, CSV and the types of JUnit, which scripts read."""


@pytest.mark.parametrize(("mean", "error", "word"), [(0, 0.1, 0), (2.5, 1.5, 1), (2.1, 1.0, 2), (4.5, 1.0, 3)])
def test_every_output_says_the_same_word(mean, error, word):
    verdict = judged(lost(mean, error), 2.0)
    outputs = [verdict.text, verdict.headline, to_junit(verdict), *(export(verdict, f) for f in FORMS)]
    for text in outputs:
        said = [place for place in (1, 2, 3) if WORDS[place] in text.lower() or VALUES[place] in text.lower()]
        assert said == ([word] if word else []), text
    for text in (verdict.text, verdict.headline, export(verdict, "markdown"), export(verdict, "latex")):
        assert (VALUES[word] in text.lower()) is (VALUES[word] == WORDS[word]), "people read words alone"
    rows = list(csv.DictReader(io.StringIO(export(verdict, "csv"))))
    assert rows[0]["status"] == as_dict(verdict)["rules"][0]["status"] == VALUES[word]


def test_the_verdict_its_json_and_its_junit_agree():
    verdict = verdict_of(newer(2.0), {"noise": 1.0, "gaussian_noise/1": 0.0, "clean": 1.0, "blur": 50.0})
    content = as_dict(verdict)
    assert content["exit_code"] == verdict.exit_code == 1
    suite = ElementTree.fromstring(to_junit(verdict)).find("testsuite")
    assert int(suite.get("tests")) == len(suite.findall("testcase")) == 4
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure")) == len(verdict.failed)
    open_ones = [rule for rule in content["rules"] if rule["status"] == "undecided"]
    assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped")) == len(open_ones)
    assert suite.find("system-out").text == verdict.text
    for form in ("csv", "markdown", "latex"):
        assert "noise" in export(verdict, form)


def test_the_adjusted_interval_has_each_rules_share_of_the_error():
    rules = {"noise": 1.0, "gaussian_noise/1": 0.0, "clean": 1.0, "blur": 50.0}
    verdict = verdict_of(newer(2.0), rules)
    strict = verdict_of(newer(2.0), {"noise": 1.0}, confidence=1 - 0.05 / len(rules))
    found = as_dict(verdict)["rules"]
    assert found[0]["adjusted_low"] == pytest.approx(strict.outcomes[0].drop.low)
    assert found[0]["adjusted_high"] == pytest.approx(strict.outcomes[0].drop.high)
    assert all(rule["adjusted_low"] < rule["low"] < rule["high"] < rule["adjusted_high"] for rule in found)
    (alone,) = as_dict(verdict_of(newer(2.0), {"noise": 1.0}))["rules"]
    assert (alone["adjusted_low"], alone["adjusted_high"]) == (alone["low"], alone["high"])


def test_a_drop_that_no_image_can_have_is_not_said_to_be_detected():
    verdict = judged(np.zeros(4), 2.0)
    (outcome,) = verdict.outcomes
    assert outcome.detectable > 100
    assert outcome.is_powerless
    assert as_dict(verdict)["rules"][0]["detectable"] is None
    assert next(csv.DictReader(io.StringIO(export(verdict, "csv"))))["detectable"] == ""
    assert "n/a" in export(verdict, "markdown")
