"""Corruptions of one's own through evaluation, resuming, comparison and reports."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import ppbench
from ppbench.cli.main import app
from ppbench.corruptions import own as own_module
from ppbench.corruptions.own import split_own
from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.errors import DataError, NotComparableError, UsageError
from ppbench.evaluation.api import evaluate
from ppbench.evaluation.loop import measure
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.evaluation.result import EvalResult
from ppbench.pictures.strip import picture_strip
from ppbench.run import read_run
from ppbench.vocabulary import MADE
from tests.evaluation.models import tiny_checkpoint
from tests.evaluation.test_kills import without_provenance
from tests.evaluation.test_processes import processes_of
from tests.trees import write_published

pytestmark = pytest.mark.usefixtures("_small_forwards")

CODE = """
import numpy as np
import ppbench

@ppbench.corruption(severities=[0.1, 0.2, 0.3, 0.4, 0.5])
def dead_pixels(images, share, random):
    out = images.copy()
    for image, generator in zip(out, random):
        image[generator.random(image.shape[:2]) < share] = 0
    return out

def mean_of_all(images, severity, random): return np.full_like(images, images.mean())
"""
CELLS: dict[str, Any] = {"corruptions": ["brightness", "mine_to_measure:dead_pixels"], "severities": "2-3", "limit": 30}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a compiled file is told from another by whole seconds
    write(tmp_path, CODE)
    yield tmp_path
    sys.modules.pop("mine_to_measure", None)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_checkpoint(tmp_path_factory.mktemp("net") / "net.safetensors"))


def write(folder: Path, code: str) -> None:
    sys.modules.pop("mine_to_measure", None)
    (folder / "mine_to_measure.py").write_text(code)


def edit(folder: Path) -> None:
    """Another version of the function, as a new process imports it."""
    write(folder, CODE.replace("< share", "< share / 2"))


def test_images_are_those_of_corrupt_and_workers_need_not_import_it() -> None:
    source = open_source(EMBEDDED, None, Geometry(28, None), limit=5, seed=4)
    source.include(split_own(["mine_to_measure:dead_pixels"])[1])
    source.check(["fog", "dead_pixels"], [3])
    places = np.arange(5)
    clean = source.load("clean", 0, places).pixels
    expected = ppbench.corrupt(clean, "mine_to_measure:dead_pixels", 3, seed=4, ids=source.ids)
    assert np.array_equal(source.load("dead_pixels", 3, places).pixels, expected)
    assert np.array_equal(source.corrupt(clean[::-1], "dead_pixels", 3, places[::-1]), expected[::-1])
    content = pickle.dumps(source)
    sys.modules.pop("mine_to_measure")
    assert np.array_equal(pickle.loads(content).load("clean", 0, places).pixels, clean)
    assert "mine_to_measure" not in sys.modules


def test_a_run_says_which_function_it_was_and_others_have_no_such_field(net: str, folder: Path) -> None:
    run = evaluate(net, **CELLS, output="run.json", batch_size=7)
    assert run.protocol.corruptions == ("brightness", "dead_pixels")
    own = split_own(["mine_to_measure:dead_pixels"])[1][0]
    assert run.protocol.own_corruptions == {"dead_pixels": own.source_hash()}
    assert read_run("run.json").protocol == run.protocol
    assert evaluate(net, **CELLS, batch_size=30).cells == run.cells
    published = evaluate(net, corruptions="brightness", severities="2-3", limit=30, output="other.json")
    assert [c for c in run.cells if c.corruption != "dead_pixels"] == list(published.cells)
    assert "own_corruptions" not in json.loads((folder / "other.json").read_text())["protocol"]
    assert published.protocol.own_corruptions is None


def test_two_processes_give_the_same_run(net: str, folder: Path) -> None:
    evaluate(net, **CELLS, output="one.json")
    names = ",".join(CELLS["corruptions"])
    done = processes_of(2, "-m", net, "-c", names, "-s", "2-3", "--limit", "30", "-o", str(folder / "two.json"))
    assert done.returncode == 0, done.stderr
    assert without_provenance(folder / "two.json") == without_provenance(folder / "one.json")


class TestAnotherVersion:
    def test_a_finished_run_is_kept(self, net: str, folder: Path) -> None:
        request = EvalRequest.of(models=net, **CELLS, output=folder / "runs", force=True)
        first = measure(prepare(request)).runs[0].run
        edit(folder)
        second = measure(prepare(request)).runs[0].run
        assert {path.name for path in (folder / "runs").glob("*2k*.json")} == {
            f"net--{EMBEDDED}.json", f"net--{EMBEDDED}-2.json",
        }  # fmt: skip
        assert first.cells[:3] == second.cells[:3]  # clean and brightness
        assert first.cells[3:] != second.cells[3:]
        with pytest.raises(UsageError, match=r"another measurement \(own_corruptions\)"):
            evaluate(net, **CELLS, output=first.path)

    def test_an_interrupted_run_starts_over(self, net: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ppbench.evaluation.collector._FLUSH", -1.0)  # after every batch

        def evaluated(stop: tuple[str, int] | None) -> tuple[EvalResult, list[str]]:
            said: list[str] = []

            def advance(cell: Any, images: int) -> None:
                if stop is not None and cell == stop:
                    raise KeyboardInterrupt

            plan = prepare(EvalRequest.of(models=net, **CELLS, output=Path("run.json"), force=True))
            return measure(plan, say=said.append, advance=advance), said

        evaluated(("brightness", 3))
        result, said = evaluated(("dead_pixels", 2))
        assert any(line.startswith("reused ") for line in said)
        edit(folder)
        result, said = evaluated(None)
        assert any("own_corruptions differs" in line and "starting over" in line for line in said)
        assert not any(line.startswith("reused ") for line in said)
        assert result.runs[0].run.status == "complete"

    def test_it_is_not_compared(self, net: str, folder: Path) -> None:
        evaluate(net, **CELLS, output="a.json")
        edit(folder)
        evaluate(net, **CELLS, output="b.json")
        done = CliRunner().invoke(app, ["compare", "a.json", "b.json"])
        assert done.exit_code == 4
        assert "own_corruptions dead_pixels " in done.output
        allowed = CliRunner().invoke(app, ["compare", "a.json", "b.json", "--allow", "own_corruptions"])
        assert allowed.exit_code == 0
        with pytest.raises(NotComparableError, match=r"a.json was measured with another version of dead_pixels"):
            evaluate(net, **CELLS, until_decided="a.json", max_drop=50)
        # Of published corruptions it is the same baseline.
        published = {**CELLS, "corruptions": "brightness"}
        assert evaluate(net, **published, until_decided="a.json", max_drop=50).stopping is not None
        show = ["show", "b.json", "--normalizer", "a.json", "--format", "json"]
        reason = json.loads(CliRunner().invoke(app, show).output)["metrics"]
        assert "was measured with another version of dead_pixels" in json.dumps(reason)


def test_predictions_are_not_said_to_be_of_images_that_it_made(folder: Path) -> None:
    classes = np.zeros(30, np.int64)
    np.savez(
        folder / "p.npz", **{f"{name}/{level}": classes for name in ("brightness", "dead_pixels") for level in (2, 3)}
    )
    run = evaluate(predictions="p.npz", **CELLS)
    assert (run.protocol.engine, run.protocol.own_corruptions) == ("unknown", None)
    assert run.protocol.corruptions == ("brightness", "dead_pixels")


def test_tables_and_the_metric_that_it_has_not(net: str) -> None:
    (measured,) = measure(prepare(EvalRequest.of(models=net, **CELLS, output=Path("run.json"), force=True))).runs
    del sys.modules["mine_to_measure"]  # whatever reads a run needs no code
    shown = CliRunner().invoke(app, ["show", "run.json", "--corruptions", "dead_pixels", "--normalizer", "alexnet"])
    assert shown.exit_code == 0
    assert "own" in shown.output
    assert "brightness" not in shown.output
    assert "alexnet has no published error for dead_pixels" in " ".join(shown.output.split())
    rows = CliRunner().invoke(app, ["show", "run.json", "--format", "csv"]).output
    assert "own,dead_pixels,3" in rows
    strip = picture_strip(measured, None)
    assert {row.corruption for row in strip.rows} == {"brightness"}
    assert any(note.startswith("dead_pixels: made by your own code") for note in strip.notes)
    alone = measured.restricted(["dead_pixels"], [2, 3])
    assert "a report does not run it" in (picture_strip(alone, None).reason or "")
    assert "mine_to_measure" not in sys.modules


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"corruptions": "mine_to_measure:mean_of_all"}, DataError, "an image's result depends on the other images"),
        ({"corruptions": "mine_to_measure:nothing"}, UsageError, "mine_to_measure has no nothing"),
        ({"backend": "imagecorruptions"}, UsageError, "is not what --backend imagecorruptions makes"),
        ({"dataset": "imagefolder", "data": "c", "limit": None}, UsageError, "is made from clean images, but these"),
    ],
)
def test_what_cannot_be_is_said_before_the_start(
    net: str, folder: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    write_published(folder / "c", ("fog",), (1,), size=28)
    with pytest.raises(error, match=message):
        evaluate(net, **{**CELLS, "output": "run.json", **options})
    assert not list(folder.glob("run.json*"))


def test_installed_ones_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    point = EntryPoint("dead_pixels", "mine_to_measure:dead_pixels", own_module.GROUP)
    monkeypatch.setattr(own_module, "entry_points", lambda group: [point])
    listed = CliRunner().invoke(app, ["list", "corruptions", "--format", "csv"]).output
    assert "dead_pixels,own,,yes" in listed
    assert CliRunner().invoke(app, ["list", "corruptions", "--names"]).output.split() == [*MADE, "dead_pixels"]
    assert "mine_to_measure" not in sys.modules
