"""``ppbench train`` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.models.checkpoint import load_checkpoint
from ppbench.train.recipe import recipe_names
from tests.forks import PPBENCH, run
from tests.processes import ppbench_process
from tests.train.trees import write_image_folders
from tests.trees import write_fashion_mnist

pytestmark = pytest.mark.usefixtures("_small_forwards")

runner = CliRunner()

UNLOADED = """\
import sys
for name in [name for name in sys.modules if name.startswith(("lightning", "ppbench."))]:
    del sys.modules[name]
"""
"""Begins the program of a forked process that loads Lightning and ppbench by itself."""


def test_a_checkpoint_is_written_and_can_be_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_fashion_mnist(tmp_path / "data", 60, 20)
    call = ["train", "--model", "resnet8-pp", "--data", str(data), "--epochs", "2", "--batch-size", "20"]
    result = runner.invoke(app, [*call, "--device", "cpu", "--augment", "trivialaugment", "--workers", "0"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("resnet8-pp-fashion-mnist.safetensors: ")
    assert "epoch 2/2  loss " in result.stderr
    assert "GPU available" not in result.output
    card = load_checkpoint("resnet8-pp-fashion-mnist.safetensors").card
    assert card.architecture == "resnet8-pp3"
    assert card.recipe is not None
    assert (card.recipe["name"], card.recipe["epochs"], card.recipe["weight_decay"]) == ("fashion-mnist", 2, 2e-4)
    few = ["-c", "fog,contrast,brightness", "-s", "1", "--limit", "10", "--workers", "0"]
    measured = runner.invoke(app, ["eval", "-m", "resnet8-pp-fashion-mnist.safetensors", *few, "--output", "a.json"])
    assert measured.exit_code == 0, measured.output
    overlaps = json.loads(Path("a.json").read_text())["model"]["card"]["trained_on_corruptions"]
    assert overlaps == ["brightness", "contrast", "saturate", "gaussian_blur"]
    note = "rained on augmentations that overlap with: brightness, contrast."
    assert f"T{note}" in " ".join(measured.stdout.split())
    runner.invoke(app, ["eval", "-m", "fashion-mnist-resnet8", *few, "--output", "b.json"])
    compared = runner.invoke(app, ["compare", "b.json", "a.json"])
    assert f"resnet8-pp-fashion-mnist: t{note}" in " ".join(compared.stdout.split())
    both = ["-m", "resnet8-pp-fashion-mnist.safetensors", "-m", "fashion-mnist-resnet8"]
    side_by_side = runner.invoke(app, ["eval", *both, *few, "--output", "runs"])
    assert f"resnet8-pp-fashion-mnist: t{note}" in " ".join(side_by_side.stdout.split())


def test_a_folder_of_images_is_trained_on_and_the_result_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_image_folders(tmp_path / "data", train=6, val=2)
    (tmp_path / "two.txt").write_text("n00000000\nn00000002\n")
    call = ["train", "--data", str(data), "--dataset", "imagefolder", "--recipe", "paper-imagenet100-20"]
    small = ["--epochs", "1", "--batch-size", "4", "--resize", "36", "--crop-size", "32", "--test-resize", "34"]
    others = ["--classes", "two.txt", "--no-flip", "--log-dir", "log", "--workers", "0", "--device", "cpu"]
    result = runner.invoke(app, [*call, "--model", "resnet20-pp5", *small, *others, "-o", "net.safetensors"])
    assert result.exit_code == 0, result.output
    card = load_checkpoint("net.safetensors").card
    assert card.class_names == ("n00000000", "n00000002")
    assert (card.input_size, card.resize, card.num_classes) == (32, 34, 2)
    assert (tmp_path / "log" / "metrics.csv").is_file()
    few = ["-c", "fog", "-s", "1", "--dataset", "imagefolder", "--data", "data/val", "--classes", "two.txt"]
    measured = runner.invoke(app, ["eval", "-m", "net.safetensors", *few, "--workers", "0"])
    assert measured.exit_code == 0, measured.output


@pytest.mark.parametrize(
    ("number", "everyone", "workers"),
    [(signal.SIGINT, True, 1), (signal.SIGTERM, False, 2), (signal.SIGTERM, True, 2)],
    ids=["ctrl-c", "sigterm", "sigterm to the workers too"],
)
def test_a_signal_ends_it_with_130_and_the_state_is_kept(
    tmp_path: Path, number: int, everyone: bool, workers: int
) -> None:
    data = write_fashion_mnist(tmp_path / "data", train=60, test=10)
    output = tmp_path / "net.safetensors"
    call = ["train", "--model", "resnet8", "--data", str(data), "--output", str(output), "--device", "cpu"]
    call += ["--augment", "trivialaugment", "--workers", str(workers), "--batch-size", "20"]
    state, deadline = tmp_path / "net.safetensors.part" / "last.ckpt", time.monotonic() + 120
    with ppbench_process(*call, "--epochs", "400") as process:
        while not state.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        (os.killpg if everyone else os.kill)(process.pid, number)
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr.decode()
    assert b"Traceback" not in stderr
    assert b"interrupted" in stderr
    assert stdout == b""
    assert state.exists()
    assert not output.exists()


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_NTASKS": "4", "SLURM_PROCID": "2", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "x", "SLURM_LOCALID": "2"},
        {"RANK": "0", "WORLD_SIZE": ""},
        {"LOCAL_RANK": "1", "NODE_RANK": "1", "RANK": "1"},
        {"OMPI_COMM_WORLD_SIZE": "2", "PMI_SIZE": "2", "PMI_RANK": "1", "CUDA_VISIBLE_DEVICES": ""},
    ],
    ids=["a Slurm job", "empty", "ranks of no world", "MPI"],
)
def test_what_a_launcher_left_is_no_other_process(tmp_path: Path, environment: dict[str, str]) -> None:
    data, output = write_fashion_mnist(tmp_path / "data", 20, 10), tmp_path / "net.safetensors"
    call = ["train", "--data", str(data), "-o", str(output), "--epochs", "1", "--batch-size", "10", "--device", "cpu"]
    result = runner.invoke(app, call, env=environment)
    assert result.exit_code == 0, result.output
    assert output.is_file()


def test_empty_variables_do_not_reach_what_reads_them_at_import(tmp_path: Path) -> None:
    # That is Lightning, which a forked process has loaded.
    empty = dict.fromkeys(("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK"), "")
    call = ("train", "--data", str(tmp_path / "none"), "-o", str(tmp_path / "n"))
    done = run(UNLOADED + PPBENCH, *call, **empty)
    assert done.returncode == 3, done.stderr  # there is no such folder, and 70 before
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "SLURM_LOCALID"])
@pytest.mark.parametrize(
    "call",
    [
        ["train", "--data", "none"],
        ["eval", "-m", "none.pth"],
        ["convert", "-m", "none.pth", "--data", "none", "--recipe", "paper-cifar"],
        ["reproduce", "--table", "fashion-mnist", "--list"],
        ["inspect", "none.pth"],
    ],
    ids=lambda call: call[0],
)
def test_a_rank_that_is_no_number_is_named_by_every_command_that_a_launcher_may_start(
    call: list[str], name: str
) -> None:
    result = runner.invoke(app, call, env={name: "x"})
    assert result.exit_code == 2, result.output
    assert f"{name}=x is not a whole number" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RANK": "0", "WORLD_SIZE": "2"}, "WORLD_SIZE=2 is set, MASTER_ADDR and MASTER_PORT not"),
        (
            {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29999"},
            "--devices 1 is not allowed: the launcher has started 2 processes",
        ),
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "1"}, "the launcher has started 4 processes"),
        ({"RANK": "x"}, "RANK=x is not a whole number"),
    ],
)
def test_processes_that_do_not_fit_are_named(tmp_path: Path, environment: dict[str, str], message: str) -> None:
    data = write_fashion_mnist(tmp_path / "data", 20, 10)
    call = ["train", "--data", str(data), "-o", str(tmp_path / "net.safetensors"), "--device", "cpu"]
    result = runner.invoke(app, call, env=environment)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--recipe", "paper-imagenet"], 2, "unknown training recipe 'paper-imagenet'"),
        (["--recipe", "none.toml"], 3, "cannot read the recipe none.toml"),
        (["--recipe", "mine.toml"], 2, "unknown key 'epoch' in the recipe mine.toml"),
        (["--augment", "augmax"], 2, "unknown augmentation 'augmax'"),
        (["--dataset", "mnist"], 2, "unknown training dataset 'mnist'"),
        (["--model", "resnet9"], 2, "unknown model 'resnet9'"),
        (["--workers", "-1"], 2, "--workers -1 is not allowed"),
        (["--validate-every", "-2"], 2, "--validate-every -2 is not allowed"),
        (["--model", "resnet8-pp3", "--inhibition", "-1"], 2, "--inhibition -1.0 is not allowed"),
        (["--fraction", "1e-9"], 2, "--fraction 1e-09 is not allowed"),
        (["--lr", "0"], 2, "--lr 0.0 is not allowed"),
        (["--fraction", "2"], 2, "--fraction 2.0 is not allowed"),
        (["--precision", "fp16", "--device", "cpu"], 2, "--precision fp16 needs a GPU"),
        (["--jsd"], 2, "jsd compares augmented views"),
        (["--dataset", "imagefolder", "--model", "resnet18"], 3, "have no labels"),
        (["--classes", "none.txt"], 3, "cannot read none.txt"),
        (["--init", "none.safetensors"], 3, "none.safetensors"),
    ],
)
def test_a_users_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_fashion_mnist(tmp_path / "data", 20, 10)
    (data / "loose.png").write_bytes(b"")
    (tmp_path / "mine.toml").write_text("epoch = 3\n")
    result = runner.invoke(app, ["train", "--data", str(data), *options])
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.glob("*.part"))


def test_a_run_that_diverges_ends_with_1_and_what_to_try(tmp_path: Path) -> None:
    data = write_fashion_mnist(tmp_path / "data", 30, 10)
    call = ["train", "--data", str(data), "--epochs", "1", "--batch-size", "10", "--lr", "1e9", "--device", "cpu"]
    result = runner.invoke(app, [*call, "--output", str(tmp_path / "net.safetensors")])
    assert result.exit_code == 1
    assert "the loss is not a finite number at epoch 1, step " in result.stderr
    assert "`--grad-clip 1`" in result.stderr
    assert not (tmp_path / "net.safetensors").exists()
    call[call.index("1e9")] = "0.01"  # as it says
    result = runner.invoke(app, [*call, "--output", str(tmp_path / "net.safetensors")])
    assert result.exit_code == 0, result.output


def test_a_finished_network_is_taken_or_not_overwritten(tmp_path: Path) -> None:
    data, output = write_fashion_mnist(tmp_path / "data", 20, 10), tmp_path / "net.safetensors"
    call = [
        "train",
        "--data",
        str(data),
        "--epochs",
        "1",
        "--batch-size",
        "10",
        "--device",
        "cpu",
        "--output",
        str(output),
    ]
    first, again = runner.invoke(app, call), runner.invoke(app, call)
    assert (first.exit_code, again.exit_code) == (0, 0), again.output
    assert again.stdout == first.stdout
    assert "already finished: " in again.stderr
    assert "epoch 1/1" not in again.stderr
    other = runner.invoke(app, [*call, "--seed", "3"])
    assert other.exit_code == 2
    assert "exists and was trained with another recipe (seed)" in other.stderr
    assert "`--overwrite`" in other.stderr
    assert load_checkpoint(output).card.seed == 0
    replaced = runner.invoke(app, [*call, "--seed", "3", "--overwrite"])
    assert replaced.exit_code == 0, replaced.output
    assert load_checkpoint(output).card.seed == 3
    onto_itself = runner.invoke(app, [*call, "--init", str(output), "--overwrite"])
    assert onto_itself.exit_code == 2
    assert "is the network given as `--init`" in onto_itself.stderr


def test_recipes_are_listed() -> None:
    listed = runner.invoke(app, ["list", "training-recipes", "--names"])
    assert listed.stdout.split() == recipe_names()
    assert "paper-imagenet-20" in runner.invoke(app, ["list", "training-recipes"]).stdout


def test_without_lightning_the_extra_is_named(tmp_path: Path) -> None:
    missing = "sys.modules['lightning'] = None\n"
    done = run(UNLOADED + missing + PPBENCH, "train", "--model", "resnet8", "--data", str(tmp_path))
    assert done.returncode == 2
    assert "uv sync --extra train" in done.stderr
    assert "Traceback" not in done.stderr
