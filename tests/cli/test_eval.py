"""``ppbench eval`` as a user runs it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.data.generated import GeneratedImages
from ppbench.errors import DataError
from ppbench.models.embedded import EMBEDDED_MODELS
from ppbench.run import read_bits, read_run
from tests.evaluation.models import tiny_checkpoint
from tests.processes import interrupt, ppbench_process
from tests.trees import write_class_folders, write_published

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


def test_before_it_starts_one_line_says_what_is_measured_and_how(tmp_path: Path) -> None:
    net = tiny_checkpoint(tmp_path / "net.safetensors")
    result = runner.invoke(app, ["eval", "-m", str(net), *FEW, "-o", str(tmp_path / "run.json")])
    first = result.stderr.splitlines()[0]
    for part in ("net: resnet8, weights ", "40 of 2,000 images of fashion-mnist-2k", "2 corruptions x 3 severities"):
        assert part in first
    assert "28 px as is, grey, mean 0.4, std 0.3 | cpu" in first
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
    call = ["eval", "-m", str(net), "--dataset", "imagenet-c", "--data", str(tree), "-o", str(tmp_path / "run.json")]
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
    def fail_on_fog(self: GeneratedImages, corruption: str, severity: int, places: np.ndarray) -> np.ndarray:
        if corruption == "fog":
            raise DataError("the image is broken", "Replace it.")
        return self.clean.load(places)

    target = tmp_path / "run.json"
    write_twice(tmp_path, target, "-c", "fog")
    assert len(read_run(target).cells) == 2
    monkeypatch.setattr(GeneratedImages, "load", fail_on_fog)
    call = ["eval", "-m", str(tmp_path / "net.safetensors"), "--limit", "20", "--workers", "0", "-s", "1"]
    result = runner.invoke(app, [*call, "-c", "snow,fog", "-o", str(target)])
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "run.interrupted.json" in result.stderr
    assert "the image is broken" in result.stderr
    assert read_run(target).status == "complete"
    assert len(read_run(tmp_path / "run.interrupted.json").cells) == 2


def test_ctrl_c_exits_130_and_keeps_the_finished_cells(tmp_path: Path) -> None:
    net = tiny_checkpoint(tmp_path / "net.safetensors")
    output = tmp_path / "run.json"
    call = ["eval", "-m", str(net), "-c", "noise,blur,weather", "-o", str(output)]
    seen, deadline = b"", time.monotonic() + 120
    with ppbench_process(*call, "--workers", "2", FORCE_COLOR="1", COLUMNS="200", TERM="xterm") as process:
        assert process.stderr is not None
        # The live display names the cell: at severity 3 the clean cell and two more are finished.
        while b"gaussian_noise 3" not in seen and time.monotonic() < deadline:
            seen += os.read(process.stderr.fileno(), 4096)
        stdout, stderr = interrupt(process)
    assert process.returncode == 130, stderr
    assert b"Traceback" not in seen + stderr, stderr.decode()[-3000:]
    assert stdout == b""
    run = read_run(output)
    assert run.status == "interrupted"
    assert [cell.key for cell in run.cells[:3]] == [("clean", 0), ("gaussian_noise", 1), ("gaussian_noise", 2)]
    assert len(read_bits(output, run)) == len(run.cells) < 56
    shown = runner.invoke(app, ["show", str(output), "--format", "json"])
    mean_error = next(m for m in json.loads(shown.stdout)["metrics"] if m["name"] == "mean_error")
    assert mean_error["value"] is None
    assert "lacks" in mean_error["reason"]
