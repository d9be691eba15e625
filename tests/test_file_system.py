"""What is no file or no folder, wherever a command takes one: it is left out and listed, or refused, at once.

A pipe that nobody writes to, devices, links in a ring, names that are not UTF-8, and the system's own folders.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.run import write_run
from tests.builders import make_bits, make_run
from tests.evaluation.models import tiny_checkpoint
from tests.trees import class_names, write_cifar_c, write_class_folders, write_imagenet_c

pytestmark = [
    pytest.mark.usefixtures("_small_forwards"),
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes"),
]

PATIENCE = 60
"""Seconds after which a call counts as hanging. Each takes less than one, but the machine may be busy."""


class HangsError(BaseException):
    """The call waits."""


def odd_files(folder: Path, image: bytes) -> None:
    """Everything that is no image, under names that say it is one."""
    os.mkfifo(folder / "pipe.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "there.png").symlink_to("back.png")
    (folder / "back.png").symlink_to("there.png")
    (folder / "ring").symlink_to(folder.resolve())
    (folder / "proc").symlink_to("/proc")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_bytes(image)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, published sets and runs, with such files among them."""
    folder = tmp_path_factory.mktemp("odd")
    tiny_checkpoint(folder / "net.safetensors", size=32, channels=3, classes=2)
    photos = write_class_folders(folder / "photos", per_class=3, size=32)
    image = next(photos.rglob("*.png")).read_bytes()
    try:
        odd_files(photos, image)
        odd_files(photos / "n00000000", image)
    except OSError:
        pytest.skip("this file system has no such names")
    shutil.copytree(write_class_folders(folder / "plain", size=32), folder / "begun")
    published = write_imagenet_c(folder / "published", ("fog",), (1,), names=class_names(2))
    os.mkfifo(published / "fog/1/n00000000/pipe.JPEG")
    arrays = write_cifar_c(folder / "arrays", ("fog",), count=2)
    os.mkfifo(arrays / "frost.npy")
    for name in ("fm/t10k-images-idx3-ubyte.gz", "hf/config.json", "begun-c/manifest.json", "begun-d/.ppbench/journal"):
        (folder / name).parent.mkdir(parents=True)
        os.mkfifo(folder / name)
    for ending in ("", ".png", ".npy", ".tar", ".parquet", ".json", ".csv", ".onnx", ".safetensors", ".html", ".txt"):
        os.mkfifo(folder / f"pipe{ending}")
    run = make_run(name="a", n=8, corruptions=("fog",), severities=(1,))
    (folder / "runs").mkdir()
    for path in (folder / "runs" / "a.json", folder / "run.json", folder / "runs" / os.fsdecode(b"\xff.json")):
        write_run(path, run, make_bits(run))
    for name in ("x.json", "x.html"):
        os.mkfifo(folder / "runs" / name)
    (folder / "runs" / "zero.json").symlink_to("/dev/zero")
    (folder / "runs" / "ring").symlink_to(folder / "runs")
    return folder


@pytest.fixture(autouse=True)
def _in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In the folder, with an alarm for what waits for ever."""

    def hangs(*_: Any) -> None:
        raise HangsError

    monkeypatch.chdir(folder)
    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def ended(command: str) -> tuple[int, str, BaseException | None]:
    """Exit code, what was said in one line, and an exception that nobody caught."""
    done = CliRunner().invoke(app, command.split())
    error = None if isinstance(done.exception, SystemExit) else done.exception
    return done.exit_code, " ".join(done.stderr.split()), error


EVAL = "eval -m net.safetensors --device cpu -c fog -s 1 --force"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (f"{EVAL} --data photos -o eval.json", "2 pipes or devices"),
        (f"{EVAL} --data photos --labels predicted -o predicted.json", "4 pipes or devices"),
        ("corrupt photos copies -c fog -s 1", "4 pipes or devices"),
        ("corrupt photos sequences --perturbation rotate --dry-run", "4 pipes or devices"),
        ("convert -m net.safetensors --data photos -o converted.safetensors", "2 pipes or devices"),
        ("report runs --index -o site", "left out"),
    ],
)
def test_what_is_no_image_is_left_out_and_listed(command: str, told: str) -> None:
    code, said, error = ended(command)
    assert error is None
    assert code in (0, 3), said
    assert told in said


REFUSED = (
    *(f"{EVAL} --data {name}" for name in ("pipe", "pipe.tar", "pipe.parquet", "*.parquet", "/proc", "/dev/zero")),
    *(f"{EVAL} --dataset {name}" for name in ("fashion-mnist --data fm", "cifar10-c --data arrays --clean pipe.npy")),
    f"{EVAL} --data plain --labels pipe.csv",
    f"{EVAL} --data plain --classes pipe.txt",
    "eval -m net.safetensors --stream ccc --calibration pipe.csv",
    *(f"eval -m {name}" for name in ("pipe.onnx", "onnx:pipe", "pipe.safetensors", "hf", "torchvision:resnet18@pipe")),
    *(f"corrupt {name}" for name in ("pipe", "pipe.png", "pipe.npy", "/proc", "/dev/zero")),
    "corrupt begun begun-c -c fog -s 1",
    "corrupt begun begun-d -c fog -s 1",
    *(f"{command} pipe.json" for command in ("show", "compare run.json", "check run.json --baseline", "report")),
    *(f"{command} pipe.html" for command in ("show", "plot -o a.svg")),
    "report run.json --data pipe",
    "calibrate -m net.safetensors --data pipe -o a.csv",
    "export pipe.safetensors -o a.onnx",
    "inspect net.safetensors --against pipe.safetensors",
)


@pytest.mark.parametrize("command", REFUSED)
def test_what_is_no_file_is_refused_in_a_line(command: str) -> None:
    code, said, error = ended(command)
    assert error is None
    assert code in (2, 3), said
    assert "error:" in said


def test_pipes_among_published_images_are_no_images() -> None:
    code, said, error = ended(f"{EVAL} --data published -o published.json")
    assert error is None
    assert code == 3, said
    assert "pipe.JPEG: it is a pipe, a device or a folder, not a file" in said
