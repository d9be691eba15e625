"""A forked process is like one that was started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.forks import PPBENCH, fork, python, run

SAY = "import os, sys; print(sys.argv[1:], os.environ['WHO'], os.getcwd()); print('two', file=sys.stderr)"


def test_arguments_environment_and_folder_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(SAY, "a", "b", WHO="me")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"['a', 'b'] me {tmp_path}\n", "two\n")


@pytest.mark.parametrize(("code", "ended"), [("import sys; sys.exit(7)", 7), ("1 / 0", 1), ("raise SystemExit", 0)])
def test_it_ends_as_python_ends(code: str, ended: int) -> None:
    done = run(f"import atexit; atexit.register(print, 'bye')\n{code}")
    assert (done.returncode, done.stdout) == (ended, "bye\n")
    assert ("ZeroDivisionError" in done.stderr) == (ended == 1)


def test_it_can_be_interrupted_and_killed() -> None:
    # Short sleeps: a signal that comes a moment before a sleep is seen when it is over.
    wait = "print('here', flush=True)\nimport time\nfor _ in range(1200): time.sleep(0.05)"
    for number, ended in ((signal.SIGINT, -signal.SIGINT), (signal.SIGKILL, -signal.SIGKILL)):
        process = fork(wait)
        assert process.stdout.readline() == b"here\n"
        assert process.poll() is None
        os.killpg(process.pid, number)
        _, stderr = process.communicate(10)
        assert process.poll() == ended
        assert (b"KeyboardInterrupt" in stderr) == (number == signal.SIGINT)


def test_it_is_ppbench() -> None:
    done = run(PPBENCH, "eval", "-m", "resnet5")
    assert done.returncode == 2
    assert "unknown model 'resnet5'" in done.stderr


def test_a_program_that_forks_takes_the_place_of_python(tmp_path: Path) -> None:
    def started(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([python(), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)

    done = started("-u", "-c", SAY.replace("WHO", "HOME"), "a")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"['a'] {os.environ['HOME']} {tmp_path}\n", "two\n")
    assert "unknown model 'resnet5'" in started("-m", "ppbench", "eval", "-m", "resnet5").stderr
    assert started("-m", "json.tool", "--help").stdout.startswith("usage: ")
    assert started("-c", "import os; os.kill(os.getpid(), 9)").returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_forked_process_ends_with_that_program(number: signal.Signals) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    program = subprocess.Popen([python(), "-c", code], stdout=subprocess.PIPE)
    assert program.stdout is not None
    forked = Path("/proc", program.stdout.readline().decode().strip())
    assert forked.exists()
    program.send_signal(number)
    assert program.wait(10) == -number
    program.stdout.close()
    deadline = time.monotonic() + 10
    while forked.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


WORKER = """
import multiprocessing, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(pool.apply(eval, ("__import__('signal').getsignal(2) == 1, __import__('os').getcwd()",)))
    print(pool.apply(eval, ("__import__('sys').modules['tests.forks'].__name__",)))
"""


def test_a_worker_that_it_starts_is_forked_and_has_what_it_inherits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a forked process has this module without having imported it."""
    monkeypatch.chdir(tmp_path)
    done = run(WORKER)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"(True, {str(tmp_path)!r})\ntests.forks\n", "")
