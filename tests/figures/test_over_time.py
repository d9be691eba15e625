"""Accuracy over a stream as a figure: its windows, and which runs may be in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ppbench.errors import NotComparableError, UsageError
from ppbench.figures.kinds import PlotRequest
from ppbench.figures.over_time import OverTime
from ppbench.run import StreamRecord
from tests.streams.runs import ADAPTED, uneven, write_stream_run


def drawn(*paths: Path) -> OverTime:
    content = PlotRequest("stream", paths).content()
    assert isinstance(content, OverTime)
    return content


def test_windows_are_whole_points_and_cover_all_frames(tmp_path: Path) -> None:
    right = uneven(points=50)
    (line,) = drawn(write_stream_run(tmp_path / "a.json", right)).lines
    assert len(line.windows) == 6
    assert (line.windows[0].first, line.windows[-1].last) == (0, 499)
    for one, other in zip(line.windows, line.windows[1:], strict=False):
        assert other.first == one.last + 1
        assert other.first % 10 == 0
    for window in line.windows:
        inside = right[window.first : window.last + 1]
        assert window.accuracy == pytest.approx(100 * inside.mean())
        assert window.interval is not None
        assert window.interval.low < window.accuracy < window.interval.high
    assert line.mean == pytest.approx(100 * right.mean())


def test_few_points_are_a_window_each_without_a_band(tmp_path: Path) -> None:
    content = drawn(write_stream_run(tmp_path / "a.json", uneven(points=5)))
    (line,) = content.lines
    assert not content.has_bands
    assert {window.interval for window in line.windows} == {None}
    assert [(window.first, window.last) for window in line.windows] == [(n, n + 9) for n in range(0, 50, 10)]


def test_long_streams_have_at_most_60_windows(tmp_path: Path) -> None:
    (line,) = drawn(write_stream_run(tmp_path / "a.json", uneven(points=900))).lines
    assert len(line.windows) == 60


def test_plain_and_adapted_are_in_one_figure_with_names_and_baseline(tmp_path: Path) -> None:
    plain = write_stream_run(tmp_path / "plain.json", uneven(seed=1))
    adapted = write_stream_run(tmp_path / "adapted.json", uneven(seed=2, level=0.6), adaptation=ADAPTED)
    content = drawn(plain, adapted)
    assert [line.name for line in content.lines] == ["net", "net (batchnorm-adapted in batches of 64)"]
    assert content.baseline == 40
    assert content.title == "ccc:easy,10 a point,calibration cccccccc, seed 43, 400 of 7500000 frames"


def test_other_streams_and_runs_on_cells_are_refused(tmp_path: Path) -> None:
    one = write_stream_run(tmp_path / "one.json", uneven())
    hard = StreamRecord(level="hard", speed=10, calibration="c" * 64)
    other = write_stream_run(tmp_path / "other.json", uneven(), name="other", stream=hard)
    with pytest.raises(NotComparableError, match="ccc:hard"):
        drawn(one, other)
    cells = write_stream_run(tmp_path / "cells.json", uneven(), corruptions=("ccc",), stream=None)
    with pytest.raises(UsageError, match="no order in time"):
        drawn(cells)


@pytest.mark.parametrize("width", ["single", "double"])
def test_it_is_drawn(tmp_path: Path, width: str) -> None:
    pytest.importorskip("matplotlib")
    from ppbench.figures.notebook import plot

    figure = plot(write_stream_run(tmp_path / "a.json", uneven()), "stream", width=width)
    assert figure.to_bytes("svg").startswith(b"<?xml")
    (axes,) = figure.axes
    assert axes.get_ylabel() == "accuracy, %"
    (line, baseline) = axes.get_lines()
    assert len(line.get_xdata()) == 5
    assert np.allclose(baseline.get_ydata(), 40)
    assert len(axes.collections) == 1
    few = plot(write_stream_run(tmp_path / "few.json", uneven(points=5)), "stream", width=width)
    assert not few.axes[0].collections
