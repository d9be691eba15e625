"""Files that ask for much time or memory are refused for little of either."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ppbench.data.cifar import cifar_images, find_cifar
from ppbench.errors import DataError
from tests.forks import run
from tests.models.bombs import FILES, PROGRAMS, lines


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork to measure each file by itself")
def test_every_bomb_is_refused_in_two_seconds_and_half_a_gigabyte(tmp_path: Path) -> None:
    code = "import sys\nfrom pathlib import Path\nfrom tests.models.bombs import main\nmain(Path(sys.argv[1]))"
    done = run(code, str(tmp_path), timeout=550)
    assert done.returncode == 0, done.stderr
    costs = {str(line["name"]): line for line in lines(done.stdout)}
    assert costs.keys() == FILES.keys()
    for name, cost in costs.items():
        assert str(cost["end"]).startswith("refused: "), cost
        assert "\n" not in str(cost["end"]), name
        assert float(str(cost["seconds"])) < 2, cost  # of the processor: the machine may be busy
        assert float(str(cost["megabytes"])) < 500 + float(str(cost["size"])), cost
    assert sum(float(str(cost["seconds"])) for cost in costs.values()) < 30


@pytest.mark.parametrize("name", ["a byte array of four gigabytes", "keys that collide", "deep tuples", "a long key"])
def test_cifar_files_that_are_bombs(tmp_path: Path, name: str) -> None:
    """They are pickles as well. What is no array of images is refused, whatever it would have grown to."""
    (tmp_path / "test_batch").write_bytes(PROGRAMS[name])
    with pytest.raises(DataError, match="test_batch is not a CIFAR file"):
        cifar_images(find_cifar(tmp_path)[0])
