"""Limits for reading files of weights: no file may take many seconds or fill the memory. Free of torch."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

MAX_TENSORS = 20_000
"""Most tensors, and most storages, in one file. Each takes about a kilobyte and 50 microseconds besides its data.

The largest networks of timm have 3,000 tensors; with an optimiser's state and an averaged copy four times as many.
"""

MAX_DIMENSIONS = 64

MAX_DIRECTORY = 8 << 20
"""Largest directory of a zip file, in bytes. An entry of about 80 bytes takes ten times as much once it is read."""


def has_long_directory(file: BinaryIO) -> bool:
    """Whether reading the zip file's list of entries alone would take seconds and fill the memory."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # private, but what ZipFile itself uses
    return bool(end) and end[zipfile._ECD_SIZE] > MAX_DIRECTORY  # type: ignore[attr-defined]
