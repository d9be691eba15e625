"""Values that no option can take: every option of every command answers in a line, whatever it is given."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import ppbench
from ppbench.cli.main import app
from ppbench.cli.values import check_value, for_a_file
from ppbench.errors import DataError, UsageError
from ppbench.run import write_run
from tests.builders import make_bits, make_run
from tests.cli.test_streams import needs_full_disk

pytestmark = pytest.mark.usefixtures("_small_forwards")

COMMAND: Any = get_command(app)
COMMANDS: dict[str, Any] = dict(COMMAND.commands)

CALLS: dict[str, list[str]] = {
    "show": ["show", "run.json"],
    "compare": ["compare", "run.json", "other.json"],
    "report": ["report", "run.json", "--baseline", "other.json", "-o", "made/page.html"],
    "plot": ["plot", "run.json", "--baseline", "other.json", "-o", "made/plot.svg"],
    "check": ["check", "run.json", "--baseline", "other.json"],
    "eval": ["eval", "--model", "nothing.safetensors", "--dry-run", "--limit", "2", "-c", "fog", "-s", "1"],
    "corrupt": ["corrupt", "nothing", "made"],
    "train": ["train", "--model", "resnet8", "--data", "nothing"],
    "convert": ["convert", "--model", "nothing.safetensors", "--data", "nothing"],
    "reproduce": ["reproduce", "--table", "fashion-mnist", "--list"],
    "inspect": ["inspect", "nothing.safetensors"],
    "calibrate": ["calibrate", "-m", "nothing.safetensors", "-o", "made/out.csv"],
    "export": ["export", "nothing.safetensors", "-o", "made/net.onnx"],
    "list": ["list", "recipes"],
}
"""Of each command a call that is right, or ends soon for want of a file."""

LONG = "n" * 300
NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "-0.0",
    "-1",
    "0",
    "1e308",
    "1e-320",
    "0.9999999999999999",
    "2147483648",
    "9" * 20,
    "9" * 5000,
    "1_0",
    "",
)
TEXTS = (
    "",
    LONG,
    f"{LONG}.json",
    "/".join(["d"] * 3000),
    "a\0b",
    "\udcff.json",
    ".",
    "/dev/full",
    "/dev/null",
    "../",
    "\x1b[31m",
    "=1+1",
    "nan",
    "9" * 20,
)


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder, before = tmp_path_factory.mktemp("values") / "inside", Path.cwd()
    folder.mkdir()  # so that `../` is this and nothing of other tests
    for name in ("run", "other"):
        run = make_run(name=name, n=8, corruptions=("fog",), severities=(1,))
        write_run(folder / f"{name}.json", run, make_bits(run))
    os.chdir(folder)
    yield
    os.chdir(before)


def options() -> list[tuple[str, str, bool]]:
    """Command, option and whether it is a number, of all that take a value."""
    found = []
    for command in CALLS:
        for parameter in COMMANDS[command].params:
            name = parameter.opts[0]
            kind = parameter.type_descriptor.annotation
            if name.startswith("-") and kind is not bool and name not in ("--help", "--format"):
                found.append((command, name, kind in (int, float)))
    return found


def ended(arguments: list[str]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("command", CALLS)
def test_every_option_takes_every_value_without_a_traceback(command: str) -> None:
    fallen = []
    for name, option, is_number in options():
        if name != command:
            continue
        for value in NUMBERS if is_number else TEXTS:
            done = ended([*CALLS[command], option, value])
            if not isinstance(done.exception, SystemExit | None) or done.exit_code not in (0, 1, 2, 3, 4):
                fallen.append(f"{option} {value[:30]!r}: {done.exception!r}"[:300])
    assert fallen == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--workers", 1025),
        ("--workers", 2147483648),
        ("--resize", 10**20),
        ("--limit", 2**31),
        ("--inhibition", 1e308),
        ("--lr", float("nan")),
        ("--lr", float("-inf")),
        ("--model", "a\0b"),
        ("--output", Path("n" * 256)),
        ("--output", Path("d/" * 3000)),
    ],
)
def test_what_no_command_can_use_is_refused_at_the_door(option: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        check_value(option, value)
    assert caught.value.message.startswith(option)
    assert len(caught.value.message) < 130


@pytest.mark.parametrize("call", [["show", "run.json"], ["compare", "a.json", "b.json"], ["eval"], ["list", "models"]])
def test_a_format_that_there_is_not_is_refused_in_plain_words(call: list[str]) -> None:
    done = CliRunner().invoke(app, [*call, "--format", "xml"])
    assert done.exit_code == 2
    assert "'xml' is not one of 'rich', 'json'" in done.stderr
    assert "Value error" not in done.stderr


def test_a_confidence_that_is_1_but_for_the_last_bit_is_told_as_it_is() -> None:
    done = ended(["show", "run.json", "--confidence", "0.9999999999999999"])
    assert done.exit_code == 2
    assert "a confidence of 0.9999999999999999 is not allowed" in done.stderr


@needs_full_disk
def test_a_device_and_a_pipe_that_nobody_writes_to_are_told_at_once() -> None:
    assert "it is a device" in ended(["show", "run.json", "--normalizer", "/dev/full"]).stderr
    os.mkfifo("pipe")
    os.mkfifo("pipe.toml")
    network = str(Path(ppbench.__file__).parent / "assets" / "resnet8.safetensors")
    for call in (
        ["show", "pipe"],
        ["show", "run.json", "--baseline", "pipe"],
        ["check", "pipe", "--baseline", "pipe"],
        ["compare", "run.json", "pipe"],
        ["inspect", network, "pipe"],
        ["inspect", "pipe"],
        ["eval", "--model", "pipe"],
        ["eval", "--predictions", "pipe"],
        ["convert", "--model", "pipe", "--data", "nothing"],
        ["train", "--data", "nothing", "--recipe", "pipe.toml"],
    ):
        done = ended(call)
        told = " ".join(done.stderr.split())
        assert done.exit_code == 3, (call, told)
        assert "pipe" in told.replace("error: pipe", "", 1)
        assert "regular file" in told, (call, told)


@pytest.mark.parametrize("value", [0, -1, 2**31 - 1, 0.5, 1e-320, True, None, "n" * 300, Path("a/b"), Path("\udcff")])
def test_what_may_be_is_let_through(value: object) -> None:
    check_value("--limit", value)


def test_an_error_of_the_file_system_is_a_line_that_names_the_file() -> None:
    long = for_a_file(OSError(36, "File name too long", "n" * 300))
    assert isinstance(long, UsageError)
    assert len(long.message) < 120
    denied = for_a_file(PermissionError(13, "Permission denied", "/x"))
    assert isinstance(denied, DataError)
    assert denied.message == "/x: Permission denied"
    assert for_a_file(OSError(5, "Input/output error")) is None
