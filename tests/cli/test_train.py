"""``ppbench train`` as a user runs it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.models.checkpoint import load_checkpoint
from tests.processes import interrupt, ppbench_process
from tests.trees import write_fashion_mnist

runner = CliRunner()


def test_a_checkpoint_is_written_and_can_be_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_fashion_mnist(tmp_path / "data")
    call = ["train", "--model", "resnet8-pp", "--data", str(data), "--epochs", "2", "--batch-size", "50"]
    result = runner.invoke(app, [*call, "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("resnet8-pp-fashion-mnist.safetensors: ")
    assert "GPU available" not in result.output
    card = load_checkpoint("resnet8-pp-fashion-mnist.safetensors").card
    assert card.architecture == "resnet8-pp3"
    few = ["-c", "fog", "-s", "1", "--limit", "20", "--workers", "0"]
    measured = runner.invoke(app, ["eval", "-m", "resnet8-pp-fashion-mnist.safetensors", *few])
    assert measured.exit_code == 0, measured.output


def test_ctrl_c_exits_130_and_the_same_command_goes_on(tmp_path: Path) -> None:
    data = write_fashion_mnist(tmp_path / "data", train=1000)
    output = tmp_path / "net.safetensors"
    call = ["train", "--model", "resnet8", "--data", str(data), "--output", str(output), "--device", "cpu"]
    state, deadline = tmp_path / "net.safetensors.part" / "last.ckpt", time.monotonic() + 120
    with ppbench_process(*call, "--epochs", "200") as process:
        while not state.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        stdout, stderr = interrupt(process)
    assert process.returncode == 130, stderr.decode()
    assert b"Traceback" not in stderr
    assert b"interrupted" in stderr
    assert stdout == b""
    assert state.exists()
    assert not output.exists()


def test_without_lightning_the_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['lightning'] = None\n"
        f"sys.argv = ['ppbench', 'train', '--model', 'resnet8', '--data', {str(tmp_path)!r}]\n"
        "from ppbench.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'ppbench[train]'" in done.stderr
    assert "Traceback" not in done.stderr
