"""Keeping the memory that a network's layers use over and over."""

from __future__ import annotations

import ctypes
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2
"""Names of glibc's malloc.h."""


def keep_freed_memory() -> None:
    """Tell glibc's malloc to keep freed memory for the next layer instead of giving it back to the system.

    By itself it maps and unmaps every activation of more than 32 MB, and the system clears the pages each time: of
    ResNet-50 on a CPU, in batches of 16, that is a fifth of the time. Other systems' allocators are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 1 << 30)
        mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
        mallopt(_TOP_PAD, 64 << 20)
