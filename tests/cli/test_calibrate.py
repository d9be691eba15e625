"""The command that makes calibrations, and the stream that uses one."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.run import read_run
from ppbench.streams.calibration import read_calibration
from ppbench.streams.walk import STREAM_LEVELS

pytestmark = pytest.mark.usefixtures("_small_forwards")

RUNNER = CliRunner()
NET = "fashion-mnist-resnet8"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calibrate") / "hard.csv"
    done = RUNNER.invoke(app, ["calibrate", "-m", NET, "--stream", "ccc:hard", "--limit", "8", "-o", str(path)])
    assert done.exit_code == 0, done.output
    assert "81 accuracies, of single corruptions: those of pairs are products of two" in done.output
    return path


def test_a_stream_is_measured_with_it_and_shown(made: Path, tmp_path: Path) -> None:
    names = STREAM_LEVELS["hard"].corruptions
    assert read_calibration(made).is_of_products(names)
    given = ["eval", "-m", NET, "--stream", "ccc:hard:10", "--calibration", str(made), "--seed", "43", "--limit", "60"]
    done = RUNNER.invoke(app, [*given, "-o", str(tmp_path / "run.json")])
    assert done.exit_code == 0, done.output
    record = read_run(tmp_path / "run.json").protocol.stream
    assert record is not None
    assert record.calibration == read_calibration(made).sha256(names)
    output = " ".join(done.output.split())
    assert "stream_accuracy[ccc:hard,10 a point" in output
    assert f"calibration {record.calibration[:8]} of products" in output
    assert "over the 6 points of the walk" in output
    assert "60 of 60 frames, " in done.stderr
    assert " frames/s, elapsed " in done.stderr


def test_without_a_calibration_the_command_says_what_to_do() -> None:
    done = RUNNER.invoke(app, ["eval", "-m", NET, "--stream", "ccc"])
    assert done.exit_code == 3
    assert "ppbench calibrate" in done.output


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (["--classes", "none.txt"], 3, "cannot read none.txt"),
        (["--labels", "none.csv"], 2, "--labels FILE.csv is for clean images in files"),
        (["--labels", "predicted"], 2, "--labels predicted is not for a calibration"),
        (["--resize", "4"], 2, "--resize 4 is not allowed"),
        (["--exif"], 2, "--exif is for clean images in files"),
    ],
)
def test_options_of_images_reach_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = RUNNER.invoke(app, ["calibrate", "-m", NET, "-o", "c.csv", *given])
    assert done.exit_code == code, done.output
    assert message in " ".join(done.output.split())


def test_an_output_is_replaced_only_if_asked_for(made: Path, tmp_path: Path) -> None:
    given = ["calibrate", "-m", NET, "--stream", "ccc:hard", "--limit", "8", "-o"]
    before = made.read_bytes()
    done = RUNNER.invoke(app, [*given, str(made)])
    assert done.exit_code == 2
    assert "or replace it: `--overwrite`" in " ".join(done.output.split())
    assert made.read_bytes() == before
    folder = RUNNER.invoke(app, [*given, str(tmp_path)])
    assert folder.exit_code == 3
    assert "it is a folder" in " ".join(folder.output.split())
