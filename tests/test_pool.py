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
    assert list(ordered_map(partial(start, 10), zip(range(12)), workers)) == [10 * task for task in range(12)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_arrives_as_itself_and_leaves_no_process(workers: int) -> None:
    with pytest.raises(DataError, match="13 cannot be done") as caught:
        list(ordered_map(partial(start, 1), zip(range(14)), workers))
    assert caught.value.hint == "Leave it out."
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_told() -> None:
    with pytest.raises(PpbenchError, match="a worker process was killed"):
        list(ordered_map(partial(start, 1), [(1,), (2,), (14,), (3,)], 1))


WITHOUT_GUARD = """
from ppbench.errors import PpbenchError
from ppbench.pool import ordered_map

def start():
    return str

try:
    print(list(ordered_map(start, zip(range(3)), 2)))
except PpbenchError as error:
    print("told:", error)
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["script.py"], "told: worker processes import the script"), (["-"], "told: a worker process ended unexpectedly")],
    ids=["file", "stdin"],
)
def test_a_script_without_a_guard_is_told_of_it_not_of_memory(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "script.py").write_text(WITHOUT_GUARD)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, input=WITHOUT_GUARD, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert done.stdout.startswith(said), done
    assert 'if __name__ == "__main__":' in done.stdout
    assert "memory" not in done.stdout


def test_a_machine_without_room_for_locks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ppbench.pool.ProcessPoolExecutor", full)
    with pytest.raises(PpbenchError, match=r"No space left on device; is /dev/shm full\?") as caught:
        list(ordered_map(partial(start, 1), [(1,)], 1))
    assert "`--workers 0`" in caught.value.hint


TERMINATED = """
import os, signal, sys, time
from ppbench.pool import ordered_map

def start():
    return lambda task: time.sleep(0.05)

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for number, _ in enumerate(ordered_map(start, zip(range(10**6)), 2)):
            if number == 4:
                os.killpg(0, signal.SIGTERM)
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_sigterm_to_all_processes_is_the_parents_to_heed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(TERMINATED)
    done = subprocess.run(
        [sys.executable, str(script)], start_new_session=True, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


def test_tasks_are_taken_only_a_little_ahead() -> None:
    taken: list[int] = []
    tasks = ((taken.append(task) or task,) for task in range(100) if task not in (13, 14))
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
    list(ordered_map(partial(start, sys.argv[1]), zip(range(10)), 2))
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
