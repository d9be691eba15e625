"""The texts of a zero-shot model: names of classes and templates of prompts. Free of torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ppbench.errors import DataError, UsageError
from ppbench.files import read_text
from ppbench.run.fields import LONGEST_TEXT, MOST_CLASSES

USUAL_TEMPLATES = ("a photo of a {}.",)
PLACE = "{}"
"""What a template has in place of the class."""


class PromptClass(NamedTuple):
    """A class, as the images' folders call it and as prompts do."""

    name: str
    text: str


def in_words(name: str) -> PromptClass:
    """Return the class of a folder's name; its text has blanks in place of underscores."""
    return PromptClass(name, " ".join(name.replace("_", " ").split()))


def prompt_classes(given: str | Path | Sequence[str]) -> tuple[PromptClass, ...]:
    """Read the classes: one a line, either the text alone, or the folder's name, a tab and the text.

    Args:
        given: A file, in which blank lines and lines that begin with ``#`` do not count; or the lines.

    Raises:
        DataError: If the file cannot be read.
        UsageError: If there are no classes, or two have one name or one text.
    """
    lines, where = _lines(given, "--class-names")
    if len(lines) > MOST_CLASSES:
        raise UsageError(f"{where} has {len(lines):,} classes", f"Networks have at most {MOST_CLASSES:,}.")
    classes = []
    for line in lines:
        name, text = (part.strip() for part in (*line.split("\t", 1), "")[:2])
        classes.append(PromptClass(name or text, text or name))
    if not classes:
        raise UsageError(f"{where} has no class names", "Give one a line, such as `golden retriever`.")
    _check_once(where, "class", (one.name for one in classes))
    _check_once(where, "text", (one.text for one in classes))
    return tuple(classes)


def prompt_templates(given: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Read the templates of prompts: one a line, with ``{}`` where the class comes.

    Args:
        given: As for `prompt_classes`.

    Raises:
        DataError: If the file cannot be read.
        UsageError: If there are no templates, one occurs twice, has no ``{}`` or is too long.
    """
    lines, where = _lines(given, "--templates")
    templates = [line.strip() for line in lines]
    if not templates:
        raise UsageError(f"{where} has no templates", f"Give one a line, such as `{USUAL_TEMPLATES[0]}`.")
    without = next((template for template in templates if PLACE not in template), None)
    if without is not None:
        raise UsageError(
            f"the template {without!r} of {where} has no {PLACE}",
            f"Write {PLACE} where the class comes: `{USUAL_TEMPLATES[0]}`.",
        )
    if (longest := max(templates, key=len)) and len(longest) > LONGEST_TEXT:
        raise UsageError(
            f"a template of {where} has {len(longest):,} characters: {longest[:40]!r}…",
            f"Write at most {LONGEST_TEXT:,}; networks read about 77 words.",
        )
    _check_once(where, "template", templates)
    return tuple(templates)


def prompts_of(text: str, templates: Iterable[str]) -> list[str]:
    """Return the prompts of one class, a template each. Other braces than ``{}`` stay as they are."""
    return [template.replace(PLACE, text) for template in templates]


def _lines(given: str | Path | Sequence[str], option: str) -> tuple[list[str], str]:
    """Return the lines that count, and what they are called in messages."""
    if not isinstance(given, str | Path):
        if not isinstance(given, Iterable) or not all(isinstance(line, str) for line in given):
            raise UsageError(
                f"{option} is {given!r:.60}", "Give a text file with one entry a line, or a list of texts."
            )
        # As in a file: an entry has one line.
        return [" ".join(line.splitlines()) for line in given if line.strip()], option
    try:
        text = read_text(Path(given))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {option} {given}: {reason}", "Give a text file with one entry a line.") from error
    counts: Callable[[str], bool] = lambda line: bool(line.strip()) and not line.lstrip().startswith("#")  # noqa: E731
    return list(filter(counts, text.splitlines())), f"{option} {given}"


def _check_once(where: str, what: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise UsageError(f"{where} has the {what} {value!r} twice", "Remove or rename one of the two lines.")
        seen.add(value)
