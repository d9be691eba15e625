"""Running ``ppbench`` as a process of its own, to be interrupted as a terminal does."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.forks import PPBENCH, Forked, fork


@contextmanager
def ppbench_process(*arguments: str, **environment: str) -> Iterator[Forked]:
    """A running ``ppbench`` in a process group of its own, which is killed at the end whatever happens."""
    process = fork(PPBENCH, *arguments, name="ppbench", **environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupt(process: Forked, number: int = signal.SIGINT) -> tuple[bytes, bytes]:
    """Send a signal, such as Ctrl-C, to the whole group, workers too; return what remains of stdout and stderr."""
    os.killpg(process.pid, number)
    return process.communicate(timeout=60)
