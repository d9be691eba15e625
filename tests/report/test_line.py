from __future__ import annotations

from ppbench.run import Adaptation, MeasuredRun
from tests.builders import make_errors, make_run
from tests.figures.runs import HOSTILE


def test_a_run_prints_itself_in_one_line() -> None:
    run = make_run({("clean", 0): 0.1, ("fog", 1): 0.25, ("fog", 2): 0.35}, corruptions=("fog",), severities=(1, 2))
    words = "net on fashion-mnist: all 1000 images, 3 cells, clean_error 10.00 %, mean_error 30.00 %"
    assert str(run) == words
    assert repr(run) == f"<Run {words}>"
    assert repr(MeasuredRun(run, {})) == f"<MeasuredRun {run!s}>"


def test_what_is_not_known_is_left_out() -> None:
    some = {cell: error for cell, error in make_errors(0).items() if cell[0] in ("fog", "snow")}
    cut = make_run(some, adaptation=Adaptation(), total=5000)
    assert str(cut) == ("net (batchnorm-adapted) on fashion-mnist: 1000 of 5000 images, 10 of 76 cells, interrupted")
    steady = make_run({("clean", 0): 0.0, ("fog", 1): 0.2}, corruptions=("fog",), severities=(1,), labels="predicted")
    assert str(steady).endswith("2 cells, flip_rate 20.00 %")


def test_a_hostile_name_is_escaped() -> None:
    assert not set("\x1b\n\u202e") & set(repr(make_run(name=HOSTILE)))
