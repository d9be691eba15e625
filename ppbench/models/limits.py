"""Bounds of what is read of a file of weights, so that no file takes seconds or the memory. Free of torch."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

MAX_TENSORS = 20_000
"""In one file; also of storages. Each takes about a kilobyte and 50 microseconds beside its data. The largest networks
of timm have 3,000; an optimiser and an average make four times as many."""

MAX_DIMENSIONS = 64

MAX_DIRECTORY = 8 << 20
"""Bytes of a zip's list of entries; one entry, about 80, takes ten times that once it is read."""


def has_long_directory(file: BinaryIO) -> bool:
    """Whether reading the list of entries alone would take seconds and fill the memory."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # the reading that ZipFile itself goes by
    return bool(end) and end[zipfile._ECD_SIZE] > MAX_DIRECTORY  # type: ignore[attr-defined]
