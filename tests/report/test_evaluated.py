"""What is printed after an evaluation, and what its runs are compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ppbench.errors import DataError
from ppbench.metrics.references import ALEXNET
from ppbench.report.evaluated import References, interrupted_line, stopping_line
from ppbench.run import MeasuredRun, Stopping, write_run
from tests.builders import make_run


def measured(name: str, **options: object) -> MeasuredRun:
    run = make_run(name=name, **options)
    return MeasuredRun(run, {cell.key: np.arange(cell.n) < cell.top1 for cell in run.cells})


def test_of_several_runs_the_first_is_the_baseline_and_the_normaliser() -> None:
    references = References.load(None, None)
    one = references.report([measured("a")])
    assert (one.runs[0].baseline, one.runs[0].normalizer) == (None, "none")
    both = references.report([measured("a"), measured("b")])
    assert [(run.baseline, run.normalizer) for run in both.runs] == [("a", "a"), ("a", "a")]


def test_a_given_baseline_goes_before_the_first_run(tmp_path: Path) -> None:
    write_run(tmp_path / "base.json", make_run(name="base"))
    references = References.load("alexnet", str(tmp_path / "base.json"))
    report = references.report([measured("a"), measured("b")])
    assert [(run.baseline, run.normalizer) for run in report.runs] == [("base", ALEXNET.source)] * 2
    with pytest.raises(DataError, match="cannot read"):
        References.load(None, str(tmp_path / "missing.json"))


def test_only_a_terminal_shows_several_runs_one_by_one_too() -> None:
    report = References.load(None, None).report([measured("a"), measured("b")])
    assert len(report.sheets()) == 1
    assert report.terminal_sheets()[-1] == report.sheets()[0]
    assert len(report.terminal_sheets()) > 2
    alone = References.load(None, None).report([measured("a")])
    assert alone.terminal_sheets() == alone.sheets()


def test_models_of_one_name_are_numbered() -> None:
    runs = [measured("best"), measured("best"), measured("net")]
    report = References.load(None, None).report(runs)
    assert [run.cell_errors.source for run in report.runs] == ["best", "best (2)", "net"]
    assert report.sheets()[0].header[1:] == ("best", "best (2)", "net")
    assert [result.run.model.name for result in runs] == ["best", "best", "net"]


def test_one_line_says_where_an_evaluation_stopped() -> None:
    run = make_run(name="net")
    assert stopping_line(run) == ""
    stopping = Stopping(
        metric="mean_error[c15,s1-5]", confidence=0.95, value=40, low=39.5, high=40.5, wanted="half-width 0.5",
        reached=True,
    )  # fmt: skip
    line = stopping_line(run.model_copy(update={"stopping": stopping}))
    assert line.startswith("net: half-width 0.5 after ")
    assert line.endswith("mean_error[c15,s1-5] 40.00, 95 % interval 39.50 to 40.50, valid at every look")


def test_after_an_interruption_nothing_of_unknown_weights_is_promised() -> None:
    known, other = make_run(name="net"), make_run(name="served")
    served = other.model_copy(update={"model": other.model.model_copy(update={"weights_sha256": None})})
    assert interrupted_line([known]).endswith("; the same command resumes from there")
    assert interrupted_line([known, served]).endswith(
        "; the same command starts over with served, whose weights are unknown"
    )
