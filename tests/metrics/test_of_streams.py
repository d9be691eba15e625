"""The metrics of streams: values, labels, and intervals over the points of the walk."""

from __future__ import annotations

import numpy as np
import pytest

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.covariance import ErrorCovariance
from ppbench.metrics.of_streams import OF_STREAMS
from ppbench.metrics.per_image import PerImage
from ppbench.metrics.points import FEWEST_POINTS, by_point, interval_of_points, point_numbers
from ppbench.metrics.quantities import case_of
from ppbench.metrics.without_labels import has_labels, plain_of, quantities_of, wording
from ppbench.report.summary import summarise
from tests.streams.runs import ADAPTED, SPEED, stream_run, uneven

CELL = ("ccc", 1)


def test_accuracy_and_error_of_all_frames() -> None:
    right = uneven()
    errors = CellErrors.from_run(stream_run(right))
    accuracy, error = (quantity.metric(case_of(errors)) for quantity in OF_STREAMS.values())
    assert accuracy.value == pytest.approx(100 * right.mean())
    assert error.value == pytest.approx(100 - 100 * right.mean())
    stream = "ccc:easy,10 a point,calibration cccccccc,seed 43,400 of 7500000"
    assert (accuracy.label, error.label) == (f"stream_accuracy[{stream}]", f"stream_error[{stream}]")
    adapted = CellErrors.from_run(stream_run(right, adaptation=ADAPTED))
    label = OF_STREAMS["stream_error"].metric(case_of(adapted)).label
    assert label == f"stream_error[{stream},batchnorm-adapted in batches of 64]"


def test_a_stream_has_its_own_vocabulary() -> None:
    protocol = stream_run(uneven()).protocol
    assert list(quantities_of(protocol)) == ["stream_accuracy", "stream_error"]
    assert plain_of(protocol).name == "stream_error"
    assert not has_labels(protocol)
    assert wording(protocol).kept == "accuracy"


def test_the_mean_over_points_is_that_over_frames() -> None:
    right = uneven()[:-3]  # the last point has seven frames
    values = by_point(~right, stream_run(right).protocol)
    assert len(values) == 40
    assert values.mean() == pytest.approx(1 - right.mean())
    whole = by_point(~right[:390], stream_run(right[:390]).protocol)
    assert whole == pytest.approx(1 - right[:390].reshape(39, SPEED).mean(1))


def test_unreadable_frames_do_not_shift_points() -> None:
    right = uneven()[:28]
    protocol = stream_run(right, unreadable=("ccc/3", "ccc/12")).protocol
    expected = np.delete(np.arange(30), [3, 12]) // SPEED
    assert (point_numbers(protocol) == expected).all()


def test_intervals_are_over_points_as_simulated_streams_spread() -> None:
    """The standard error of the mean is that of streams whose points are drawn again."""
    means, widths = [], []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        shares = draw.uniform(0.1, 0.7, 60)
        right = (draw.random((60, SPEED)) < shares[:, None]).ravel()
        run = stream_run(right)
        images = PerImage.from_run(run, {CELL: right})
        assert images.n == 60
        means.append(right.mean())
        widths.append(ErrorCovariance([images]).deviation({CELL: 1.0}) / 60**0.5)
    assert np.mean(widths) == pytest.approx(np.std(means), rel=0.15)
    by_frame = np.mean([np.sqrt(mean * (1 - mean) / 600) for mean in means])
    assert np.mean(widths) > 1.2 * by_frame


def test_a_report_says_what_its_intervals_are_about() -> None:
    right = uneven()
    summary = summarise(stream_run(right), bits={CELL: right})
    accuracy = summary.metrics[0]
    assert accuracy.interval is not None
    assert accuracy.interval.low < 100 * right.mean() < accuracy.interval.high
    assert any("over the 40 points of the walk, as if they were drawn again" in note for note in summary.interval_notes)
    assert summary.calibration == ()


def test_a_run_of_one_point_says_why_it_has_no_interval() -> None:
    right = uneven(points=1)
    summary = summarise(stream_run(right), bits={CELL: right})
    assert summary.interval_notes == ("No intervals: the run has 1 point of the walk alone.",)


def test_intervals_of_a_few_points_cover_as_they_say() -> None:
    """The normal quantile would cover 91 %."""
    draw = np.random.default_rng(0)
    found = [interval_of_points(shares, shares.mean(), 0.95) for shares in draw.normal(0.4, 0.05, (4000, 8))]
    covered = np.mean([one is not None and one.low <= 0.4 <= one.high for one in found])
    assert covered == pytest.approx(0.95, abs=0.012)
    assert interval_of_points(draw.random(FEWEST_POINTS - 1), 0.5, 0.95) is None
