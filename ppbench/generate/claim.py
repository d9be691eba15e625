"""Taking possession of a folder: it can be written, and no other process writes to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ppbench.errors import UsageError
from ppbench.generate.records import JOURNAL, SCRATCH, cannot_write

try:
    import fcntl
except ModuleNotFoundError:  # Windows: without the lock, two jobs in one folder only do the same work twice
    fcntl = None  # type: ignore[assignment]


@contextmanager
def claimed(dest: Path) -> Iterator[Path]:
    """Yield the scratch folder of ``dest``, both made where missing, empty but for what an interrupted job left.

    At the end it is removed, unless a journal lies in it: then the job is not finished.

    Raises:
        DataError: If ``dest`` cannot be written.
        UsageError: If another process is at work in it.
    """
    scratch = dest / SCRATCH
    missing = [folder for folder in (scratch, dest, *dest.parents) if not folder.exists()]
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        lock = (scratch / "lock").open("wb")
    except OSError as error:
        raise cannot_write(dest, error) from error
    try:
        _lock(lock, dest)
        for torn in scratch.glob("*.part"):
            torn.unlink()
        try:
            yield scratch
        finally:
            if not (scratch / JOURNAL).exists():
                shutil.rmtree(scratch, ignore_errors=True)
                with suppress(OSError):  # the first that is not empty
                    for folder in missing[1:]:
                        folder.rmdir()
    finally:
        lock.close()


def _lock(file: BinaryIO, dest: Path) -> None:
    """Hold the lock until the file is closed or this process ends, in whatever way."""
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(
            f"another ppbench is writing to {dest}", "Wait until it has finished, or give another folder."
        ) from error
    except OSError:  # a file system without locks
        return
