"""Two processes (gloo) that train together, against one."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ppbench.models.checkpoint import load_checkpoint
from tests.trees import write_fashion_mnist

SCRIPT = Path(__file__).with_name("gradients.py")
ROOT = Path(__file__).parents[2]


def _start(data: Path, folder: Path, **environment: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(data), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _finish(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said


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
