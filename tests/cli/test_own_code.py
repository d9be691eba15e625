"""What a user's own network prints stays out of the data on stdout."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.forks import PPBENCH, run

pytestmark = pytest.mark.usefixtures("_small_forwards")

CODE = """
import ctypes, os, torch
from torch import nn

print("importing")

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3)

    def forward(self, x):
        print("forward")
        ctypes.CDLL(None).printf(b"from compiled code\\n")
        return self.conv1(x).mean((2, 3)).repeat(1, 3)[:, :10]

def make():
    print("making")
    os.write(1, b"past Python\\n")
    torch.manual_seed(0)
    return Net()
"""
CARD = ["--mean", "0.4", "--std", "0.3", "--input-size", "28"]


@pytest.mark.skipif(sys.platform == "win32", reason="printf of the C library")
def test_the_json_of_eval_is_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prints.py").write_text(CODE)
    few = ["--limit", "10", "-c", "fog", "-s", "1", "--force", "--format", "json", "-o", "run.json"]
    monkeypatch.chdir(tmp_path)
    done = run(PPBENCH, "eval", "-m", "prints:make", *CARD, *few)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    for line in ("importing", "making", "past Python", "forward", "from compiled code"):
        assert line in done.stderr
