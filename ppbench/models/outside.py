"""Notice what a network asks for outside of its process while it computes: its weights may be there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CALLS = {
    **dict.fromkeys(("socket.connect", "socket.sendto", "socket.sendmsg", "http.client.send"), "it asks a server"),
    **dict.fromkeys(("subprocess.Popen", "os.posix_spawn", "os.system"), "it starts a program"),
    "sqlite3.connect": "it opens a database",
}
"""Events of Python's audit, and what they say."""

_NO_WEIGHTS = ("/proc/", "/sys/", "/dev/")
"""Where the system says something about itself."""

_heard: list[str] | None = None
_hooks = 0


@contextmanager
def asked_outside() -> Iterator[list[str]]:
    """Within the block, collect in words what Python code asks for outside of its process: ``it reads net.bin``.

    Compiled code that opens files or connections by itself is not noticed. Nor is what is only written.
    """
    global _heard, _hooks
    if not _hooks:  # a hook stays until the process ends
        sys.addaudithook(_hear)
        _hooks = 1
    found: list[str] = []
    _heard = found
    try:
        yield found
    finally:
        _heard = None


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _heard is None:
        return
    if event == "open" and _reads(*arguments):
        _heard.append(f"it reads {Path(os.fsdecode(arguments[0])).name}")
    elif event in _CALLS:
        _heard.append(_CALLS[event])


def _reads(path: Any, mode: Any, flags: Any) -> bool:
    """Whether a file that may hold weights is opened for reading."""
    if isinstance(path, int) or flags & os.O_ACCMODE == os.O_WRONLY:  # opened before, or only written
        return False
    name = os.fsdecode(path)
    return not name.startswith(_NO_WEIGHTS) and not name.endswith((".py", ".pyc"))
