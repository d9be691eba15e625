"""The texts that made a classifier of a zero-shot model, as its protocol keeps them. Free of torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from ppbench.run.fields import Many, Record, Text


class Prompts(Record):
    """The prompts of a zero-shot model: each class in each template."""

    templates: Annotated[Many[Text], Field(min_length=1)]
    """Texts with ``{}`` where the class comes, in order."""
    classes_sha256: Text
    """SHA-256 of the classes as the prompts call them, in order, joined by newlines; the card has the texts."""

    @classmethod
    def of_card(cls, texts: Mapping[str, Sequence[str]] | None) -> Prompts | None:
        """Take them from a card's ``prompts``; None if it has none."""
        if not texts or not texts.get("templates"):
            return None
        classes = "\n".join(texts.get("classes", ()))
        return cls(templates=tuple(texts["templates"]), classes_sha256=hashlib.sha256(classes.encode()).hexdigest())

    def __str__(self) -> str:
        """The only template, or how many there are: ``'a photo of a {}.'``, ``80 templates``."""
        return repr(self.templates[0]) if len(self.templates) == 1 else f"{len(self.templates)} templates"
