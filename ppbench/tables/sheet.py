"""A table as data: texts that the terminal, Markdown and LaTeX draw alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

MISSING = "–"
"""In a cell: there is no such number."""
NOT_AVAILABLE = "n/a"
"""In a cell: the number exists, but cannot be computed; a note says why."""

Tone = float | Literal["better", "worse"]
"""How a cell stands out in colour: by its share of the best, 0 to 1, or as a change for the better."""

LineKind = Literal["plain", "group", "total"]


@dataclass(frozen=True)
class Line:
    """One row of a sheet."""

    cells: tuple[str, ...]
    kind: LineKind = "plain"
    """"group" heads the plain lines after it; "total" stands at the end."""
    worst: int | None = None
    """Column of the worst cell, if it is in this line."""
    tones: Mapping[int, Tone] = field(default_factory=dict)
    """By column. Only terminals have colours, so that a sign, a mark or a word in the cell says the same."""


@dataclass(frozen=True)
class Sheet:
    """A table of text."""

    title: str
    header: tuple[str, ...]
    lines: tuple[Line, ...]
    text_columns: tuple[int, ...] = (0,)
    """Columns that are words and not numbers."""
    notes: tuple[str, ...] = ()
    """Sentences below the table."""
    labels: tuple[str, ...] = ()
    """Full labels of the metrics that the table has by their short names."""

    @property
    def in_full(self) -> str:
        """The labels that say more than the short names do, in a sentence; empty if there are none."""
        labels = [label for label in dict.fromkeys(self.labels) if "[" in label]
        return f"In full: {', '.join(labels)}." if labels else ""


def short_name(label: str) -> str:
    """What a table calls a metric: ``relative mCE`` of ``relative_mCE[alexnet,c15,s1-5]``."""
    name = label.partition("[")[0]
    return name if name == "R_net" else name.replace("_", " ")


def short_names(labels: Sequence[str]) -> dict[str, str]:
    """Short names by label. Labels that would share one keep what tells them apart, as in ``mean error s3``."""
    names = {}
    for label in labels:
        sharing = [_parts(other) for other in labels if short_name(other) == short_name(label)]
        apart = [part for part in _parts(label) if any(part not in other for other in sharing)]
        # A label whose parts are all in another's has no short name of its own.
        is_clear = len(sharing) == 1 or apart
        names[label] = " ".join((short_name(label), *apart)) if is_clear else label
    return names


def _parts(label: str) -> list[str]:
    return label.partition("[")[2].removesuffix("]").split(",")
