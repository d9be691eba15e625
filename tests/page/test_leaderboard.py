"""The leaderboard of a folder: what is found, what is left out, what is written, and that names do nothing."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ppbench.errors import DataError, UsageError
from ppbench.page.leaderboard import read_folder, write_leaderboard
from ppbench.report.load import load_summary
from ppbench.report.run_data import run_dict
from tests.builders import make_errors
from tests.compare.runs import make_measured, write_measured
from tests.figures.runs import HOSTILE
from tests.page.runs import Elements

CORRUPTIONS = ("fog", "snow")
ERRORS = make_errors(0, CORRUPTIONS)


def write(path: Path, factor: float = 1.0, **fields: object) -> Path:
    """A run of 200 images whose errors are these times a factor."""
    errors = {cell: factor * error for cell, error in ERRORS.items()}
    described = {"name": path.stem, "n": 200, "corruptions": CORRUPTIONS, **fields}
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_measured(path, make_measured(errors, **described))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    runs = tmp_path / "runs"
    write(runs / "a.json", 0.9, weights="1")
    write(runs / "deep" / "down" / "b.json", 0.5, weights="2")
    write(runs / "other.json", 0.4, weights="3", recipe="cifar-c")
    return runs


def written(folder: Path, site: Path) -> dict:
    write_leaderboard(folder, site, lambda run: f"<title>page of {run.name}</title>")
    return json.loads((site / "index.json").read_text())


def test_runs_in_all_folders_are_ranked_apart_by_protocol(folder: Path, tmp_path: Path) -> None:
    content = written(folder, tmp_path / "site")
    assert [[run["file"] for run in one["runs"]] for one in content["rankings"]] == [
        ["deep/down/b.json", "a.json"],
        ["other.json"],
    ]
    assert [one["protocol"]["recipe"] for one in content["rankings"]] == ["imagecorruptions", "cifar-c"]
    assert content["version"] == 1
    assert content["rankings"][0]["ranked_by"] == "mean_error[fog+snow,s1-5]"
    assert [(run["rank"], run["best_rank"], run["worst_rank"]) for run in content["rankings"][0]["runs"]] == [
        (1, 1, 1),
        (2, 2, 2),
    ]


def test_the_numbers_are_those_of_show(folder: Path, tmp_path: Path) -> None:
    content = written(folder, tmp_path / "site")
    shown = run_dict(load_summary(folder / "a.json", None, None, 0.95))["metrics"]
    assert content["rankings"][0]["runs"][1]["metrics"] == json.loads(json.dumps(shown))
    page = Elements((tmp_path / "site" / "index.html").read_text())
    mean = next(metric for metric in shown if metric["name"] == "mean_error")
    cells = page.having(metric="mean_error")
    ends = [[float(one[f"data-{end}"]) for end in ("value", "low", "high")] for one in cells]
    assert [mean["value"], mean["low"], mean["high"]] in ends
    assert len(ends) == 3


def test_every_run_leads_to_its_page(folder: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    content = written(folder, site)
    runs = [run for one in content["rankings"] for run in one["runs"]]
    assert [(site / run["page"]).read_text() for run in runs] == [
        f"<title>page of {Path(run['file']).name}</title>" for run in runs
    ]
    links = re.findall(r'<a href="(runs/[^"]+)"', (site / "index.html").read_text())
    assert links == [run["page"] for run in runs]


def test_what_is_no_run_is_listed_with_the_reason(folder: Path, tmp_path: Path) -> None:
    (folder / "package.json").write_text("{}")
    (folder / "deep" / "page.html").write_text("<p>no run</p>")
    (folder / "old.json").write_text("{")
    (folder / "notes.txt").write_text("not looked at")
    content = written(folder, tmp_path / "site")
    (folder / "late.json").write_text('{"version": 99}')
    content = written(folder, tmp_path / "site")
    assert [one["file"] for one in content["unreadable"]] == ["late.json", "old.json", "deep/page.html"]
    assert content["unreadable"][1]["reason"].startswith("not a run file: ")
    text = (tmp_path / "site" / "index.html").read_text()
    assert "<code>old.json</code>: not a run file: " in text
    assert "<p>1 other JSON file is not a run file.</p>" in text
    assert content["other_json_files"] == 1
    assert "package.json" not in text + json.dumps(content), "names of other files stay private"
    assert str(folder) not in (tmp_path / "site" / "index.json").read_text()


def test_copies_of_a_run_count_once_and_the_fullest_is_shown(folder: Path, tmp_path: Path) -> None:
    measured = make_measured(ERRORS, name="base", n=200, corruptions=CORRUPTIONS, weights="7")
    write_measured(folder / "base.json", measured)
    shutil.copy(folder / "base.json", folder / "a-copy.json")  # without its bits beside it
    for content in (written(folder, tmp_path / "site"), written(folder, tmp_path / "again")):
        (run,) = [run for one in content["rankings"] for run in one["runs"] if run["model"] == "base"]
        assert sorted([run["file"], *run["copies"]]) == ["a-copy.json", "base.json"]


def test_equal_results_of_models_that_are_not_known_are_no_copies(folder: Path, tmp_path: Path) -> None:
    """Both may be right on the same number of images; two files of one evaluation are copies all the same."""
    measured = make_measured(ERRORS, name="served", n=200, corruptions=CORRUPTIONS)
    run = measured.run.model_copy(update={"model": measured.run.model.model_copy(update={"weights_sha256": None})})
    later = run.model_copy(update={"provenance": run.provenance.model_copy(update={"started": "2026-01-02"})})
    for name, one in (("one", run), ("other", later), ("copy", later)):
        write_measured(folder / f"{name}.json", replace(measured, run=one))
    found = [run for one in written(folder, tmp_path / "site")["rankings"] for run in one["runs"]]
    copies = {run["file"]: run["copies"] for run in found if run["model"] == "served"}
    assert copies == {"one.json": [], "copy.json": ["other.json"]}


def test_a_site_in_the_folder_is_not_searched_and_bytes_stay_the_same(folder: Path, tmp_path: Path) -> None:
    site = folder / "site"
    written(folder, site)
    first = {path.name: path.read_bytes() for path in site.rglob("*.*")}
    written(folder, site)
    assert {path.name: path.read_bytes() for path in site.rglob("*.*")} == first
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    shutil.rmtree(moved / "site")
    written(moved, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == first


def test_a_page_that_cannot_be_made_does_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    def page(run: Path) -> str:
        if run.name == "a.json":
            raise DataError("a.json is damaged")
        return "page"

    write_leaderboard(folder, tmp_path / "site", page)
    content = json.loads((tmp_path / "site" / "index.json").read_text())
    found = {run["file"]: (run["page"], run["no_page"]) for one in content["rankings"] for run in one["runs"]}
    assert found["a.json"] == (None, "a.json is damaged")
    assert found["other.json"][1] is None
    assert "(no report: a.json is damaged)" in (tmp_path / "site" / "index.html").read_text()


def test_interrupted_runs_have_no_rank(folder: Path, tmp_path: Path) -> None:
    part = {cell: error for cell, error in ERRORS.items() if cell != ("snow", 3)}
    write_measured(folder / "part.json", make_measured(part, name="part", n=200, corruptions=CORRUPTIONS))
    content = written(folder, tmp_path / "site")
    assert [run["model"] for one in content["rankings"] for run in one["unranked"]] == ["part"]
    assert "part</bdi></a> (part lacks 1 of 10 cells: snow s3)" in (tmp_path / "site" / "index.html").read_text()


def test_hostile_names_do_nothing(folder: Path, tmp_path: Path) -> None:
    write(folder / "x'\"<b>&.json", 0.7, name=HOSTILE, weights="8")
    write(folder / "javascript:alert(1).json", 0.7, name='" onclick="x', weights="9")
    (folder / "<script>.json").write_text("{}")
    site = tmp_path / "site"
    content = written(folder, site)
    text = (site / "index.html").read_text()
    page = Elements(text)
    assert text.count("<script") == 1
    assert "<b>" not in text
    assert not any(name.startswith("on") for _, one in page.found for name in one)
    assert "\u202e" not in text
    assert "\x1b" not in text
    pages = [run["page"] for one in content["rankings"] for run in one["runs"]]
    assert all(re.fullmatch(r"runs/[A-Za-z0-9._-]+-[0-9a-f]{8}\.html", one) for one in pages)
    assert len(set(pages)) == 5


def test_where_nothing_can_be_done_it_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no runs in it"):
        written(tmp_path / "empty", tmp_path / "site")
    for site in (folder, tmp_path):
        with pytest.raises(UsageError, match="is where the runs are, or above them"):
            written(folder, site)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        written(folder, tmp_path / "file")


def test_protocols_are_chosen_without_a_script(folder: Path, tmp_path: Path) -> None:
    content = written(folder, tmp_path / "site")
    text = (tmp_path / "site" / "index.html").read_text()
    for one in content["rankings"]:
        assert f'<a href="#{one["id"]}">' in text
        assert f'<section id="{one["id"]}"' in text
    assert "body:has(.board>section:target) .board>section:not(:target){display:none}" in text


def test_headings_tell_tables_of_one_dataset_apart(tmp_path: Path) -> None:
    for n in (40, 60):
        measured = make_measured(ERRORS, name=f"net{n}", n=n, corruptions=CORRUPTIONS)
        write_measured(tmp_path / "runs" / f"{n}.json", measured)
    written(tmp_path / "runs", tmp_path / "site")
    text = (tmp_path / "site" / "index.html").read_text()
    headings = re.findall(r"<h2 [^>]*><bdi>[^<]*</bdi>, ([^<]*) images</h2>", text)
    assert len(set(headings)) == 2
    assert all(re.fullmatch(r"40 of [\d,]+|60 of [\d,]+|all 40|all 60", one) for one in headings)
    assert "ranges overlap" not in text, "there is one run in each table"


def test_reports_of_runs_that_are_gone_are_removed(folder: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    written(folder, site)
    (site / "runs" / "mine.html").write_text("of the user")
    (folder / "a.json").unlink()
    content = written(folder, site)
    pages = {run["page"] for one in content["rankings"] for run in one["runs"]}
    assert {f"runs/{path.name}" for path in (site / "runs").iterdir()} == {*pages, "runs/mine.html"}


def test_an_index_that_was_changed_removes_nothing_else(folder: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    kept = [tmp_path / "kept-00000000.html", site / "other-00000000.html"]
    site.mkdir()
    for path in kept:
        path.write_text("of the user")
    names = ("../kept-00000000.html", "runs/../../kept-00000000.html", "other-00000000.html", str(kept[0]))
    (site / "index.json").write_text(json.dumps({"runs": [{"page": name} for name in names]}))
    written(folder, site)
    assert all(path.exists() for path in kept)
    (site / "index.json").write_bytes(b"\xff\xfe no json")
    assert written(folder, site)["rankings"]
