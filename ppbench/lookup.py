"""Names for things: an object, or a ``"module:attribute"`` string imported on first use."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

from ppbench.errors import UsageError

T = TypeVar("T")


def did_you_mean(name: str, allowed: list[str]) -> str:
    """Return ``"did you mean 'x' or 'y'? "`` for the names closest to ``name``, or an empty string."""
    close = get_close_matches(name.lower(), allowed, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, close))}? " if close else ""


def unknown_name(kind: str, name: str, allowed: list[str], see: str, listed: int | None = None) -> UsageError:
    """Build the error for a name that is not known: the value, the nearest names, the command that lists all.

    Args:
        kind: What the name stands for, in the singular ("model").
        name: The value met.
        allowed: All names that would do.
        see: The command that lists them ("ppbench list models").
        listed: How many it lists; None: as many as would do.
    """
    few = listed is None and len(allowed) <= 6
    listing = f"allowed: {', '.join(allowed)} (`{see}`)" if few else f"`{see}` lists all {listed or len(allowed)}."
    return UsageError(f"unknown {kind} {name!r}", did_you_mean(name, allowed) + listing)


class Registry(Generic[T]):
    """A table of names that imports nothing until a name is asked for.

    Args:
        kind: What the names stand for, in the singular ("dataset").
        see: The command that lists the names, for the error message.
        listed: How many it lists; None: as many as there are here.
    """

    def __init__(self, kind: str, see: str, listed: int | None = None) -> None:
        self.kind = kind
        self.see = see
        self._listed = listed
        self._entries: dict[str, T | str] = {}

    def register(self, name: str, target: T | str) -> None:
        """Add ``name``; a string ``"module:attribute"`` is imported on first use.

        Raises:
            ValueError: If the name is taken: two things of one name are a bug, not a user's mistake.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = target

    def names(self) -> list[str]:
        """All names, in the order they were registered."""
        return list(self._entries)

    def get(self, name: str) -> T:
        """Return the object called ``name``.

        Raises:
            UsageError: If there is none; the message has the nearest names.
        """
        if name not in self._entries:
            raise unknown_name(self.kind, name, self.names(), self.see, self._listed)
        target = self._entries[name]
        if isinstance(target, str):
            module, _, attribute = target.partition(":")
            target = cast(Any, getattr(import_module(module), attribute))
            self._entries[name] = target
        return target

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)
