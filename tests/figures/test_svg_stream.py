"""Accuracy over a stream as SVG: its numbers, and names that are data."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from ppbench.figures.kinds import PlotRequest
from ppbench.figures.over_time import OverTime
from ppbench.figures.svg_stream import over_time_svg
from tests.streams.runs import ADAPTED, uneven, write_stream_run


def test_every_window_has_its_numbers(tmp_path: Path) -> None:
    plain = write_stream_run(tmp_path / "plain.json", uneven(seed=1), name="<b>&net")
    adapted = write_stream_run(tmp_path / "adapted.json", uneven(seed=2), adaptation=ADAPTED)
    content = PlotRequest("stream", (plain, adapted)).content()
    assert isinstance(content, OverTime)
    root = ElementTree.fromstring(over_time_svg(content, "s"))
    marks = [one for one in root.iter() if "data-run" in one.attrib]
    windows = [(line.name, window) for line in content.lines for window in line.windows]
    found = [(one.attrib["data-run"], float(one.attrib["data-value"])) for one in marks]
    assert found == [(name, round(window.accuracy, 6)) for name, window in windows]
    assert [one.attrib["data-first"] for one in marks][:2] == ["0", str(content.lines[0].windows[1].first)]
    assert sum("fig-band" in one.attrib.get("class", "") for one in root.iter()) == 2


def test_windows_of_few_points_have_no_band(tmp_path: Path) -> None:
    content = PlotRequest("stream", (write_stream_run(tmp_path / "few.json", uneven(points=9)),)).content()
    assert isinstance(content, OverTime)
    drawn = over_time_svg(content, "s")
    assert drawn.count("data-first=") == 9
    assert "data-low" not in drawn
    assert "fig-band" not in drawn
    assert "interval" not in drawn
