"""Numbers that callers in Python give: Python's own, numpy's and torch's. Free of both."""

from __future__ import annotations

import operator
from typing import Any

from ppbench.errors import UsageError


def plain(value: Any) -> Any:
    """Return a number of numpy or torch as Python's, an array or tensor as a list, and all else as it is."""
    if hasattr(value, "ndim") and callable(getattr(value, "tolist", None)):
        return value.tolist()
    return value


def integer_of(what: str, value: Any) -> int:
    """Return an integer of any library as int. Others are refused, because keys hash the text: "True" is not "1"."""
    try:
        if not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass
    raise UsageError(f"{what} {value!r} is not allowed", "It is an integer.")


def number_of(what: str, value: Any) -> float:
    """Return a number of any library as Python's; raise `UsageError` if it is none."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise UsageError(f"{what} {value!r} is not allowed", "It is a number.")
    return number
