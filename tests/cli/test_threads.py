"""How threads wait for each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ppbench.cli.threads import wait_without_spinning
from ppbench.pool import usable_cores

ROOT = str(Path(__file__).parents[2])
CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")

WAITING = """
import time

import ppbench.cli.main

ppbench.cli.main.app = lambda: None
{before}
import torch

torch.set_num_threads(2)
x = torch.rand(64, 16, 28, 28)
torch.relu(x)
start = time.process_time()
for _ in range(100):
    torch.relu(x)
    time.sleep(0.002)  # as a network's layers wait for another process's turn
print(time.process_time() - start)
"""


def processor_seconds(before: str) -> float:
    """Of a hundred short parallel steps with pauses between them."""
    free = {name: value for name, value in os.environ.items() if name not in CHOICES}
    code = WAITING.format(before=before)
    done = subprocess.run(
        [sys.executable, "-c", code], env={**free, "PYTHONPATH": ROOT}, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux" or usable_cores() < 2, reason="one core has no threads that wait")
def test_threads_of_the_command_line_sleep_while_they_wait() -> None:
    """Processor time, not wall time: the same on a quiet machine and on a busy one. Measured: 0.05 s against 0.9."""
    assert processor_seconds("ppbench.cli.main.main()") < processor_seconds("") / 3


@pytest.mark.parametrize("name", CHOICES)
def test_what_the_user_has_set_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in CHOICES:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "mine")
    wait_without_spinning()
    assert {other: os.environ[other] for other in CHOICES if other in os.environ} == {name: "mine"}
