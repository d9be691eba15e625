"""How the threads of a process wait for each other. Free of torch."""

from __future__ import annotations

import os

_SPINNING = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}
"""The first is for GNU's OpenMP, which torch has on Linux: some microseconds, shorter than it takes to fall asleep and
be woken, as the library itself does where threads are more than cores. The second is for LLVM's and Intel's."""


def wait_without_spinning() -> None:
    """Let OpenMP's threads sleep where they wait for each other for long; what the user has set stays.

    By themselves they spin for milliseconds, at every layer of a network. On a machine that has other work, a thread
    then takes all the time it can get to wait for one that is itself waiting for a core. To be called before torch is
    imported, which reads this once.
    """
    if not any(name in os.environ for name in ("OMP_WAIT_POLICY", *_SPINNING)):
        os.environ.update(_SPINNING)
