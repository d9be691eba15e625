"""Numbers that change when a file changes, made of its size and time without reading it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.keys import hash64

FileStamps = NDArray[np.uint64]
"""One number per file that changes when the file changes; 0 for a missing file."""


def stamps_of(paths: Iterable[Path]) -> FileStamps:
    """The stamps of files, ``(n,)``."""
    return np.array([stamp_of(path) for path in paths], np.uint64)


def stamp_of(path: Path) -> int:
    """The stamp of one file, below 2^64."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return hash64(f"{status.st_size} {status.st_mtime_ns}".encode())
