"""Compiled kernels on disk. A damaged file or a full disk costs another compilation, but is never an error."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from numba.core.caching import FunctionCache


class KernelCache(FunctionCache):
    """numba's cache of one function.

    numba itself raises whatever unpickling raises where one of its files was cut off, which a full disk or a killed
    copy leaves behind; every later command would then end in that error.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function of a signature, or None: it is compiled then."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # damaged bytes raise anything
            self._start_over()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function, if the disk lets us."""
        try:
            super().save_overload(sig, data)
        except Exception:  # an index damaged since it was read, or no room: the next process compiles again
            self._start_over()

    def _start_over(self) -> None:
        with suppress(OSError):
            self.flush()
