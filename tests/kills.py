"""Killing a piece of work at random moments, again and again, in a process made for it."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.forks import run


def run_killer(script: str, *arguments: str) -> list[tuple[int, int]]:
    """Run a script that calls `kill_often`: the exit code and the journal's lines after each kill."""
    done = run(script, *arguments)
    assert done.returncode == 0, done.stderr
    return [(int(code), int(lines)) for code, lines in map(str.split, done.stdout.splitlines())]


def kill_often(work: Callable[[random.Random], object], journal: Path, kills: int, most: int, pause: float) -> None:
    """Start the work and kill it when its journal has grown by some lines, a random moment later.

    Args:
        work: Done in a forked process, which has all modules already.
        journal: Whose lines tell how far it is.
        kills: How often.
        most: Lines after which it is killed at the latest.
        pause: Seconds, at most, between that line and the kill.
    """
    draw = random.Random(1)
    for _ in range(kills):
        wanted = _lines(journal) + draw.randint(1, most)
        child = os.fork()
        if child == 0:
            work(draw)
            os._exit(0)
        while _lines(journal) < wanted and _runs(child):
            time.sleep(0.0005)
        time.sleep(draw.random() * pause)
        os.kill(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), _lines(journal))


def _lines(journal: Path) -> int:
    try:
        return journal.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def _runs(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
