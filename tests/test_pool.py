"""Worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ppbench.errors import DataError, PpbenchError
from ppbench.pool import ordered_map


def start(factor: int) -> Callable[[int], int]:
    return lambda task: _work(factor, task)


def _work(factor: int, task: int) -> int:
    if task == 13:
        raise DataError("13 cannot be done", "Leave it out.")
    if task == 14:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02 * (task % 3))
    return factor * task


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    assert list(ordered_map(partial(start, 10), iter(range(12)), workers)) == [10 * task for task in range(12)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_arrives_as_itself_and_leaves_no_process(workers: int) -> None:
    with pytest.raises(DataError, match="13 cannot be done") as caught:
        list(ordered_map(partial(start, 1), range(14), workers))
    assert caught.value.hint == "Leave it out."
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_told() -> None:
    with pytest.raises(PpbenchError, match="a worker process was killed"):
        list(ordered_map(partial(start, 1), [1, 2, 14, 3], 1))


def test_tasks_are_taken_only_a_little_ahead() -> None:
    taken: list[int] = []
    tasks = (taken.append(task) or task for task in range(100) if task not in (13, 14))
    results = ordered_map(partial(start, 1), tasks, 1, ahead=4)
    next(results)
    assert len(taken) == 5
    results.close()
    assert not multiprocessing.active_children()


SCRIPT = """
import os, sys, time
from functools import partial
from ppbench.pool import ordered_map

def start(folder):
    open(f"{folder}/{os.getpid()}", "w").close()
    return lambda task: time.sleep(600)

if __name__ == "__main__":
    list(ordered_map(partial(start, sys.argv[1]), range(10), 2))
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to see other processes")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script, folder = tmp_path / "script.py", tmp_path / "workers"
    script.write_text(SCRIPT)
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    parent = subprocess.Popen([sys.executable, str(script), str(folder)], env=environment)
    wait_until(lambda: len(list(folder.iterdir())) == 2)
    workers = [Path("/proc") / path.name for path in folder.iterdir()]
    assert all(path.exists() for path in workers)
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(path.exists() for path in workers))


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
