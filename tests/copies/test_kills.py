"""Killed at random moments and started again, a job ends with the same bytes as an unbroken one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ppbench.copies.api import corrupt_folder
from tests.copies.trees import tree, write_photos
from tests.kills import run_killer
from tests.processes import ppbench_process

KILLS = 20
CELLS = {"corruptions": ["gaussian_noise", "contrast", "fog"], "severities": ["1-2"]}
OPTIONS = ["-c", "gaussian_noise,contrast,fog", "-s", "1-2"]

SCRIPT = """
import sys
from pathlib import Path
import torch
from ppbench.copies.api import corrupt_folder
from tests.kills import kill_often

torch.set_num_threads(1)
cells = {"corruptions": ["gaussian_noise", "contrast", "fog"], "severities": ["1-2"], "device": "cpu"}
photos, dest, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
corrupt_folder(f"{photos}/a.png", f"{dest}-first", **cells)  # loads all that is needed, so that children start at once

def work(draw):
    corrupt_folder(photos, dest, **cells, batch_size=2)

kill_often(work, Path(dest, ".ppbench", "journal"), kills, 5, 0.005)
"""


def test_killed_20_times(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 250, size=32)
    corrupt_folder(photos, tmp_path / "whole", **CELLS)
    killed = run_killer(SCRIPT, str(photos), str(tmp_path / "c"), str(KILLS))
    assert [code for code, _ in killed] == [-9] * KILLS
    assert not (tmp_path / "c" / "manifest.json").exists()
    for path, content in tree(tmp_path / "c").items():  # whole or not at all, whenever it was killed
        if not path.startswith(".ppbench"):
            assert content == (tmp_path / "whole" / path).read_bytes(), path
    report = corrupt_folder(photos, tmp_path / "c", **CELLS)
    assert report.kept > 0
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


def test_killed_with_its_workers(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 120, size=64)
    corrupt_folder(photos, tmp_path / "whole", **CELLS)
    dest = tmp_path / "c"
    with ppbench_process("corrupt", str(photos), str(dest), *OPTIONS, "--workers", "2") as process:
        wait_until(lambda: process.poll() is not None or any(dest.rglob("*.png")))
        time.sleep(0.03)
    assert not (dest / "manifest.json").exists()
    corrupt_folder(photos, dest, **CELLS)
    assert tree(dest) == tree(tmp_path / "whole")


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)
