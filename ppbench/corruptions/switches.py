"""Switches for which code computes corruptions, set within a ``with`` block. Free of torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

_V = TypeVar("_V")


@contextmanager
def switched(switch: ContextVar[_V], value: _V) -> Iterator[None]:
    """Give a switch another value within a ``with`` block, in this thread alone."""
    token = switch.set(value)
    try:
        yield
    finally:
        switch.reset(token)
