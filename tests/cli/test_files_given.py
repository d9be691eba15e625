"""Every option and argument that takes a file: what is said if the file is missing, a folder, or cannot have a name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from tests.trees import write_fashion_mnist

RUNS = Path(__file__).parents[1] / "golden" / "runs"
runner = CliRunner()

READERS = [
    "show {}",
    "show old.json --baseline {}",
    "show old.json --normalizer {}",
    "compare {} old.json",
    "compare old.json {}",
    "report {} -o page.html",
    "report old.json --baseline {} -o page.html",
    "report old.json --normalizer {} -o page.html",
    "check {} --baseline old.json --max-drop mean=1",
    "check like.json --baseline {} --max-drop mean=1",
    "check like.json --baseline old.json --config {}",
    "plot {} -o plot.svg",
    "plot old.json --baseline {} --kind forest -o plot.svg",
    "plot old.json --normalizer {} --quantity CE -o plot.svg",
    "report {} --index -o site",
    "report old.json --data {} -o page.html",
    "eval --stream ccc --calibration {} --device cpu",
    "eval --model fashion-mnist-resnet8 --data {} --device cpu",
    "eval --model onnx:{} --device cpu",
    "calibrate --data {} -o calibration.csv",
    "export {} -o net.onnx",
    "eval --predictions {} --device cpu",
    "eval --baseline {} --limit 20 --device cpu",
    "eval --classes {} --limit 20 --device cpu",
    "eval --until-decided {} --limit 20 --device cpu -o runs",
    "corrupt {}",
    "inspect {}",
    "inspect fashion-mnist-resnet8 {} --draws 16",
    "inspect fashion-mnist-resnet8 --against {} --draws 16",
    "convert --model {} --keep-statistics",
    "train --data data --recipe {}",
    "train --data data --init {}",
    "train --data data --classes {} --device cpu --workers 0 --epochs 1",
    "reproduce --table {} --list",
    "reproduce --table reproduce.toml --checkpoint plain={} --dry-run",
]
NAMES = {
    "missing": "there/is/none{}",
    "a folder": "folder{}",
}
SUFFIXES = {
    "--config": ".toml", "--recipe": ".toml", "--table": ".toml", "--classes": ".txt", "--init": ".safetensors",
    "--model": ".safetensors", "--against": ".safetensors", "--checkpoint": ".safetensors", "--predictions": ".npz",
    "inspect {}": ".safetensors", "corrupt": ".png", "resnet8 {}": ".png",
}  # fmt: skip
"""The ending of the names, by a part of the command; all others read run files."""


def ending(command: str) -> str:
    return next((suffix for part, suffix in SUFFIXES.items() if part in command), ".json")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    shutil.copytree(RUNS, folder, dirs_exist_ok=True)
    write_fashion_mnist(folder / "data", 20, 10)
    for suffix in {*SUFFIXES.values(), ".json"}:
        (folder / f"folder{suffix}").mkdir()
    return folder


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("what", NAMES)
def test_a_file_that_cannot_be_read_ends_with_3(
    command: str, what: str, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(inputs)
    name = NAMES[what].format(ending(command))
    result = runner.invoke(app, [word.replace("{}", name) for word in command.split()])
    assert result.exit_code == 3, result.output
    assert name in " ".join(result.stderr.split())
    assert result.stdout == ""


@pytest.mark.parametrize("command", READERS)
def test_a_name_with_a_nul_is_refused(command: str, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(inputs)
    name = "there\0is" + ending(command)
    result = runner.invoke(app, [word.replace("{}", name) for word in command.split()])
    assert result.exit_code == 2, result.output
    assert "has a NUL character" in result.stderr
