"""Faster kernels for the CPU, compiled by numba, behind the torch functions that define the corruptions.

A kernel computes on CPU arrays what its torch function computes on any device; tests compare the two. Kernels are
compiled when first used (seconds, once per machine) and kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from ppbench.corruptions.kernels.cache import KernelCache
from ppbench.corruptions.switches import switched

u8, u16, u32, u64 = np.uint8, np.uint16, np.uint32, np.uint64
i16, i32, i64 = np.int16, np.int32, np.int64
f32, f64 = np.float32, np.float64

# numpy's error model: a division by zero gives inf or nan. Python's would test every divisor, and no loop would be
# vectorised.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

inlined: Any = partial(njit, inline="always", **_OPTIONS)
"""Decorator for functions called inside loops over pixels, so that the loop is vectorised as a whole."""


def compiled(function: Callable[..., None]) -> Any:
    """Compile a loop over pixels. There is no fastmath, so that every machine rounds alike."""
    kernel = njit(**_OPTIONS)(function)
    with suppress(RuntimeError):  # neither the package's folder nor the user's cache is writeable
        kernel._cache = KernelCache(function)
    return kernel


_enabled: ContextVar[bool] = ContextVar("kernels", default=True)


def disabled() -> AbstractContextManager[None]:
    """Run the torch functions on the CPU instead of the kernels within a ``with`` block: slower, for tests."""
    return switched(_enabled, False)


def are_enabled() -> bool:
    """Whether CPU tensors go through kernels here."""
    return _enabled.get()
