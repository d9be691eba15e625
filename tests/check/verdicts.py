"""Verdicts to test with: of a made-up baseline, and of points lost by image."""

import numpy as np

from ppbench.check.judge import check, judge
from ppbench.check.report import CheckReport
from ppbench.check.rules import Rule
from ppbench.check.verdict import Verdict
from ppbench.cli.output import Format, written
from ppbench.metrics.paired import paired_test
from tests.builders import make_errors
from tests.compare.runs import make_measured, shifted


def as_dict(verdict):
    return CheckReport(verdict).as_dict()


def export(verdict, form):
    return written(CheckReport(verdict), Format(form))


ERRORS = make_errors(0)


FORMS = ("json", "csv", "markdown", "latex")


OLD = make_measured(ERRORS, name="old", n=500)


def verdict_of(run, rules, **options):
    return check(run, OLD, rules, **options)


def newer(points, **options):
    return make_measured(shifted(ERRORS, "noise", points), name="new", seed=1, n=500, weights="1", **options)


def judged(drop, points, **options):
    """The verdict of one rule over these ``(n,)`` points lost by image."""
    rule = Rule("mean", points, {})
    outcomes = judge([rule], [drop], [paired_test(drop)], 0.95)
    return Verdict("new", "old", len(drop), 0.95, tuple(outcomes), **options)


def lost(mean, error):
    """``(400,)``: points lost by image, with this mean and standard error."""
    random = np.random.default_rng(0)
    drop = random.normal(0, 1, 400)
    return mean + (drop - drop.mean()) * error * 20 / drop.std(ddof=1)
