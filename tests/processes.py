"""Running ``ppbench`` as a process of its own, to be interrupted as a terminal does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def ppbench_process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A running ``ppbench`` in a process group of its own, which is killed at the end whatever happens.

    SIGINT has its usual effect in it, even where the tests themselves were started with the signal ignored (as shells
    do for jobs in the background).
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "ppbench", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_heed_interrupts,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupt(process: subprocess.Popen[bytes], number: int = signal.SIGINT) -> tuple[bytes, bytes]:
    """Send a signal, such as Ctrl-C, to the whole group, workers too; return what remains of stdout and stderr."""
    os.killpg(process.pid, number)
    return process.communicate(timeout=60)
