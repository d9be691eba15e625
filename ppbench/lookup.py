"""Things that users choose by name, and the error for a name that does not exist."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import TypeVar

from ppbench.errors import UsageError

_T = TypeVar("_T")


def counted(number: int, one: str, several: str | None = None) -> str:
    """``1 rule``, ``2 rules``, ``1,000 images``; ``several`` is the plural if it is not ``one`` with an s."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def did_you_mean(name: str, allowed: list[str]) -> str:
    """Return ``"did you mean 'x' or 'y'? "`` for the names closest to ``name``, or an empty string."""
    close = get_close_matches(str(name).lower(), allowed, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, close))}? " if close else ""


def unknown_name(kind: str, name: str, allowed: list[str], see: str, listed: int | None = None) -> UsageError:
    """Build the error for a name that is not known: the value, the nearest names, the command that lists all.

    Args:
        kind: What the name stands for, in the singular ("model").
        name: The unknown name.
        allowed: All allowed names.
        see: The command that lists them ("ppbench list models").
        listed: How many names it lists; None: as many as are allowed.
    """
    few = listed is None and len(allowed) <= 6
    listing = f"allowed: {', '.join(allowed)} (`{see}`)" if few else f"`{see}` lists all {listed or len(allowed)}."
    return UsageError(f"unknown {kind} {name!r}", did_you_mean(name, allowed) + listing)


def check_name(kind: str, name: str, allowed: Collection[str], see: str) -> None:
    """Make sure that ``name`` is one of ``allowed``; the other arguments are those of `unknown_name`.

    Raises:
        UsageError: If it is not; the message has the nearest names.
    """
    if name not in allowed:
        raise unknown_name(kind, name, list(allowed), see)


class NameTable(dict[str, _T]):
    """Things by the names that users give them. An unknown name raises a `UsageError` with the nearest names.

    Args:
        entries: The things by name.
        kind: What the names stand for, in the singular ("dataset").
        see: The command that lists the names, for the error message.
        listed: How many names it lists; None: as many as there are entries.
    """

    def __init__(self, entries: Mapping[str, _T], kind: str, see: str, listed: int | None = None) -> None:
        super().__init__(entries)
        self._kind, self._see, self._listed = kind, see, listed

    def __missing__(self, name: str) -> _T:
        raise unknown_name(self._kind, name, list(self), self._see, self._listed)
