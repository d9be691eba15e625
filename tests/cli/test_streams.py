"""Printing never ends a command: any encoding, any locale, closed pipes, full disks."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ppbench.cli.streams import open_streams
from ppbench.errors import DataError
from ppbench.run import write_run
from tests.builders import make_bits, make_run

C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
needs_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streams") / "nètz 网.json"
    made = make_run(name="nètz 网", n=20, corruptions=("fog",))
    write_run(path, made, make_bits(made))
    return path


def ppbench(
    *arguments: object, stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    ask = [sys.executable, "-m", "ppbench", *map(str, arguments)]
    return subprocess.run(ask, stdout=stdout, stderr=subprocess.PIPE, env={**os.environ, **environment}, check=False)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_tables_are_printed_in_every_encoding(encoding: str, run: Path) -> None:
    done = ppbench("show", run, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    assert "?" in text  # the model's second name
    assert "+-" in text if encoding == "ascii" else "±" in text


def test_tables_and_errors_are_printed_in_the_c_locale(run: Path) -> None:
    done = ppbench("show", run, **C_LOCALE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"mean_error[fog,s1-5]" in done.stdout
    refused = ppbench("show", run.with_name("夏.json"), **C_LOCALE)
    assert refused.returncode == 3
    assert b"error: cannot read the run" in refused.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_reader_that_leaves_changes_no_exit_code(run: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = ppbench("show", run, stdout=writing)
        regressed = ppbench("check", run, "--baseline", "/nowhere.json", stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
    assert regressed.returncode == 3


@needs_full_disk
def test_a_full_disk_is_one_line(run: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = ppbench("show", run, stdout=full.fileno())
    assert done.returncode == 3
    assert done.stderr.decode().splitlines()[0] == "error: cannot write the result: No space left on device"


def test_what_an_encoding_lacks_is_replaced_by_what_looks_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    stream = io.TextIOWrapper(io.BufferedWriter(io.FileIO(writing, "w")), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    open_streams()
    print("11 ± 2 – 3 → n/a · 网 \udcff", flush=True)
    assert os.read(reading, 100) == b"11 +- 2 - 3 -> n/a | ? ?\n"


@needs_full_disk
def test_a_full_disk_is_an_error_of_stdout_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        full = io.FileIO("/dev/full", "w")
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(full), encoding="utf-8"))
    open_streams()
    print("talk", file=sys.stderr, flush=True)
    with pytest.raises(DataError, match="cannot write the result"):
        print("data", flush=True)
    print("no second time", flush=True)


def test_streams_that_were_closed_take_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    open_streams()
    print("data", flush=True)
    print("talk", file=sys.stderr, flush=True)
