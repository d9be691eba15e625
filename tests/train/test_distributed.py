"""Two processes (gloo) that train together, against one."""

from __future__ import annotations

import csv
import socket
import subprocess
from pathlib import Path

import pytest
import torch

from ppbench.models.checkpoint import load_checkpoint
from ppbench.train.draws import draw_epoch
from tests.forks import PPBENCH, Forked, fork, python, run
from tests.train.trees import write_image_folders
from tests.trees import write_fashion_mnist

SCRIPT = Path(__file__).with_name("gradients.py")


def _start(data: Path, folder: Path, **environment: str) -> Forked:
    folder.mkdir(exist_ok=True)
    return fork(SCRIPT.read_text(), str(data), str(folder), **environment)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _finish(processes: list[Forked]) -> None:
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said.decode()


def _train_in_two(data: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """``ppbench train --devices 2``, which starts the second process itself."""
    values = {"--model": "resnet8", "--epochs": "1", "--device": "cpu", "--devices": "2", "--workers": "0"}
    call = [text for pair in values.items() for text in pair]
    call += ["--data", str(data), "--output", str(output), *options]
    # Lightning starts the second process as Python.
    return run(f"import sys\nsys.executable = {python()!r}\n{PPBENCH}", "train", *call, OMP_NUM_THREADS="1")


@pytest.mark.parametrize("place", [0, 1], ids=["first process", "other process"])
def test_an_image_that_one_process_cannot_read_is_told_once(tmp_path: Path, place: int) -> None:
    data = write_image_folders(tmp_path / "data", train=6, val=2)
    names = sorted(path.relative_to(data / "train") for path in (data / "train").rglob("*.png"))
    number = int(draw_epoch(0, 0, len(names)).order[place])  # every second image of a batch is that process's
    (data / "train" / names[number]).write_bytes(b"no image")
    small = ("--dataset", "imagefolder", "--resize", "0", "--crop-size", "32", "--test-resize", "0")
    done = _train_in_two(data, tmp_path / "net.safetensors", *small, "--batch-size", "6")
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("cannot read the image") == 1
    assert names[number].name in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_diverged_run_is_told_once(tmp_path: Path) -> None:
    data = write_fashion_mnist(tmp_path / "data", 100, 10)
    done = _train_in_two(data, tmp_path / "net.safetensors", "--batch-size", "20", "--lr", "1e9")
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("the loss is not a finite number") == 1
    assert "Traceback" not in done.stderr


def test_two_processes_make_the_steps_of_one(tmp_path: Path) -> None:
    """Equal gradients in the first step; then equal losses, accuracies and, up to rounding, weights."""
    data = write_fashion_mnist(tmp_path / "data", 100, 50)  # 48 + 48 + 4 images: the last batch is shared as well
    # What torchrun sets.
    group = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    group |= {"TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": "0"}
    _finish([_start(data, tmp_path / "two", RANK=str(rank), LOCAL_RANK=str(rank), **group) for rank in (0, 1)])
    _finish([_start(data, tmp_path / "one")])
    one, two = (torch.load(tmp_path / name / "gradients.pt", weights_only=True) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-6, msg=name)
    logs = [list(csv.DictReader((tmp_path / name / "log" / "metrics.csv").open())) for name in ("one", "two")]
    for row_one, row_two in zip(*logs, strict=True):
        assert row_one["step"] == row_two["step"]
        assert float(row_two["loss"]) == pytest.approx(float(row_one["loss"]), rel=1e-3)
        assert float(row_two["accuracy"]) == pytest.approx(float(row_one["accuracy"]), abs=0.021)
    weights = [load_checkpoint(tmp_path / name / "net.safetensors").model.state_dict() for name in ("one", "two")]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-4, msg=name)
