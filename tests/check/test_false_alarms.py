"""How often chance alone breaks a rule: two models of equal accuracy, 15 rules, no tolerance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import betaincinv

from ppbench.check.judge import judge
from ppbench.check.rules import Rule
from ppbench.check.verdict import Status
from ppbench.metrics.paired import cell_test, paired_test
from tests.check.simulate import RULES as RULES_OF_ALL_KINDS
from tests.check.simulate import alarms, verdicts

REPLICATES = 400
RULES = [Rule(f"corruption {place}", 0.0, {}) for place in range(15)]


@pytest.mark.parametrize(
    ("n", "error", "flips", "cells"), [(500, 0.3, 0.06, 5), (200, 0.06, 0.02, 5), (500, 0.3, 0.06, 1)]
)
def test_false_alarms_over_15_rules_are_at_most_5_percent(n, error, flips, cells):
    random = np.random.default_rng([n, cells])
    alarms = 0
    for _ in range(REPLICATES):
        # Cells share what makes an image hard, and the two models disagree where a coin says so.
        hardness = random.random((1, 1, n), np.float32)
        cell = random.random((15, cells, n), np.float32)
        base = 0.7 * hardness + 0.3 * cell < np.quantile(0.7 * hardness[0, 0] + 0.15, error)
        wrong = [base ^ (random.random(base.shape, np.float32) < flips) for _ in range(2)]
        drops = 100 * (wrong[1].astype(np.float32) - wrong[0]).mean(axis=1, dtype=np.float64)
        if cells == 1:
            tests = [cell_test(~one[0], ~other[0]) for one, other in zip(*wrong, strict=True)]
        else:
            tests = [paired_test(drop) for drop in drops]
        outcomes = judge(RULES, list(drops), tests, 0.95)
        alarms += any(outcome.status is Status.WORSE for outcome in outcomes)
    assert alarms / REPLICATES <= 0.05


@pytest.mark.parametrize(("images", "same", "easier"), [(500, 0.9, 1.0), (200, 0.99, 0.15)], ids=["ordinary", "sparse"])
def test_a_check_of_15_rules_of_all_kinds_fails_by_chance_in_at_most_5_percent(images, same, easier):
    """Through the whole of `check`: the mean, clean, families, corruptions and cells share their images.

    A true rate of 5 % passes with a probability of 1 %: the binomial bound is asked for, not the rate that was seen.
    """
    runs = 400
    assert len(RULES_OF_ALL_KINDS) == 15
    found = alarms(runs, images, same=same, easier=easier)
    failed = round(found.any_rule * runs)
    assert betaincinv(failed + 1, runs - failed, 0.99) <= 0.05, "Clopper-Pearson: the rate is below, with 99 %"
    # Of 400 two: a rule that fails 1.5 % of the builds passes with a probability of 6 %.
    assert max(found.by_rule.values()) <= 0.005


def test_a_check_whose_baseline_is_better_does_fail():
    """Or the rates above would say nothing."""
    assert alarms(40, 500, drop=6.0).any_rule > 0.9


@pytest.mark.parametrize(("rules", "runs"), [({"mean": 2.0}, 150), (dict.fromkeys(RULES_OF_ALL_KINDS, 2.0), 60)])
def test_a_drop_just_within_the_tolerance_fails_for_chance_in_at_most_5_percent(rules, runs):
    """1.9 points of 2 allowed. Where the test was of no drop at all a third of these builds failed."""
    found = verdicts(runs, 500, 1.9, rules).rates
    assert found[Status.WORSE] <= 0.05
    assert found[Status.PERHAPS] > 0.1, "or this is no test: these are what failed"


def test_a_drop_far_beyond_the_tolerance_is_found():
    assert verdicts(40, 500, 5.0, {"mean": 2.0}).rates[Status.WORSE] > 0.8
