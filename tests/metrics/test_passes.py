"""Stochastic models: the metric of each pass, and an interval that covers images and passes."""

import statistics

import numpy as np
import pytest

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.covariance import ErrorCovariance
from ppbench.metrics.intervals import wilson
from ppbench.metrics.passes import errors_by_pass, with_spread
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
