from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import ppbench
from ppbench.errors import UsageError
from ppbench.run import read_run, write_run
from tests.compare.runs import make_measured, write_measured
from tests.figures.runs import HOSTILE, better, plain


def test_a_run_knows_its_file_and_stays_equal_to_the_same_run_without_one(tmp_path: Path) -> None:
    path = write_measured(tmp_path / "run.json", plain())
    read, written = read_run(path), write_run(tmp_path / "other.json", plain().run, plain().bits)
    assert read.path == path
    assert written.path == tmp_path / "other.json"
    assert plain().run.path is None
    again = read.model_validate_json(read.model_dump_json())
    assert again == read
    assert again.path is None
    assert "path" not in read.model_dump()
    assert "path" not in repr(read)


def test_the_path_outlives_a_change_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_measured(tmp_path / "run.json", plain())
    monkeypatch.chdir(tmp_path)
    run = read_run("run.json")
    monkeypatch.chdir("/")
    assert run.path == tmp_path / "run.json"
    assert "[16.37, " in run._repr_html_()


def test_a_run_shows_itself_as_a_table(tmp_path: Path) -> None:
    run = ppbench.load_run(write_measured(tmp_path / "run.json", plain()))
    tree = ElementTree.fromstring(f"<div>{run._repr_html_()}</div>")
    rows = {row[0].text: [str(cell.text) for cell in row[1:2]] for row in tree.iter("tr")}
    assert list(rows) == ["clean error", "mean error"]
    assert rows["clean error"][0].startswith("20.00 [16.37, ")
    (caption,) = tree.iter("caption")
    assert str(caption.text).startswith("plain · fashion-mnist · all 400 images")
    notes = [str(note.text) for note in tree.iter("p")]
    assert notes[-1] == "n/a: mCE, relative mCE, R_net."
    assert plain().run._repr_html_().count("<p>No intervals: the run is in no file.</p>") == 1


def test_a_hostile_name_does_nothing_in_the_table() -> None:
    run = make_measured({("clean", 0): 0.1}, name=HOSTILE, corruptions=(), severities=()).run
    shown = run._repr_html_()
    assert not list(ElementTree.fromstring(f"<div>{shown}</div>").iter("script"))
    assert not set("\u202e\x1b\n") & set(shown)


def test_looking_at_a_run_loads_neither_torch_nor_matplotlib(tmp_path: Path) -> None:
    path = write_measured(tmp_path / "run.json", plain())
    code = (
        "import sys, ppbench\n"
        "assert 'pydantic' not in sys.modules\n"
        f"ppbench.load_run({str(path)!r})._repr_html_()\n"
        "assert not {'torch', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class TestPlot:
    """Drawing, which needs matplotlib."""

    @pytest.fixture(autouse=True)
    def _needs_matplotlib(self) -> None:
        pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")

    def test_a_run_draws_itself(self, tmp_path: Path) -> None:
        run = ppbench.load_run(write_measured(tmp_path / "run.json", plain()))
        figure = run.plot("severity")
        assert figure._repr_png_().startswith(b"\x89PNG")
        figure.savefig(tmp_path / "figure.pdf")
        assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
        assert run.plot("reliability", width="double").get_figwidth() == 6.9

    def test_plot_takes_paths_runs_and_several_of_them(self, tmp_path: Path) -> None:
        old, new = (write_measured(tmp_path / f"{one.name}.json", one) for one in (plain(), better()))
        of_paths = ppbench.plot([str(old), new], "forest")
        of_runs = ppbench.plot(read_run(new), "forest", baseline=read_run(old))
        assert of_paths.to_bytes("svg") == of_runs.to_bytes("svg")

    def test_what_is_not_allowed_is_refused_in_words(self) -> None:
        with pytest.raises(UsageError, match="unknown width 'tripel'"):
            plain().run.plot("severity", width="tripel")
        with pytest.raises(UsageError, match="unknown kind of figure 'heat'"):
            plain().run.plot("heat")
        with pytest.raises(UsageError, match="a run is of type int"):
            ppbench.plot([1], "severity")  # type: ignore[list-item]


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="`plot` needs matplotlib") as caught:
        plain().run.plot("severity")
    assert "--extra plots" in caught.value.hint
