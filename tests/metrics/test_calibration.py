import numpy as np
import pytest

from ppbench.check.baseline import update_baseline
from ppbench.metrics.calibration import calibration_metrics, expected_calibration_error, log_loss, top5_error
from ppbench.run import CALIBRATION_BINS, MICRO, CellCounts, write_run
from ppbench.vocabulary import CLEAN
from tests.builders import make_bits, make_cell, make_run, without_probabilities


def random_cell(n=400, seed=0):
    """A cell and the images it counts: confidences and whether they are right."""
    random = np.random.default_rng(seed)
    micro = random.integers(1, MICRO + 1, n)
    right = random.random(n) < 0.6
    index = -(-micro * CALIBRATION_BINS // MICRO) - 1

    def bins(weights):
        return tuple(np.bincount(index, weights, CALIBRATION_BINS).astype(int).tolist())

    top1 = int(right.sum())
    counts = {"bin_n": bins(None), "bin_top1": bins(right), "bin_confidence": bins(micro)}
    cell = CellCounts(corruption="fog", severity=1, n=n, top1=top1, top5=top1 + 40, nll_micronats=7 * MICRO, **counts)
    return cell, micro / MICRO, right


def test_calibration_error_equals_its_definition_image_by_image():
    cell, confidence, right = random_cell()
    total = 0.0
    for place in range(CALIBRATION_BINS):
        low, high = place / CALIBRATION_BINS, (place + 1) / CALIBRATION_BINS
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(cell) == pytest.approx(total, abs=1e-12)


def test_calibration_error_of_simple_cells():
    assert expected_calibration_error(make_cell("fog", 1, top1=900, n=1000, confidence=0.9)) == pytest.approx(0)
    assert expected_calibration_error(make_cell("fog", 1, top1=0, n=10, confidence=1.0)) == 1
    assert expected_calibration_error(make_cell("fog", 1, top1=6, n=10, confidence=0.8)) == pytest.approx(0.2)


def test_log_loss_and_top5_error_are_ratios_of_the_counts():
    cell, _, _ = random_cell()
    assert log_loss(cell) == pytest.approx(7 / 400)
    assert top5_error(cell) == pytest.approx(1 - (cell.top1 + 40) / 400)


def test_a_run_gives_each_measure_clean_and_over_its_cells():
    errors = {(CLEAN, 0): 0.1, ("fog", 1): 0.3, ("fog", 2): 0.5}
    run = make_run(errors, corruptions=("fog",), severities=(1, 2), n=100, total=1000)
    metrics = {metric.label: metric.value for metric in calibration_metrics(run)}
    assert metrics == pytest.approx(
        {
            "expected_calibration_error[clean,100 of 1000]": 0,
            "expected_calibration_error[fog,s1-2,100 of 1000]": 30,
            "log_loss[clean,100 of 1000]": 0.5,
            "log_loss[fog,s1-2,100 of 1000]": 0.5,
            "top5_error[clean,100 of 1000]": 10,
            "top5_error[fog,s1-2,100 of 1000]": 40,
        },
        abs=1e-9,
    )


def test_a_missing_cell_is_a_reason():
    run = make_run({("fog", 1): 0.5}, corruptions=("fog",), severities=(1, 2))
    assert {metric.reason for metric in calibration_metrics(run)} == {
        "net lacks 1 of 1 cells",
        "net lacks 1 of 2 cells",
    }


def test_predictions_that_came_as_labels_have_no_calibration():
    metrics = calibration_metrics(make_run(labels_only=True))
    assert {metric.value for metric in metrics} == {None}
    (reason,) = {metric.reason for metric in metrics}
    assert (
        reason == "no probabilities: the predictions were labels, or this is a baseline, which keeps only top-1 counts"
    )


def test_one_cell_without_probabilities_takes_the_mean_with_it():
    run = make_run(corruptions=("fog",), severities=(1, 2))
    clean, first, second = run.cells
    run = run.model_copy(update={"cells": (clean, first, without_probabilities(second))})
    values = [metric.value for metric in calibration_metrics(run)]
    assert [value is None for value in values] == [False, True] * 3


def test_the_five_highest_may_be_unknown_alone():
    run = make_run()
    run = run.model_copy(update={"cells": tuple(cell.model_copy(update={"top5": None}) for cell in run.cells)})
    absent = {metric.name: metric.reason for metric in calibration_metrics(run) if metric.value is None}
    assert absent == {"top5_error": "five classes or fewer compete, or the five highest outputs are unknown"}


def test_a_baseline_is_not_said_to_come_of_labels_alone(tmp_path):
    run = make_run()
    write_run(tmp_path / "run.json", run, make_bits(run))
    baseline = update_baseline(tmp_path / "run.json", tmp_path / "baseline.json")
    (reason,) = {metric.reason for metric in calibration_metrics(baseline)}
    assert "or this is a baseline, which keeps only top-1 counts" in reason
