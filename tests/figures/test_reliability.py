from __future__ import annotations

import pytest

from ppbench.figures.reliability import Reliability
from ppbench.metrics.intervals import wilson
from ppbench.report.run_data import run_dict
from ppbench.report.summary import summarise
from ppbench.run import CALIBRATION_BINS
from tests.builders import make_run
from tests.figures.runs import calibrated, with_gaps

CONTENT = Reliability.of(calibrated())


def test_the_panels_are_the_clean_images_and_each_severity() -> None:
    assert [panel.severity for panel in CONTENT.panels] == [0, 1, 2, 3, 4, 5]
    assert [panel.cells for panel in CONTENT.panels] == [1, 4, 4, 4, 4, 4]
    assert [panel.n for panel in CONTENT.panels] == [400, *[1600] * 5]


def test_calibration_errors_are_those_of_show() -> None:
    clean, corrupted = run_dict(summarise(calibrated()))["calibration"][:2]
    assert CONTENT.panels[0].error.label == clean["label"]
    assert CONTENT.panels[0].error.value == pytest.approx(clean["value"], abs=1e-9)
    values = [panel.error.value or 0 for panel in CONTENT.panels[1:]]
    assert sum(values) / 5 == pytest.approx(corrupted["value"], abs=1e-9)
    assert CONTENT.panels[3].error.label == corrupted["label"].replace("s1-5", "s3")


def test_bins_pool_the_counts_of_their_cells() -> None:
    run = calibrated()
    for panel in CONTENT.panels:
        cells = [cell for cell in run.cells if cell.severity == panel.severity]
        for place, one in enumerate(panel.bins):
            n = sum(cell.bin_n[place] for cell in cells if cell.bin_n)
            right = sum(cell.bin_top1[place] for cell in cells if cell.bin_top1)
            assert one.n == n
            assert (one.low, one.high) == (place / CALIBRATION_BINS, (place + 1) / CALIBRATION_BINS)
            if n == 0:
                assert (one.confidence, one.accuracy.value) == (None, None)
                continue
            assert one.accuracy.value == pytest.approx(100 * right / n)
            assert one.low < (one.confidence or 0) <= one.high


def test_only_bins_of_a_single_cell_have_an_interval() -> None:
    clean, corrupted = CONTENT.panels[:2]
    assert all((one.accuracy.interval is not None) == (one.n > 0) for one in clean.bins)
    assert all(one.accuracy.interval is None for one in corrupted.bins)
    last = clean.bins[-1]
    assert last.accuracy.interval == wilson(last.n * (last.accuracy.value or 0) / 100, last.n).scaled(100)


def test_a_panel_with_a_missing_cell_is_empty_and_says_why() -> None:
    content = Reliability.of(with_gaps().run)
    empty = {panel.severity: panel.error.reason for panel in content.panels if not panel.bins}
    assert list(empty) == [3, 4, 5]
    assert empty[3] == "gaps lacks 1 of 4 cells"
    assert content.has_values


def test_a_run_without_probabilities_says_so_in_each_panel() -> None:
    content = Reliability.of(make_run(labels_only=True))
    assert not content.has_values
    (reason,) = content.reasons
    assert reason.startswith("no probabilities")


def test_a_run_without_clean_images_has_the_other_panels() -> None:
    run = calibrated()
    content = Reliability.of(run.model_copy(update={"cells": run.cells[1:]}), name="other")
    assert [bool(panel.bins) for panel in content.panels] == [False, *[True] * 5]
    assert content.run == "other"
