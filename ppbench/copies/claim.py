"""Taking possession of a folder: it can be written, and no other process writes to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ppbench.copies.records import JOURNAL, cannot_write
from ppbench.data.walk import SCRATCH
from ppbench.errors import UsageError
from ppbench.files import try_lock


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
        if not try_lock(lock):
            raise UsageError(
                f"another ppbench is writing to {dest}", "Wait until it has finished, or give another folder."
            )
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
