"""Runs in a comparison: their names, and what is read beside them."""

from __future__ import annotations

from pathlib import Path

from ppbench.compare.measured import distinct_names, in_common, read_compared
from tests.metrics.test_without_labels import write_unlabelled
from tests.page.runs import write_pages_run


def test_names_are_those_of_models_files_or_paths() -> None:
    paths = [Path("a/run.json"), Path("b/run.json")]
    assert distinct_names(paths, ["one", "other"]) == ["one", "other"]
    assert distinct_names([Path("a/x.json"), Path("a/y.json")], ["net", "net"]) == ["x", "y"]
    assert distinct_names(paths, ["net", "net"]) == ["a/run.json", "b/run.json"]


def test_predictions_are_read_where_their_probabilities_count(tmp_path: Path) -> None:
    write_unlabelled(tmp_path / "without.json")
    (without,) = read_compared([tmp_path / "without.json"])
    assert without.predictions is not None
    assert without.cell_errors.lost_by_image is not None
    (labelled,) = read_compared([write_pages_run(tmp_path / "labelled.json")])
    assert labelled.run.predictions is not None
    assert labelled.predictions is None


def test_only_common_cells_are_compared(tmp_path: Path) -> None:
    write_unlabelled(tmp_path / "run.json")
    (whole,) = read_compared([tmp_path / "run.json"])
    part = whole.restricted(["fog"], [3])
    assert [cell.key for cell in in_common(whole, part)[0].run.cells] == [("clean", 0), ("fog", 3)]
