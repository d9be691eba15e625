"""How threads wait for each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ppbench.cli.threads import wait_without_spinning

ROOT = str(Path(__file__).parents[2])
CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")

LOAD = """
import ctypes, importlib.util, pathlib
folder = pathlib.Path(importlib.util.find_spec("torch").origin).parent / "lib"
ctypes.CDLL(str(next(folder.glob("libgomp*"))))
"""
"""What `import torch` does first, in a tenth of its time."""

COMMAND_LINE = "import ppbench.cli.main as main; main.app = lambda: None; main.main()" + LOAD


def spins(code: str) -> int:
    """How often a thread looks before it falls asleep, as torch's OpenMP itself says when it is loaded."""
    free = {name: value for name, value in os.environ.items() if name not in CHOICES}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**free, "OMP_DISPLAY_ENV": "verbose", "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(re.search(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)[1])


@pytest.mark.skipif(sys.platform != "linux", reason="torch uses GNU's OpenMP on Linux alone")
def test_threads_of_the_command_line_sleep_while_they_wait() -> None:
    """Measured on two cores: a hundred short steps with pauses take 0.05 s of processor time against 0.9 s."""
    assert spins(COMMAND_LINE) == 1000 < spins(LOAD)


@pytest.mark.parametrize("name", CHOICES)
def test_what_the_user_has_set_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in CHOICES:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "mine")
    wait_without_spinning()
    assert {other: os.environ[other] for other in CHOICES if other in os.environ} == {name: "mine"}
