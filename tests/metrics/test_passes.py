"""Stochastic models: the metric of each pass, and an interval that covers images and passes."""

import statistics
from dataclasses import replace

import numpy as np
import pytest

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.covariance import ErrorCovariance, RunIntervals
from ppbench.metrics.intervals import wilson
from ppbench.metrics.passes import by_pass, errors_by_pass, passes_note, with_spread
from ppbench.metrics.per_image import PerImage
from ppbench.metrics.quantities import MEAN_ERROR, QUANTITIES, case_of
from tests.builders import make_run
from tests.trial_runs import passes_run

RUN = passes_run(n=40)
ERRORS = CellErrors.from_run(RUN.run, RUN.bits, trials=RUN.trials)


def test_the_value_is_the_mean_of_the_passes_and_the_spread_their_deviation():
    case = case_of(ERRORS)
    each = [
        100 * statistics.fmean(1 - cell.right_by_pass[k] / 40 for cell in RUN.run.cells if cell.severity)
        for k in range(4)
    ]
    metric = with_spread(MEAN_ERROR.metric(case), MEAN_ERROR, case)
    assert metric.label == "mean_error[fog+frost,s1,3,4 passes]"
    assert metric.value == pytest.approx(statistics.fmean(each))
    assert metric.spread == pytest.approx(statistics.stdev(each))
    clean = with_spread(QUANTITIES["clean_error"].metric(case), QUANTITIES["clean_error"], case)
    assert clean.spread == pytest.approx(statistics.stdev(100 - 100 * r / 40 for r in RUN.run.cells[0].right_by_pass))


def test_passes_of_metrics_without_a_value_or_of_single_passes_have_no_spread():
    case = case_of(ERRORS)
    mce = QUANTITIES["mCE"]
    assert with_spread(mce.metric(case), mce, case).spread is None
    plain = case_of(CellErrors.from_run(make_run()))
    assert errors_by_pass(plain.model) == []
    assert with_spread(MEAN_ERROR.metric(plain), MEAN_ERROR, plain).spread is None
    part = RUN.of_images(np.arange(10), "3" * 64)
    assert errors_by_pass(CellErrors.from_run(part.run)) == []
    assert by_pass(CellErrors.from_run(part.run)) is by_pass(plain.model) is None
    assert by_pass(CellErrors.from_run(passes_run(passes=1).run)) is None
    assert by_pass(ERRORS).weighted({("fog", 3): 1.0}).tolist() == [
        pytest.approx(1 - right / 40) for right in RUN.run.cell("fog", 3).right_by_pass
    ]


@pytest.mark.parametrize("passes", [1, 4, 16])
def test_the_interval_covers_images_and_passes(passes):
    """Images of other difficulty and other passes at once, 600 times: a plain count of trials would be too sure."""
    random, n, covered, counted = np.random.default_rng(passes), 150, 0, 0
    cell = ("fog", 1)
    for _ in range(600):
        wrong = random.binomial(passes, random.beta(0.6, 1.4, n))
        images = PerImage("net", (wrong / passes).astype(np.float32)[None], {cell: 0})
        interval = ErrorCovariance([images]).interval(MEAN_ERROR, 100 * wrong.mean() / passes, [{cell: 1.0}], 0.95)
        covered += interval.low <= 30 <= interval.high
        plain = wilson(float(wrong.sum()), n * passes)
        counted += plain.low <= 0.3 <= plain.high
    assert 0.93 <= covered / 600 <= 0.975
    if passes == 16:
        assert counted / 600 < 0.6


def test_where_images_share_draws_the_interval_has_the_variance_between_passes():
    """All images are a little harder in one pass than in another, 400 times: s / sqrt(n) alone would be too sure."""
    random, n, passes, covered, alone = np.random.default_rng(1), 150, 8, 0, 0
    for _ in range(400):
        shift = random.normal(0, 0.08, passes).clip(-0.3, 0.3)
        wrong = random.random((passes, n)) < random.uniform(0.3, 0.5, n) + shift[:, None]
        found = ErrorCovariance([PerImage("net", wrong.mean(0, dtype=np.float32)[None], {("fog", 1): 0})])
        spread = statistics.stdev(100 * wrong.mean(1))
        for between in (None, (spread, passes)):
            interval = found.interval(MEAN_ERROR, 100 * wrong.mean(), [{("fog", 1): 1.0}], 0.95, between)
            covers = interval.low <= 40 <= interval.high
            covered, alone = (covered, alone + covers) if between is None else (covered + covers, alone)
    assert 0.93 <= covered / 400 <= 0.99
    assert alone / 400 < 0.85


def test_a_baseline_that_shares_the_draws_takes_its_part_of_the_variance_away():
    """R_net of a network against one that is wrong by as much more in each pass: the passes cancel."""
    quantity, shared = QUANTITIES["R_net"], replace(ERRORS, shares_draws=True)
    assert shared.per_image is not None
    twin = replace(shared, per_image=replace(shared.per_image))
    other = CellErrors.from_run((run := passes_run("other", n=40)).run, run.bits, trials=run.trials)
    margins = []
    for baseline in (twin, other):
        intervals = RunIntervals(shared, shared.per_image, None, baseline, 0.95)
        case = case_of(shared, None, baseline)
        margins.append(intervals.with_interval(quantity, case, quantity.metric(case)).interval.margin)
    assert margins[0] == pytest.approx(0, abs=1e-6)
    assert margins[1] > 1


def test_a_run_whose_images_share_draws_has_wider_intervals_and_says_so():
    shared = replace(ERRORS, shares_draws=True)
    for quantity in (MEAN_ERROR, QUANTITIES["clean_error"]):
        found = []
        for errors in (ERRORS, shared):
            case = case_of(errors)
            assert errors.per_image is not None
            intervals = RunIntervals(errors, errors.per_image, None, None, 0.95)
            found.append(intervals.with_interval(quantity, case, quantity.metric(case)))
        own, wider = (metric.interval for metric in found)
        spread = with_spread(found[0], quantity, case_of(ERRORS)).spread
        # Wilson's interval is nearly the normal one here, and Student's quantile is at least as large.
        least = 1.9 * np.hypot(own.margin / 1.96, spread / 4**0.5)
        assert wider.low < own.low < own.high < wider.high
        assert wider.margin > 0.9 * least
        assert wider.value == own.value
    assert passes_note(ERRORS, spread=True).endswith("other images and other passes.")
    assert passes_note(shared, spread=True).endswith("the variance between passes is added.")
    assert "not about other passes" in passes_note(shared, spread=False)
