"""Values that stand for the objects of a pickle which `ppbench.pickles` reads as data."""

from __future__ import annotations

from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any, NamedTuple


class Bulk(NamedTuple):
    """Stands for a long string or long bytes: their place in the program."""

    begin: int
    end: int


class Skipped(dict[Any, Any]):
    """Stands for an object of an unknown class. Its items are kept as data, and nothing runs."""

    __slots__ = ()


class Constructor(NamedTuple):
    """Stands for a function that a pickle names: it makes a value from its arguments."""

    make: Callable[..., Any]
    set_state: Callable[[Any, Any], None] | None = None
    """Called with a value that it made and the state that follows; None: the state is dropped."""


UNKNOWN_CONSTRUCTOR = Constructor(lambda *_: Skipped())
"""Stands for every name that is not allowed."""


def extend_list(target: Any, items: list[Any]) -> None:
    """Append items to a list; a `Skipped` object drops them."""
    if type(target) is list:
        target.extend(items)
    elif not isinstance(target, Skipped):
        raise UnpicklingError("it appends to something that is not a list")


def put_items(target: Any, items: list[Any]) -> None:
    """Set keys and values, one after another in ``items``."""
    if not isinstance(target, dict) or len(items) % 2:
        raise UnpicklingError("it sets items of something that is not a dict, or a key without a value")
    for place in range(0, len(items), 2):
        if type(items[place]) in (str, bytes):
            target[items[place]] = items[place + 1]


def make_dict(*arguments: Any) -> dict[Any, Any]:
    """Stand for ``collections.OrderedDict``, of nothing or of a list of pairs, as Python 2 wrote it."""
    made: dict[Any, Any] = {}
    for pairs in arguments[:1]:
        if not isinstance(pairs, list):
            raise UnpicklingError("it makes a dict of something that is not a list of pairs")
        for pair in pairs:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise UnpicklingError("it makes a dict of something that is not a list of pairs")
            put_items(made, list(pair))
    return made
