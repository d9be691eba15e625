"""Telling that a file was changed by its size and time, without reading it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.data.source import stamp

Stamps = NDArray[np.uint64]
"""A number per file that changes when it does; 0 for one that is not there."""


def stamps_of(paths: Iterable[Path]) -> Stamps:
    """Of files, ``(n,)``."""
    return np.array([stamp_of(path) for path in paths], np.uint64)


def stamp_of(path: Path) -> int:
    """Of one file."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return stamp(status.st_size, status.st_mtime_ns)
