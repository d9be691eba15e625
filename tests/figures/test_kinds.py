from __future__ import annotations

from pathlib import Path

import pytest

from ppbench.errors import DataError, NotComparableError, UsageError
from ppbench.figures.content import HeatMap, SeverityCurves
from ppbench.figures.forest import Forest
from ppbench.figures.kinds import KINDS, PlotRequest
from ppbench.figures.reliability import Reliability
from ppbench.figures.scatter import Scatter
from ppbench.run import read_run, write_run
from tests.builders import write_csv
from tests.compare.runs import make_measured, write_measured
from tests.figures.runs import better, plain


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return write_measured(folder / "plain.json", plain()), write_measured(folder / "better.json", better())


def test_each_kind_gives_its_content(files: tuple[Path, Path]) -> None:
    old, new = files
    heat = PlotRequest("heatmap", (new,)).content()
    assert isinstance(heat, HeatMap)
    assert (heat.quantity, heat.confidence) == ("error", 0.95)
    curves = PlotRequest("severity", (new,), old, confidence=0.9).content()
    assert isinstance(curves, SeverityCurves)
    assert (curves.runs, curves.references, curves.confidence) == (("better",), ("plain (baseline)",), 0.9)
    forests = PlotRequest("forest", (new,), old).content()
    assert isinstance(forests, tuple)
    assert [(forest.reference, forest.other) for forest in forests] == [("plain", "better")]
    assert isinstance(PlotRequest("reliability", (new,)).content(), Reliability)
    scatter = PlotRequest("scatter", (new,), old).content()
    assert isinstance(scatter, Scatter)
    assert [(point.name, point.y.name) for point in scatter.runs] == [("plain", "mCE"), ("better", "mCE")]


def test_the_first_run_is_the_reference_where_no_baseline_is_given(files: tuple[Path, Path]) -> None:
    (forest,) = PlotRequest("forest", files).content()  # type: ignore[misc]
    assert isinstance(forest, Forest)
    assert (forest.reference, forest.other) == ("plain", "better")
    again = PlotRequest("forest", files, files[0]).content()
    assert again == (forest,)


def test_quantities_of_a_heat_map(files: tuple[Path, Path]) -> None:
    old, new = files
    ratios = PlotRequest("heatmap", (new,), old, quantity="CE").content()
    assert isinstance(ratios, HeatMap)
    assert "plain" in ratios.title
    changes = PlotRequest("heatmap", (new,), old, quantity="difference").content()
    assert isinstance(changes, HeatMap)
    assert changes.unit == "points"
    with pytest.raises(UsageError, match="needs a baseline"):
        PlotRequest("heatmap", (new,), quantity="difference").content()


def test_what_is_not_allowed_is_refused_with_what_is(files: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="unknown kind of figure 'pie'"):
        PlotRequest("pie", files).content()
    with pytest.raises(UsageError, match="--quantity CE is not allowed with forest"):
        PlotRequest("forest", files, quantity="CE").content()
    with pytest.raises(UsageError, match="unknown quantity of a heatmap figure 'mCE'"):
        PlotRequest("heatmap", files[:1], quantity="mCE").content()
    for kind in ("heatmap", "reliability"):
        with pytest.raises(UsageError, match="is of one run, and 2 are given"):
            PlotRequest(kind, files).content()
    with pytest.raises(UsageError, match="a forest plot needs two runs"):
        PlotRequest("forest", files[:1]).content()
    with pytest.raises(UsageError, match="is the run itself"):
        PlotRequest("forest", files[:1], files[0]).content()
    with pytest.raises(UsageError, match="confidence of 95"):
        PlotRequest("heatmap", files[:1], confidence=95).content()
    assert set(KINDS) == {"heatmap", "severity", "forest", "reliability", "scatter", "stream"}


def test_runs_of_other_protocols_are_refused_by_every_kind_of_several(files: tuple[Path, Path], tmp_path: Path) -> None:
    other = make_measured({("clean", 0): 0.1, ("fog", 1): 0.5}, corruptions=("fog",), severities=(1,), precision="bf16")
    path = write_measured(tmp_path / "other.json", other)
    for kind in ("severity", "scatter", "forest"):
        with pytest.raises(NotComparableError, match="was not measured like plain"):
            PlotRequest(kind, (files[0], path)).content()


def test_a_csv_is_drawn_where_no_counts_are_needed(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "table.csv", {("clean", 0): 0.9, ("fog", 1): 0.5, ("fog", 2): 0.4})
    assert isinstance(PlotRequest("severity", (path,)).content(), SeverityCurves)
    assert isinstance(PlotRequest("heatmap", (path,)).content(), HeatMap)
    assert isinstance(PlotRequest("scatter", (path,)).content(), Scatter)
    with pytest.raises(DataError, match="is a CSV, which has no probabilities"):
        PlotRequest("reliability", (path,)).content()


def test_runs_of_one_model_have_the_names_of_their_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    path = write_measured(tmp_path / "again.json", plain())
    content = PlotRequest("severity", (files[0], path)).content()
    assert isinstance(content, SeverityCurves)
    assert content.runs == ("plain", "again")


def test_a_run_in_memory_is_drawn_with_what_is_beside_its_file(files: tuple[Path, Path]) -> None:
    old, new = map(read_run, files)
    content = PlotRequest("heatmap", (new,)).content()
    assert content == PlotRequest("heatmap", (files[1],)).content()
    assert PlotRequest("forest", (old, new)).content() == PlotRequest("forest", files).content()


def test_a_run_in_no_file_has_no_intervals_and_cannot_be_paired() -> None:
    content = PlotRequest("heatmap", (better().run,)).content()
    assert isinstance(content, HeatMap)
    assert content.has_values
    assert content.confidence is None
    with pytest.raises(DataError, match="the run of plain is in no file") as caught:
        PlotRequest("forest", (plain().run, better().run)).content()
    assert "ppbench.load_run" in caught.value.hint


def test_a_file_that_holds_another_run_by_now_is_not_taken_for_it(tmp_path: Path) -> None:
    path = write_measured(tmp_path / "run.json", plain())
    run = read_run(path)
    write_run(path, better().run, better().bits)
    with pytest.raises(DataError, match="no longer holds this run of plain"):
        PlotRequest("forest", (run, better().run)).content()
    content = PlotRequest("heatmap", (run,)).content()
    assert isinstance(content, HeatMap)
    assert content.confidence is None, "the bits beside the file are another run's"
