"""Whether two runs were measured in the same way, field by field of their protocols."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ppbench.errors import NotComparableError, UsageError
from ppbench.lookup import unknown_name
from ppbench.metrics.comparable import HASHES, differing_own, same_classes, same_frames
from ppbench.run import Protocol

NEEDED_TO_PAIR = ("n", "ids_sha256")
"""Fields that identify the images. Other images are never paired, but images that one run lacks can be left out."""
IDS = "ids"
"""The name that allows to leave out images."""
ON_THE_SAME_IMAGES = "Evaluate both on the same images: same --dataset, --limit and --seed."
LABELS = "labels"
NEVER_ALLOWED = {
    LABELS: (
        "agreement with a model's own prediction is not accuracy",
        "Evaluate both with the same --labels.",
        "Evaluate both with the same --labels: clean predictions and true labels answer different questions.",
    ),
    "stream": (
        "frames of the same number are other images under other corruptions",
        "Evaluate both on the same stream: same --stream, --calibration and --seed.",
        "Evaluate both on the same stream: frames of another one have nothing in common with these.",
    ),
    "sequences": (
        "other frames are other flips, and videos change the frames",
        "Evaluate both on the same frames.",
        "Evaluate both on the same frames: either those that ppbench makes, or the same videos.",
    ),
    "passes": (
        "a model is one prediction an image or the mean of its passes",
        "Evaluate both with the same --passes.",
        "Evaluate both with the same --passes.",
    ),
}
"""Fields whose difference is never allowed, because the numbers would not be about the same question: why, the hint
about ``--allow``, and the hint about two runs that differ."""
FREE = ("preprocessing", "prompts", "unreadable")
"""Fields that may differ: the first two belong to the model, and the third only explains which images there are."""
SAID = ("adaptation",)
"""Fields in which runs may differ wherever the result says so: in comparisons, tables and figures, in which an adapted
run has another name and other labels. `ppbench check`, whose answer is one word, and leaderboards do not allow it."""
FIELDS = tuple(name for name in Protocol.model_fields if name not in FREE)
"""Fields that must be equal."""


def check_allowed(fields: Collection[str]) -> None:
    """Check that each is a protocol field that may be allowed to differ, or ``ids``.

    Raises:
        UsageError: If a name is not a protocol field, or pairing needs the field.
    """
    for field in fields:
        if field in NEEDED_TO_PAIR:
            raise UsageError(
                f"--allow {field} is not allowed: models are compared image by image",
                f"`--allow {IDS}` compares them over the images that both saw.",
            )
        if field in NEVER_ALLOWED:
            why, hint, _ = NEVER_ALLOWED[field]
            raise UsageError(f"--allow {field} is not allowed: {why}", hint)
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
    said: Collection[str] = (),
) -> list[str]:
    """Check that two runs differ only in allowed fields.

    Args:
        reference: One protocol.
        other: The other.
        names: The names of the two runs.
        allowed: Fields that may differ.
        other_images: Hint for runs on other images.
        said: Fields that may differ too, because the result says so.

    Returns:
        The allowed differences, in words.

    Raises:
        NotComparableError: If another field differs. The message and its hint name every such field with both values.
        UsageError: If a field cannot be allowed.
    """
    check_allowed(allowed)
    fields = [field for field in differing(reference, other) if field in allowed or field not in said]
    words = {field: f"{_named(field, other)}, {names[0]} {_words(field, reference)}" for field in fields}
    refused = [field for field in fields if field not in allowed]
    if refused:
        one, several = len(refused) == 1, [words[field] for field in refused]
        what = words[refused[0]] if one else f"{', '.join(refused)} differ"
        # Several fields have a line each.
        hint = "\n".join([*([] if one else several), _hint(refused, other_images)])
        raise NotComparableError(f"{names[1]} was not measured like {names[0]}: {what}", hint)
    return list(words.values())


def _hint(refused: list[str], other_images: str) -> str:
    if set(refused) & set(NEEDED_TO_PAIR):
        return other_images
    never = [NEVER_ALLOWED[field][2] for field in refused if field in NEVER_ALLOWED]
    if never:
        return never[0]
    options = " ".join(f"--allow {field}" for field in refused)
    return f"Evaluate both in the same way, or allow the difference if it is intended: `{options}`."


def prompts_remark(reference: Protocol, other: Protocol, names: tuple[str, str]) -> str | None:
    """Say how two zero-shot models were asked if not alike: prompts are a part of the model, so this is no obstacle.

    None if both were asked alike, or one of them is no such model.

    Args:
        reference: One protocol.
        other: The other.
        names: The names of the two runs.
    """
    here, there = reference.prompts, other.prompts
    if here is None or there is None or here == there:
        return None
    found = []
    if here.templates != there.templates:
        same = "other ones" if str(here) == str(there) else str(there)
        found.append(f"{names[0]} has {here}, {names[1]} {same}")
    if here.classes_sha256 != there.classes_sha256:
        found.append("the classes are called by other words")
    return f"the prompts differ: {'; '.join(found)}"


def _same(field: str, one: Protocol, other: Protocol) -> bool:
    if field == "classes":
        return same_classes(one, other)
    if field == "own_corruptions":
        return not differing_own(one, other)
    if field == "sequences":
        return same_frames(one, other)
    here, there = getattr(one, field), getattr(other, field)
    if field in ("corruptions", "severities"):
        return set(here) == set(there)  # the order does not change results
    return bool(here == there)


def _named(field: str, protocol: Protocol) -> str:
    words = _words(field, protocol)
    return words if field == LABELS else f"{field} {words}"


def _words(field: str, protocol: Protocol) -> str:
    """A value of the protocol, short enough for a message."""
    value: Any = getattr(protocol, field)
    if field in HASHES:
        return str(value)[:12]
    if field == "own_corruptions":
        return ", ".join(f"{name} {sha256[:12]}" for name, sha256 in (value or {}).items()) or "none"
    if field == LABELS:
        return "labels of the dataset" if value is None else "labels predicted"
    if field == "classes":
        return "all" if value is None else f"{value.n} of {value.outputs} ({value.logits}, {value.names_sha256[:12]})"
    if field in ("corruptions", "severities"):
        return "+".join(map(str, value)) if len(value) <= 5 else f"{len(value)} of them"
    return "none" if value is None else str(value)
