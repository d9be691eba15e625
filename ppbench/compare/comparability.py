"""Whether two runs were measured in the same way, field by field of their protocols."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ppbench.errors import NotComparableError, UsageError
from ppbench.lookup import unknown_name
from ppbench.metrics.comparable import HASHES, same_classes
from ppbench.run import Protocol

NEEDED_TO_PAIR = ("n", "ids_sha256")
"""Which images there are. Others are never paired; what may be allowed is to leave out those that one run lacks."""
IDS = "ids"
"""The name under which that is allowed."""
ON_THE_SAME_IMAGES = "Evaluate both on the same images: same --dataset, --limit and --seed."
FREE = ("preprocessing", "unreadable")
"""The first belongs to the model, and may differ as models do. The second says why the images are those they are."""
FIELDS = tuple(name for name in Protocol.model_fields if name not in FREE)
"""What must be equal."""


def check_allowed(fields: Collection[str]) -> None:
    """Make sure that each may be allowed to differ: a field of the protocol, or ``ids``.

    Raises:
        UsageError: If it is no field of the protocol, or one that pairing needs.
    """
    for field in fields:
        if field in NEEDED_TO_PAIR:
            raise UsageError(
                f"--allow {field} is not allowed: models are compared image by image",
                f"`--allow {IDS}` compares them over the images that both saw.",
            )
        if field not in (IDS, *FIELDS):
            raise unknown_name("field of the protocol", field, [IDS, *FIELDS], "docs/run-file.md")


def differing(one: Protocol, other: Protocol) -> list[str]:
    """The fields in which two protocols differ, in the order of the run file."""
    return [field for field in FIELDS if not _same(field, one, other)]


def require_comparable(
    reference: Protocol,
    other: Protocol,
    names: tuple[str, str],
    allowed: Collection[str] = (),
    other_images: str = ON_THE_SAME_IMAGES,
) -> list[str]:
    """Make sure that two runs differ only in what is allowed.

    Args:
        reference: One protocol.
        other: The other.
        names: What the two runs are called.
        allowed: Fields that may differ.
        other_images: What to do about it if they are not of the same images.

    Returns:
        What differs and is allowed, in words.

    Raises:
        NotComparableError: If something else differs; the message has every field with both values.
        UsageError: If a field cannot be allowed.
    """
    check_allowed(allowed)
    fields = differing(reference, other)
    words = {field: f"{field} {_words(field, other)}, {names[0]} {_words(field, reference)}" for field in fields}
    refused = [field for field in fields if field not in allowed]
    if refused:
        what = "; ".join(words[field] for field in refused)
        raise NotComparableError(f"{names[1]} was not measured like {names[0]}: {what}", _hint(refused, other_images))
    return list(words.values())


def _hint(refused: list[str], other_images: str) -> str:
    if set(refused) & set(NEEDED_TO_PAIR):
        return other_images
    options = " ".join(f"--allow {field}" for field in refused)
    return f"Evaluate both in the same way, or allow the difference if it is intended: `{options}`."


def _same(field: str, one: Protocol, other: Protocol) -> bool:
    if field == "classes":
        return same_classes(one, other)
    here, there = getattr(one, field), getattr(other, field)
    if field in ("corruptions", "severities"):
        return set(here) == set(there)  # their order changes no result
    return bool(here == there)


def _words(field: str, protocol: Protocol) -> str:
    """A value of the protocol, short enough for a message."""
    value: Any = getattr(protocol, field)
    if field in HASHES:
        return str(value)[:12]
    if field == "classes":
        return "all" if value is None else f"{value.n} of {value.outputs} ({value.logits}, {value.names_sha256[:12]})"
    if field in ("corruptions", "severities"):
        return "+".join(map(str, value)) if len(value) <= 5 else f"{len(value)} of them"
    return str(value)
