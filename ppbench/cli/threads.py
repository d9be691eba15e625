"""The way in which the threads of a process wait for each other. Free of torch."""

from __future__ import annotations

import os

_SPINNING = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}
"""The first is for GNU's OpenMP, which torch uses on Linux. It means some microseconds of spinning, less than falling
asleep and waking takes; the library itself does so if there are more threads than cores. The second is for LLVM's and
Intel's OpenMP."""


def wait_without_spinning() -> None:
    """Let OpenMP's threads sleep during long waits for each other. The user's own settings stay.

    By default they spin for milliseconds at every layer of a network. On a busy machine a spinning thread then occupies
    a core that the thread it waits for needs. Call this before torch is imported, which reads the settings once.
    """
    if not any(name in os.environ for name in ("OMP_WAIT_POLICY", *_SPINNING)):
        os.environ.update(_SPINNING)
