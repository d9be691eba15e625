"""The content of a strip of pictures: what a corruption does to an image by severity, and where a prediction flips.

`ppbench.pictures` makes it; a page only shows it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """One image in one cell, and what the model said of it."""

    severity: int
    """0: clean."""
    uri: str
    """The thumbnail as a ``data:`` address."""
    predicted: str | None
    """Name of the predicted class; None if predictions were not kept."""
    probability: float | None
    """Of the predicted class, a fraction; None if unknown."""
    is_right: bool
    is_first_flip: bool
    """Whether it is wrong here and right at all lower severities."""
    alt: str
    """The picture in words."""
    has_label: bool = True
    """Whether right is the true class; otherwise it is the prediction without corruption."""

    @property
    def mark(self) -> str:
        """A sign for right or wrong, or for the same prediction or another one."""
        same, other = "✓✗" if self.has_label else "=≠"
        return same if self.is_right else other

    @property
    def caption(self) -> str:
        """``Sneaker 93 %``, or ``wrong`` where predictions were not kept."""
        if self.predicted is None:
            same, other = ("right", "wrong") if self.has_label else ("unchanged", "changed")
            return same if self.is_right else other
        sure = "" if self.probability is None else f" {100 * self.probability:.0f} %"
        return f"{self.predicted}{sure}"


@dataclass(frozen=True)
class PictureRow:
    """One image in a corruption, clean to the highest severity."""

    corruption: str
    image: str
    """Its id in the dataset."""
    label: str
    """Name of its class."""
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class PictureStrip:
    """Rows of pictures, or the reason why there are none."""

    rows: tuple[PictureRow, ...] = ()
    side: int = 0
    """Side of the thumbnails in pixels."""
    is_small: bool = False
    """Whether the thumbnails have the images' own pixels, which a page enlarges without smoothing."""
    notes: tuple[str, ...] = ()
    reason: str | None = None
    """Why there are no pictures; None if there are."""

    @property
    def severities(self) -> tuple[int, ...]:
        """The severities of any picture; 0 is clean."""
        return tuple(sorted({one.severity for row in self.rows for one in row.pictures}))
