"""``ppbench report`` from the command line: what it writes, what it refuses, and that nothing is ever half-written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.run import read_run, write_run
from tests.builders import make_bits, make_errors, make_run
from tests.cli.test_streams import needs_full_disk
from tests.page.runs import tiny, write_pages_run


def report(*arguments: Any) -> Any:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_pages_run(tmp_path / "old.json")
    write_pages_run(tmp_path / "new.json", "better")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_is_written_where_it_is_wanted(pair: Path) -> None:
    done = report("new.json", "--baseline", "old.json", "-o", "deep/folder/page.html")
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert done.stderr == "wrote deep/folder/page.html\n"
    assert read_run("deep/folder/page.html").model.name == "better"
    assert report("new.json", "old.json").exit_code == 0
    assert (pair / "report.html").exists()


@pytest.mark.parametrize("suffix", [".json", ".bits.npy", ".predictions.npy.gz"])
@pytest.mark.parametrize("name", ["old", "new"])
def test_an_input_is_never_overwritten(pair: Path, name: str, suffix: str) -> None:
    file = pair / f"{name}{suffix}"
    before = file.read_bytes()
    done = report("new.json", "--baseline", "old.json", "-o", f"./{file.name}")
    assert done.exit_code == 2
    assert "would overwrite the input" in done.stderr
    assert file.read_bytes() == before


def test_a_normaliser_is_never_overwritten(pair: Path) -> None:
    csv = pair / "denominators.csv"
    csv.write_text("corruption,severity,accuracy\nfog,1,0.5\n")
    done = report("new.json", "--normalizer", "denominators.csv", "-o", "./denominators.csv")
    assert done.exit_code == 2
    assert "would overwrite the input" in done.stderr
    assert csv.read_text().startswith("corruption")


def test_other_protocols_end_with_4_and_write_nothing(pair: Path) -> None:
    tiny(pair / "other.json", "other", recipe="cifar-c")
    done = report("new.json", "--baseline", "other.json")
    assert done.exit_code == 4
    assert "was not measured like" in done.stderr
    assert not (pair / "report.html").exists()


def test_a_missing_or_damaged_file_ends_with_3(pair: Path) -> None:
    assert report("none.json").exit_code == 3
    (pair / "bad.html").write_text("<p>nothing</p>")
    done = report("bad.html")
    assert done.exit_code == 3
    assert "the page holds no run" in done.stderr


def test_a_page_that_no_command_would_read_is_refused(pair: Path) -> None:
    for name in ("page.txt", "page.json", "page"):
        done = report("new.json", "-o", name)
        assert done.exit_code == 2
        assert f"--output {name} does not end in .html" in done.stderr
        assert not (pair / name).exists()


def test_where_nothing_can_be_written_nothing_is(pair: Path) -> None:
    (pair / "folder").mkdir()
    for place in ("folder", "old.json/page.html"):
        done = report("new.json", "-o", place)
        assert done.exit_code == 3, place
        assert "cannot write" in done.stderr
    assert not list((pair / "folder").iterdir())


@needs_full_disk
def test_a_full_disk_is_said_in_one_line(pair: Path) -> None:
    done = report("new.json", "-o", "/dev/full")
    assert done.exit_code == 3
    assert "cannot write /dev/full: No space left on device" in done.stderr


def test_data_that_are_not_the_images_are_refused(pair: Path) -> None:
    (pair / "empty").mkdir()
    done = report("new.json", "--data", "empty")
    assert done.exit_code == 3
    assert not (pair / "report.html").exists()


def test_labels_are_for_the_images_of_data(pair: Path) -> None:
    done = report("new.json", "--labels", "labels.csv")
    assert done.exit_code == 2
    assert "--labels is for the images of --data" in done.stderr


def test_what_does_not_fit_is_said(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppbench.page.document.LARGEST_PAGE", 1000)
    done = report("new.json")
    assert done.exit_code == 0
    assert "For lack of room it lacks the keys of its images" in done.stderr
    assert read_run("report.html").bits is None


def test_a_run_of_an_unknown_dataset_has_no_pictures_but_says_why(pair: Path) -> None:
    assert report("new.json").exit_code == 0
    assert "The images are not in the run" in (pair / "report.html").read_text()


def test_imagenet_stands_beside_published_results_of_its_label(tmp_path: Path) -> None:
    fields = {"dataset": "imagenet-c", "source": "published", "engine": "published", "recipe": "imagenet-c",
              "normalizer": "alexnet"}  # fmt: skip
    run = make_run(make_errors(0), n=200, **fields)
    write_run(tmp_path / "run.json", run, make_bits(run))
    assert report(tmp_path / "run.json", "-o", tmp_path / "page.html").exit_code == 0
    page = (tmp_path / "page.html").read_text()
    assert 'data-run="alexnet (published)"' in page
    assert 'data-published="' in page
    shown = json.loads(CliRunner().invoke(app, ["show", str(tmp_path / "page.html"), "--format", "json"]).stdout)
    assert shown["dataset"] == "imagenet-c"


def test_the_leaderboard_of_a_folder(pair: Path) -> None:
    (pair / "odd.json").write_text("{}")
    done = report(pair, "--index", "-o", "site")
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "left out, because they are not run files: odd.json",
        "wrote site/index.html: 2 runs in 1 table",
    ]
    content = json.loads(Path("site/index.json").read_text())
    pages = [run["page"] for run in content["rankings"][0]["runs"]]
    assert [read_run(Path("site") / page).model.name for page in pages] == ["better", "plain"]
    assert report(pair, "--index").exit_code == 0
    assert Path("site/index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--index", "--baseline", "old.json"], "--baseline is not for --index"),
        (["--index", "--data", ".", "--allow", "seed"], "--data, --allow is not for --index"),
        (["old.json", "--index"], "--index takes one folder, not 2 paths"),
        (["--index", "-o", "."], "is where the runs are, or above them"),
    ],
)
def test_what_a_leaderboard_cannot_take_is_refused(pair: Path, arguments: list[str], why: str) -> None:
    done = report(pair, *arguments)
    assert done.exit_code == 2
    assert why in " ".join(done.stderr.split())
    assert not Path("site").exists()


def test_a_folder_without_runs_ends_with_3(tmp_path: Path) -> None:
    assert report(tmp_path, "--index").exit_code == 3
    assert report(tmp_path / "none", "--index", "-o", tmp_path / "site").exit_code == 3
    assert not (tmp_path / "site").exists()


def test_a_folder_without_index_says_how_to_make_a_leaderboard(tmp_path):
    result = CliRunner().invoke(app, ["report", str(tmp_path), "-o", "q.html"])
    assert result.exit_code == 3
    assert "--index -o site/" in " ".join(result.stderr.split())
