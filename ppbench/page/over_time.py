"""Accuracy over time in the report of runs on a stream."""

from __future__ import annotations

from ppbench.errors import DataError
from ppbench.figures.over_time import OverTime
from ppbench.figures.svg_stream import over_time_svg
from ppbench.page.inputs import PageInputs
from ppbench.run import read_bits


def over_time(inputs: PageInputs) -> str:
    """Draw the runs and the baseline over the frames of their stream; empty if one of them has no bits."""
    shown = [*inputs.runs, *([inputs.drawn_baseline] if inputs.drawn_baseline else [])]
    try:
        bits = [read_bits(run.path, run.run) for run in shown]
    except DataError:
        return ""
    names, runs = [run.name for run in shown], [run.run for run in shown]
    return over_time_svg(OverTime.of(runs, bits, names, inputs.confidence, inputs.allow), "over-time")
