"""``ppbench eval`` as a user runs it."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
import torchvision
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.data.generated import GeneratedImages
from ppbench.errors import DataError
from ppbench.evaluation.journal_lines import as_line, content_of
from ppbench.files import try_lock
from ppbench.models.embedded import EMBEDDED_MODELS
from ppbench.run import read_bits, read_run, write_run
from tests.builders import make_bits, make_errors, make_run
from tests.evaluation.models import tiny_checkpoint
from tests.evaluation.test_kills import without_provenance
from tests.processes import interrupt, ppbench_process
from tests.trees import write_class_folders, write_published

pytestmark = pytest.mark.usefixtures("_small_forwards", "_workers_of_one_server")

T = TypeVar("T")
runner = CliRunner()
FEW = ["-c", "fog,pixelate", "-s", "1", "-s", "4-5", "--limit", "40", "--workers", "0"]


def test_without_arguments_both_embedded_models_on_the_embedded_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, ["eval", *FEW, "--format", "json"])
    assert result.exit_code == 0, result.output
    documents = json.loads(result.stdout)["runs"]
    assert len(documents) == 2
    runs = [read_run(tmp_path / "runs" / f"{name}--fashion-mnist-2k.json") for name in EMBEDDED_MODELS]
    for run, document in zip(runs, documents, strict=True):
        assert run.status == "complete"
        assert len(run.cells) == 7
        clean = next(m for m in document["metrics"] if m["name"] == "clean_error")
        assert clean["value"] == pytest.approx(100 * run.cells[0].error)
        assert clean["label"] == "clean_error[40 of 2000]"
        bits = read_bits(tmp_path / "runs" / f"{run.model.name}--fashion-mnist-2k.json", run)
        assert all(int(bits[cell.key].sum()) == cell.top1 for cell in run.cells)
    assert runs[0].protocol == runs[1].protocol
    assert documents[1]["baseline"] == runs[0].model.name
    assert "ppbench compare" not in result.stderr, "the line is for people"
    told = runner.invoke(app, ["eval", *FEW, "-o", "my runs"]).stderr.splitlines()[-1]
    command = told.removeprefix("paired by image: ")
    assert command == "ppbench compare " + " ".join(
        f"'my runs/{name}--fashion-mnist-2k.json'" for name in EMBEDDED_MODELS
    )
    assert runner.invoke(app, shlex.split(command)[1:]).exit_code == 0


def test_before_it_starts_one_line_says_what_is_measured_and_how(tmp_path: Path) -> None:
    net = tiny_checkpoint(tmp_path / "net.safetensors")
    result = runner.invoke(app, ["eval", "-m", str(net), *FEW, "-o", str(tmp_path / "run.json")])
    first = result.stderr.splitlines()[0]
    for part in ("net: resnet8, weights ", "40 of 2,000 images of fashion-mnist-2k", "2 corruptions x 3 severities"):
        assert part in first
    assert "28 px as is, grey, mean 0.4, std 0.3 | fp32 on cpu" in first
    assert "wrote" in result.stderr


@pytest.mark.parametrize("form", ["rich", "json", "csv", "markdown", "latex"])
def test_every_format_goes_to_stdout_alone(tmp_path: Path, form: str) -> None:
    net = tiny_checkpoint(tmp_path / "net.safetensors")
    result = runner.invoke(app, ["eval", "-m", str(net), *FEW, "-o", str(tmp_path / "run.json"), "--format", form])
    assert result.exit_code == 0
    assert "clean" in result.stdout
    assert "images/s" not in result.stdout
    assert "images/s" in result.stderr


def test_photographs_in_class_folders(tmp_path: Path) -> None:
    net = tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=2)
    folder = write_class_folders(tmp_path / "photos", size=32)
    call = ["eval", "-m", str(net), "--dataset", "imagefolder", "--data", str(folder), "-o", str(tmp_path / "run.json")]
    result = runner.invoke(app, [*call, "-c", "noise", "--workers", "2"])
    assert result.exit_code == 0, result.output
    run = read_run(tmp_path / "run.json")
    assert [cell.n for cell in run.cells] == [6] * 16
    assert run.protocol.source == "generated"


def test_a_published_tree_has_no_clean_images_and_says_so(tmp_path: Path) -> None:
    net = tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=2)
    tree = write_published(tmp_path / "c", ("fog", "snow"), (1, 2))
    call = ["eval", "-m", str(net), "--dataset", "imagefolder", "--data", str(tree), "-o", str(tmp_path / "run.json")]
    result = runner.invoke(app, [*call, "-c", "fog,snow", "-s", "1-2", "--format", "json"])
    assert result.exit_code == 0, result.output
    metrics = {m["name"]: m for m in json.loads(result.stdout)["metrics"]}
    assert metrics["mean_error"]["value"] is not None
    assert metrics["clean_error"]["value"] is None
    assert "clean" in metrics["clean_error"]["reason"]


def test_a_baseline_run_gives_r_net(tmp_path: Path) -> None:
    one, other = (tiny_checkpoint(tmp_path / f"net{seed}.safetensors", seed=seed) for seed in (0, 1))
    runner.invoke(app, ["eval", "-m", str(one), *FEW, "-o", str(tmp_path / "one.json")])
    call = ["eval", "-m", str(other), *FEW, "-o", str(tmp_path / "b.json")]
    result = runner.invoke(app, [*call, "--baseline", str(tmp_path / "one.json"), "--format", "json"])
    metrics = {m["name"]: m for m in json.loads(result.stdout)["metrics"]}
    assert metrics["R_net"]["label"].startswith("R_net[net0,")
    assert metrics["R_net"]["value"] is not None
    assert metrics["mCE"]["label"].startswith("mCE[net0,")


def write_twice(tmp_path: Path, target: Path, *second: str) -> str:
    """Evaluate fog and pixelate, then once more with other options; what the second call said."""
    net = tiny_checkpoint(tmp_path / "net.safetensors")
    call = ["eval", "-m", str(net), "--limit", "20", "--workers", "0", "-s", "1", "-o", str(target)]
    assert runner.invoke(app, [*call, "-c", "fog,pixelate"]).exit_code == 0
    return runner.invoke(app, [*call, *second]).stderr


def test_the_finished_run_of_another_measurement_is_not_replaced_without_a_word(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    write_twice(tmp_path, target)
    before = target.read_bytes()
    other = tiny_checkpoint(tmp_path / "other.safetensors", seed=1)
    call = ["eval", "--limit", "20", "--workers", "0", "-s", "1", "-o", str(target), "-c", "fog,pixelate", "--force"]
    for model, changed, words in (
        (other, (), "is the finished run of net, another measurement (weights)"),
        (tmp_path / "net.safetensors", ("--seed", "1"), "another measurement (seed"),
    ):
        refused = runner.invoke(app, [*call, "-m", str(model), *changed])
        assert refused.exit_code == 2
        assert words in " ".join(refused.stderr.split())
        assert "`--overwrite`" in refused.stderr
        assert target.read_bytes() == before
    assert runner.invoke(app, [*call, "-m", str(tmp_path / "net.safetensors")]).exit_code == 0  # once more
    assert runner.invoke(app, [*call, "-m", str(other), "--overwrite"]).exit_code == 0
    assert read_run(target).model.name == "other"
    target.write_text('{"name": "my-package"}')
    assert "exists and is not a run file" in " ".join(runner.invoke(app, [*call, "-m", str(other)]).stderr.split())
    assert target.read_text() == '{"name": "my-package"}'


def test_predictions_do_not_replace_another_run_without_a_word(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    call = ["eval", "-c", "fog", "-s", "1", "--limit", "20", "--force", "-o", str(target), "--predictions"]
    for number in range(2):
        cells = {name: np.full(20, number) for name in ("clean", "fog/1")}
        np.savez(tmp_path / f"{number}.npz", **cells)
    assert runner.invoke(app, [*call, str(tmp_path / "0.npz")]).exit_code == 0
    assert runner.invoke(app, [*call, str(tmp_path / "0.npz")]).exit_code == 0
    refused = runner.invoke(app, [*call, str(tmp_path / "1.npz")])
    assert refused.exit_code == 2
    assert "is the finished run of 0" in " ".join(refused.stderr.split())


def test_in_a_folder_another_measurement_takes_a_free_name(tmp_path: Path) -> None:
    said = write_twice(tmp_path, tmp_path / "runs", "-c", "fog")
    assert "net--fashion-mnist-2k-2.json" in said
    assert len(read_run(tmp_path / "runs" / "net--fashion-mnist-2k.json").cells) == 3
    assert len(read_run(tmp_path / "runs" / "net--fashion-mnist-2k-2.json").cells) == 2


def test_a_folder_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "runs.v1"
    folder.mkdir()
    write_twice(tmp_path, folder, "-c", "fog,pixelate")
    assert [path.name for path in folder.glob("*.json")] == ["net--fashion-mnist-2k.json"]


def test_in_a_folder_the_same_measurement_takes_its_own_place(tmp_path: Path) -> None:
    write_twice(tmp_path, tmp_path / "runs", "-c", "fog,pixelate")
    assert [path.name for path in (tmp_path / "runs").glob("*.json")] == ["net--fashion-mnist-2k.json"]


def test_a_file_the_user_named_is_replaced_but_a_complete_run_never_by_an_interrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_on_fog(self: GeneratedImages, images: T, corruption: str, severity: int, places: np.ndarray) -> T:
        if corruption == "fog":
            raise DataError("the engine is broken", "Mend it.")
        return images

    target = tmp_path / "run.json"
    write_twice(tmp_path, target, "-c", "fog", "--overwrite")
    assert len(read_run(target).cells) == 2
    monkeypatch.setattr(GeneratedImages, "corrupt", fail_on_fog)
    call = ["eval", "-m", str(tmp_path / "net.safetensors"), "--limit", "20", "--workers", "0", "-s", "1"]
    result = runner.invoke(app, [*call, "-c", "snow,fog", "--overwrite", "-o", str(target)])
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "run.interrupted.json" in result.stderr
    assert "the engine is broken" in result.stderr
    assert read_run(target).status == "complete"
    assert len(read_run(tmp_path / "run.interrupted.json").cells) == 2


SLOW = """
import os, time, torch
from torch import nn

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, 3, stride=3)

    def forward(self, x):
        time.sleep(float(os.environ.get("PASS_TAKES", 0)))
        return self.conv1(x).relu().mean((2, 3))

def make():
    torch.manual_seed(0)
    return Slow()
"""
"""A network that takes its time where a test interrupts it, however fast the machine is."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_exits_130_and_the_same_command_goes_on(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "slow_of_mine", raising=False)
    (tmp_path / "slow_of_mine.py").write_text(SLOW)
    output, journal = tmp_path / "run.json", tmp_path / "run.json.journal"
    call = ["eval", "-m", "slow_of_mine:make", "--mean", "0.4", "--std", "0.3", "--input-size", "28"]
    call += ["-c", "noise", "--limit", "260", "--force", "-o", str(output)]
    # More than 260 passes, ten seconds. When half a second is over, the first scores are written; no cell has all its
    # images: 256 of the clean ones are first, in 17 passes.
    slow = {"PASS_TAKES": "0.04", "FORCE_COLOR": "1", "COLUMNS": "200", "TERM": "xterm"}
    with ppbench_process(*call, **slow) as process:
        deadline = time.monotonic() + 120
        while (not journal.exists() or journal.read_bytes().count(b"\n") < 3) and time.monotonic() < deadline:
            time.sleep(0.005)
        stdout, stderr = interrupt(process, number)
    assert process.returncode == 130, stderr
    assert b"Traceback" not in stderr, stderr.decode()[-3000:]
    assert b"the same command resumes from there" in stderr
    assert stdout == b""
    assert not output.exists()
    if number == signal.SIGTERM:
        return  # what follows is the same, and takes its time
    result = runner.invoke(app, call)
    assert result.exit_code == 0, result.output
    assert "(0 of 16 cells are finished), for " in result.stderr
    assert not journal.exists()
    whole = tmp_path / "whole.json"
    assert runner.invoke(app, [*call[:-1], str(whole)]).exit_code == 0
    assert read_run(output).cells == read_run(whole).cells
    assert read_run(output).protocol == read_run(whole).protocol


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RANK": "0", "WORLD_SIZE": "2"}, "WORLD_SIZE=2 is set, MASTER_ADDR and MASTER_PORT not"),
        ({"RANK": "0", "WORLD_SIZE": "two"}, "WORLD_SIZE=two is not a whole number"),
    ],
)
def test_a_launchers_variables_that_do_not_fit_are_named(
    tmp_path: Path, environment: dict[str, str], message: str
) -> None:
    result = runner.invoke(app, ["eval", "-o", str(tmp_path)], env=environment)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split())
    assert not list(tmp_path.iterdir())


def broken_off(tmp_path: Path, *options: str) -> list[str]:
    """A call that left a journal: one image of a published tree could not be read, and is whole again."""
    net = tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=2)
    tree = write_published(tmp_path / "c", ("fog", "snow"), (1, 2))
    broken = sorted((tree / "snow" / "2").rglob("*.png"))[1]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:200])
    call = ["eval", "-m", str(net), "--dataset", "imagefolder", "--data", str(tree), "-s", "1-2"]
    call += ["--workers", "0", *options]
    result = runner.invoke(app, [*call, "-o", str(tmp_path / "run.json")])
    assert result.exit_code == 3
    assert "1 of 6 images could not be read; the result is of the other 5" in result.stderr
    assert str(broken) in result.stderr
    assert [cell.n for cell in read_run(tmp_path / "run.json").cells] == [5] * 4
    broken.write_bytes(whole)
    return [*call, "-o", str(tmp_path / "run.json")]


def test_mended_images_alone_are_done_again(tmp_path: Path) -> None:
    call = broken_off(tmp_path)
    result = runner.invoke(app, call)
    assert result.exit_code == 0, result.output
    told = "reused 23 of 24 image evaluations, 96 % (3 of 4 cells are finished), for "
    assert f"{told}{tmp_path / 'run.json'}" in result.stderr
    assert read_run(tmp_path / "run.json").status == "complete"
    assert not list(tmp_path.glob("*.journal"))


def photographs_call(tmp_path: Path, *options: str) -> tuple[Path, list[str]]:
    """A folder of ten photographs, and a call that corrupts them on the fly."""
    net = tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=2)
    folder = write_class_folders(tmp_path / "photos", per_class=5, size=40)
    call = [
        "eval",
        "-m",
        str(net),
        "--dataset",
        "imagefolder",
        "--data",
        str(folder),
        "-c",
        "fog,contrast",
        "-s",
        "1-2",
    ]
    return folder, [*call, "--force", "--format", "json", *options]


def test_one_bad_image_hides_no_table_and_a_repaired_one_is_measured(tmp_path: Path) -> None:
    folder, call = photographs_call(tmp_path, "-o", str(tmp_path / "runs"))
    broken = sorted(folder.rglob("*.png"))[3]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:200])
    first = runner.invoke(app, call)
    assert first.exit_code == 3
    labels = [metric["label"] for metric in json.loads(first.stdout)["metrics"] if metric["value"] is not None]
    assert labels
    assert json.loads(first.stdout)["images"]["unreadable"] == ["/".join(broken.parts[-2:])]
    assert all(label.endswith(",9 of 10 images]") or label.endswith("[9 of 10 images]") for label in labels)
    assert "1 of 10 images could not be read; the result is of the other 9" in first.stderr
    skipping = runner.invoke(app, [*call, "--skip-unreadable"])
    assert skipping.exit_code == 0
    assert skipping.stdout == first.stdout
    assert "warning: 1 of 10 images could not be read" in skipping.stderr
    (path,) = (tmp_path / "runs").glob("*.json")
    assert read_run(path).protocol.unreadable == ("/".join(broken.parts[-2:]),)
    broken.write_bytes(whole)
    again = runner.invoke(app, call)
    assert again.exit_code == 0, again.stderr
    assert "reused 45 of 50 image evaluations, 90 %" in again.stderr
    assert [path] == list((tmp_path / "runs").glob("*.json"))
    assert not list((tmp_path / "runs").glob("*.journal"))
    runner.invoke(app, [*call[:-1], str(tmp_path / "fresh.json")])
    assert without_provenance(path) == without_provenance(tmp_path / "fresh.json")


def test_removing_a_damaged_image_keeps_the_results_of_the_others(tmp_path: Path) -> None:
    folder, call = photographs_call(tmp_path, "-o", str(tmp_path / "runs"))
    broken = sorted(folder.rglob("*.png"))[3]
    broken.write_bytes(b"<html>")
    assert runner.invoke(app, call).exit_code == 3
    broken.unlink()
    again = runner.invoke(app, call)
    assert again.exit_code == 0, again.stderr
    assert "reused 45 of 45 image evaluations, 100 %" in again.stderr
    (path,) = (tmp_path / "runs").glob("*.json")
    runner.invoke(app, [*call[:-1], str(tmp_path / "fresh.json")])
    assert without_provenance(path) == without_provenance(tmp_path / "fresh.json")
    assert read_run(path).protocol.total == 9


def test_a_set_that_is_damaged_for_the_most_part_is_not_skipped(tmp_path: Path) -> None:
    folder, call = photographs_call(tmp_path, "-o", str(tmp_path / "run.json"), "--skip-unreadable")
    images = sorted(folder.rglob("*.png"))
    for path in images[:6]:
        path.write_bytes(b"<html>")
    result = runner.invoke(app, call)
    assert result.exit_code == 3
    assert "6 of 10 images could not be read; the result is of the other 4" in result.stderr
    assert json.loads(result.stdout)["metrics"]
    for path in images:
        path.write_bytes(b"<html>")
    result = runner.invoke(app, [*call[:-2], str(tmp_path / "none.json"), "--skip-unreadable"])
    assert result.exit_code == 3
    assert "10 of 10 images could not be read; none is left to measure" in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "none.json").exists()


@pytest.mark.parametrize("stop", ["20", "60", "decided"])
def test_where_no_image_can_be_read_there_is_nothing_to_stop_at(stop: str, tmp_path: Path) -> None:
    folder, call = photographs_call(tmp_path, "-o", str(tmp_path / "run.json"))
    options = ["--until", stop]
    if stop == "decided":
        assert runner.invoke(app, [*call[:-1], str(tmp_path / "whole.json")]).exit_code == 0
        options = ["--until-decided", str(tmp_path / "whole.json"), "--max-drop", "1"]
    for path in folder.rglob("*.png"):
        path.write_bytes(bytes(path.stat().st_size))  # as large as before, so that the baseline is of the same images
    result = runner.invoke(app, [*call, *options])
    assert result.exit_code == 3, result.output
    assert "10 of 10 images could not be read; none is left to measure" in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "run.json").exists()


def test_a_whole_run_is_not_replaced_by_one_without_unreadable_images(tmp_path: Path) -> None:
    call = broken_off(tmp_path)
    assert runner.invoke(app, call).exit_code == 0
    before = (tmp_path / "run.json").read_bytes()
    broken = sorted((tmp_path / "c" / "snow" / "2").rglob("*.png"))[1]
    broken.write_bytes(broken.read_bytes()[:200])
    assert runner.invoke(app, call).exit_code == 2  # other images than those of the run that is there
    assert runner.invoke(app, [*call, "--overwrite"]).exit_code == 3
    assert (tmp_path / "run.json").read_bytes() == before
    assert read_run(tmp_path / "run.partial.json").protocol.n == 5


def test_another_measurement_starts_anew_and_says_why(tmp_path: Path) -> None:
    call = broken_off(tmp_path)
    result = runner.invoke(app, [*call, "--precision", "bf16"])
    assert result.exit_code == 0, result.output
    assert "it is of another measurement (precision, head_precision differ); starting over" in result.stderr
    assert "reused" not in result.stderr
    assert read_run(tmp_path / "run.json").protocol.precision == "bf16"


def test_a_journal_without_predictions_is_used_again_and_that_is_said(tmp_path: Path) -> None:
    call = broken_off(tmp_path)
    journal = tmp_path / "run.json.journal"
    first, *lines = journal.read_bytes().splitlines(keepends=True)
    entries = [content_of(line) or {} for line in lines]
    assert sum("predicted" in entry for entry in entries) > 1
    older = [as_line({name: entry[name] for name in entry if name != "predicted"}) for entry in entries]
    journal.write_bytes(first + b"".join(older))
    result = runner.invoke(app, call)
    assert result.exit_code == 0, result.output
    assert "run.json will have no predictions: the journal of an earlier version, which lacks them" in result.stderr
    assert "reused 23 of 24" in result.stderr
    assert read_run(tmp_path / "run.json").predictions is None
    result = runner.invoke(app, [*call, "--fresh"])
    assert read_run(tmp_path / "run.json").predictions is not None


def test_fresh_does_everything_again(tmp_path: Path) -> None:
    call = broken_off(tmp_path)
    result = runner.invoke(app, [*call, "--fresh"])
    assert result.exit_code == 0
    assert "reused" not in result.stderr


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    call = broken_off(tmp_path)
    with (tmp_path / "run.json.journal").open("ab") as file:
        assert try_lock(file)
        result = runner.invoke(app, call)
    assert result.exit_code == 2
    assert f"another ppbench is writing {'run.json'}" in result.stderr


def test_a_dry_run_says_what_is_left_out(tmp_path: Path) -> None:
    net = tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=2)
    photos = write_class_folders(tmp_path / "photos", size=32)
    (photos / "n00000000" / "a.jxl").write_bytes(b"x")
    call = ["eval", "-m", str(net), "--dataset", "imagefolder", "--data", str(photos), "-c", "fog", "-s", "1"]
    result = runner.invoke(app, [*call, "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "1 .jxl" in result.stderr


@pytest.mark.parametrize("form", ["rich", "json"])
def test_a_dry_run_says_what_it_will_take_and_writes_nothing(tmp_path: Path, form: str) -> None:
    net = tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=2)
    tree = write_published(tmp_path / "c", ("fog", "snow"), (1, 2))
    call = ["eval", "-m", str(net), "--dataset", "imagefolder", "--data", str(tree), "-s", "1-2", "--format", form]
    result = runner.invoke(app, [*call, "--dry-run", "-o", str(tmp_path / "run.json")])
    assert result.exit_code == 0, result.output
    if form == "json":
        found = json.loads(result.stdout)
        assert (found["images"], found["cells"], found["passes"], found["processes"]) == (6, 4, 24, 1)
        size = sum(path.stat().st_size for path in tree.rglob("*.png"))
        assert found["gigabytes"] * 1e9 == pytest.approx(size, rel=0.5)
        assert 0 < found["minutes"] < 5
    else:
        assert "passes  24 images through 1 network" in result.stdout
    assert not list(tmp_path.glob("run.json*"))


def test_predictions_of_another_framework(tmp_path: Path) -> None:
    path = tmp_path / "jax.npz"
    np.savez(path, **{name: np.zeros(40, int) for name in ("clean", "fog/1", "fog/2")})
    call = ["eval", "--predictions", str(path), "-c", "fog", "-s", "1-2", "--limit", "40", "--format", "json"]
    result = runner.invoke(app, [*call, "-o", str(tmp_path / "run.json")])
    assert result.exit_code == 0, result.output
    metrics = {m["name"]: m for m in json.loads(result.stdout)["metrics"]}
    assert metrics["mean_error"]["value"] == pytest.approx(90)  # class 0 is a tenth
    run = read_run(tmp_path / "run.json")
    assert (run.model.name, run.protocol.precision, run.cells[0].nll_micronats) == ("jax", "unknown", None)


def test_some_classes_of_imagenet_with_masked_logits(tmp_path: Path) -> None:
    net = tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=1000)
    tree = write_class_folders(tmp_path / "val", classes=4, size=32)
    for folder, wnid in zip(sorted(tree.iterdir()), ("n01440764", "n01443537", "n02099601", "n15075141"), strict=True):
        folder.rename(tree / wnid)
    chosen = tmp_path / "classes.txt"
    chosen.write_text("n15075141\nn01443537\nn01440764\n")
    call = ["eval", "-m", str(net), "--dataset", "imagefolder", "--data", str(tree), "--classes", str(chosen)]
    result = runner.invoke(
        app, [*call, "-c", "fog", "-s", "1", "--force", "--format", "json", "--workers", "0", "-o", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    assert "3 of 1000 classes, the other outputs masked" in result.stderr
    run = read_run(next(tmp_path.glob("net--imagefolder.json")))
    assert run.protocol.classes is not None
    assert (run.protocol.classes.n, run.protocol.classes.logits, run.protocol.total) == (3, "masked", 9)
    labels = [m["label"] for m in json.loads(result.stdout)["metrics"]]
    assert any("3 classes masked" in label for label in labels)


def test_weights_of_a_torchvision_network_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18(num_classes=2).state_dict(), tmp_path / "own.pth")
    photos = write_class_folders(tmp_path / "photos", size=40)
    call = ["eval", "-m", f"torchvision:resnet18@{tmp_path / 'own.pth'}", "--dataset", "imagefolder"]
    call += ["--data", str(photos), "-c", "contrast", "-s", "1", "--workers", "0", "-o", str(tmp_path / "run.json")]
    refused = runner.invoke(app, call)
    assert refused.exit_code == 2
    assert "--preset imagenet" in refused.stderr
    result = runner.invoke(app, [*call, "--preset", "half", "--input-size", "32", "--force"])
    assert result.exit_code == 0, result.output
    assert "| crop 32, mean 0.5/0.5/0.5, std 0.5/0.5/0.5 |" in result.stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--precision", "fp8"], 2, "unknown precision 'fp8'"),
        (["--precision", "tf32", "--device", "cpu"], 2, "--precision tf32 is not for cpu"),
        (["--resize", "2"], 2, "--resize 2 is not allowed"),
        (["--mean", "0.5,x"], 2, "--mean"),
        (["--logits", "none"], 2, "unknown value of --logits 'none'"),
        (["--classes", "nowhere.txt"], 3, "cannot read nowhere.txt"),
        (["--predictions", "p.npz", "-m", "x"], 2, "--model and --predictions are given"),
        (["--predictions", "p.npz"], 3, "cannot read the predictions p.npz"),
    ],
)
def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, ["eval", "-c", "fog", "-s", "1", "--limit", "20", *options])
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("option", ["--until-decided", "--baseline"])
@pytest.mark.parametrize("target", ["old.json", "moved.json", "elsewhere/../old.json"])
def test_a_baseline_is_never_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_run(make_errors(0))
    write_run(Path("moved.json"), run, make_bits(run))
    Path("moved.json").rename("old.json")  # its bits keep their name: those of moved.json would take their place
    Path("elsewhere").mkdir()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    result = runner.invoke(app, ["eval", "-m", "fashion-mnist-resnet8", *FEW, option, "old.json", "-o", target])
    assert result.exit_code == 2
    assert "would overwrite" in result.stderr
    assert "Choose another name" in result.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
