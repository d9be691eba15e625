"""Tables as data: texts for the terminal, Markdown and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

MISSING = "–"
"""Text of a cell whose number does not exist."""
NOT_AVAILABLE = "n/a"
"""Text of a cell whose number cannot be computed; a note says why."""

Tone = float | Literal["better", "worse"]
"""Colour of a cell: its share of the best value, 0 to 1, or a change for better or worse."""

LineKind = Literal["plain", "group", "total"]


@dataclass(frozen=True)
class Line:
    """One row of a sheet."""

    cells: tuple[str, ...]
    kind: LineKind = "plain"
    """"group" is the heading of the plain lines after it; "total" is the last line."""
    worst: int | None = None
    """Column of the worst cell, if it is in this line."""
    tones: Mapping[int, Tone] = field(default_factory=dict)
    """Colours by column. Only terminals have them, so the text of the cell must say the same."""
    curve: tuple[float | None, ...] = ()
    """Fractions for a small curve at the end of the line, if the sheet has curves; None for a missing value."""


class Curves(NamedTuple):
    """The column of small curves that a wide terminal adds to a table."""

    header: str
    meaning: str
    """What a curve shows, in words; the note below the table begins with it."""


@dataclass(frozen=True)
class Sheet:
    """A table of text."""

    title: str
    header: tuple[str, ...]
    lines: tuple[Line, ...]
    text_columns: tuple[int, ...] = (0,)
    """Columns of words, flush left; the others are numbers."""
    notes: tuple[str, ...] = ()
    """Sentences below the table."""
    labels: tuple[str, ...] = ()
    """Full labels of the metrics that the table calls by short names."""
    names: tuple[int, ...] = ()
    """Columns headed by a model's name. A narrow terminal calls them A, B, … and lists the names."""
    curves: Curves | None = None
    """The column for the lines' curves. Only wide terminals have it, so that the cells must say the same."""

    @property
    def in_full(self) -> str:
        """A sentence with the labels that say more than the short names; empty if there are none."""
        labels = [label for label in dict.fromkeys(self.labels) if "[" in label]
        return f"In full: {', '.join(labels)}." if labels else ""


def short_name(label: str) -> str:
    """The name of a metric in tables: ``relative mCE`` for ``relative_mCE[alexnet,c15,s1-5]``."""
    # A symbol of one letter keeps its index: R_net.
    return re.sub("(?<=..)_", " ", label.partition("[")[0]).replace("top5", "top-5")


def short_names(labels: Sequence[str]) -> dict[str, str]:
    """Short names by label. Labels that would share a name keep the parts that differ, as in ``mean error s3``."""
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
