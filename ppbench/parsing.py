"""JSON and TOML from files that anyone may have made, checked so that no later code can fail on them."""

from __future__ import annotations

import json
import math
import tomllib
from typing import Any

DEEPEST = 24
"""Levels of nested lists and objects. Run files have six, cards with recipes some more."""
_MOST_NAMES = 20_000
"""Names in one object of JSON. Each that a reader does not know may become an error of a kilobyte."""

_LONGEST, _MOST_DOTS = 2**20, 1000
"""Characters of a TOML document, and dots in one of its lines."""

LARGEST_INTEGER = 2**63 - 1
"""No count is larger, and no array can hold larger integers."""


def parse_json(text: str | bytes) -> Any:
    """Read one JSON document.

    Args:
        text: The document, or its bytes in UTF-8.

    Raises:
        ValueError: If it is not JSON, nests deeper than `DEEPEST`, has a name twice or many thousand names in one
            object, a number that is not finite, an integer beyond `LARGEST_INTEGER`, or a text with half a character.
            The message is one short line.
    """
    try:
        words = text.decode("utf-8") if isinstance(text, bytes) else text
        content = json.loads(words, object_pairs_hook=_object, parse_constant=_refused, parse_int=_integer)
        _check(content, DEEPEST)
    # The parser itself gives up before `_check` can count the levels.
    except RecursionError:
        raise _too_deep() from None
    return content


def parse_toml(text: str) -> dict[str, Any]:
    """Read one TOML document.

    Raises:
        ValueError: If it is not TOML, or for the reasons of `parse_json`. Numbers that are not finite are allowed: TOML
            has them, and later code can say which key has one. The message is one short line.
    """
    try:
        _check_length(text)
        content = tomllib.loads(text)
        _check(content, DEEPEST, finite=False)
    except RecursionError:
        raise _too_deep() from None
    return content


def _check_length(text: str) -> None:
    """Refuse TOML that would take long: the time of a key grows with the square of the names in it."""
    if len(text) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST:,} characters")
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise ValueError(f"it has a line of more than {_MOST_DOTS:,} dots")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MOST_NAMES:
        raise ValueError(f"it has {len(pairs):,} names in one object")
    content = dict(pairs)
    # By default Python takes the last of two equal names and says nothing.
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it has {next(name for name in names if names.count(name) > 1)!r} twice")
    return content


def _refused(name: str) -> Any:
    raise ValueError(f"it has the number {name}, which JSON does not")


def _integer(digits: str) -> int:
    # The length first: `int` is slow for very many digits, and has a limit with an error of its own.
    if len(digits) > 20 or not -LARGEST_INTEGER <= int(digits) <= LARGEST_INTEGER:
        raise ValueError(f"it has the number {digits[:20]}…, which is too large")
    return int(digits)


def _check(content: Any, depth: int, *, finite: bool = True) -> None:
    """Refuse deep nesting, infinite or huge numbers and half characters, which no later code expects."""
    level = [content]
    for _ in range(depth + 1):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner.extend(value)
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
            else:
                _check_value(value, finite)
        if not inner:
            return
        level = inner
    raise _too_deep()


def _check_value(value: Any, finite: bool) -> None:
    if isinstance(value, str):
        if not value.isascii() and not _is_whole(value):
            raise ValueError(f"it has half a character in the text {value[:40]!r}")
    elif isinstance(value, float):
        if finite and not math.isfinite(value):
            raise ValueError("it has a number that is not finite")
    # Only for TOML: integers of JSON were checked by `_integer`.
    elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise ValueError("it has a number that is too large")


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep() -> ValueError:
    return ValueError(f"it nests deeper than {DEEPEST} levels")
