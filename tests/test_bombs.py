"""Small files of all kinds but weights that ask for much are refused for little; tests/models has those of weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bombs import BOMBS
from tests.forks import run
from tests.models.bombs import lines


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork to measure each file by itself")
def test_every_bomb_is_refused_for_little_time_and_memory(tmp_path: Path) -> None:
    code = "import sys\nfrom pathlib import Path\nfrom tests.bombs import main\nmain(Path(sys.argv[1]))"
    done = run(code, str(tmp_path), timeout=550)
    assert done.returncode == 0, done.stderr
    costs = {str(line["name"]): line for line in lines(done.stdout)}
    assert costs.keys() == BOMBS.keys()
    for name, cost in costs.items():
        assert str(cost["end"]).startswith("refused: "), cost
        assert "\n" not in str(cost["end"]), name
        assert float(str(cost["seconds"])) < 4, cost  # of the processor: half of it, where the machine is not busy
        assert float(str(cost["megabytes"])) < 500 + float(str(cost["size"])), cost
