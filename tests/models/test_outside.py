"""What a network asks for outside of its process, such as weights that are read at each call."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ppbench.models.outside import asked_outside


def ask_a_server() -> None:
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(OSError, match="No such file"):
        sock.connect("nobody-listens")


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: np.load("weights.npy"), "it reads weights.npy"),
        (lambda: Path("weights.npy").read_bytes(), "it reads weights.npy"),
        (lambda: os.close(os.open(Path("weights.npy"), os.O_RDONLY)), "it reads weights.npy"),
        (ask_a_server, "it asks a server"),
        (lambda: subprocess.run([sys.executable, "--version"], capture_output=True, check=True), "it starts a program"),
        (lambda: sqlite3.connect(":memory:").close(), "it opens a database"),
    ],
)
def test_it_is_noticed(ask: Callable[[], object], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("weights.npy", np.ones(3))
    with asked_outside() as asked:
        ask()
    assert words in asked


def test_what_holds_no_weights_is_not_told(tmp_path: Path) -> None:
    with asked_outside() as asked:
        (tmp_path / "log.txt").write_text("called")
        Path("/proc/self/stat").read_bytes()
        Path(__file__).read_bytes()
        np.ones(3).sum()
    assert asked == []


def test_outside_of_the_block_nothing_is_collected(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("")
    with asked_outside() as asked:
        pass
    (tmp_path / "weights").read_text()
    assert asked == []
