"""The record of a stream of continually changing corruptions (docs/streams.md). Free of torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from ppbench.run.fields import Number, Record, Text

SPEEDS = (1000, 2000, 5000)
"""Frames at each point of the published streams; any other number is allowed."""

CCC_SEEDS = (43, 44, 45)
"""Seeds of the published streams: with the three speeds, nine streams of a level."""


class StreamRecord(Record):
    """Which stream a run is of. With the protocol's seed and images it determines every frame."""

    absent_if_none: ClassVar[frozenset[str]] = frozenset({"products"})

    kind: Literal["ccc"] = "ccc"
    level: Literal["easy", "medium", "hard"]
    speed: Number
    """Frames at each point of the walk."""
    calibration: Text
    """SHA-256 of the calibration's accuracies of the level's corruptions."""
    products: Literal[True] | None = None
    """Whether accuracies under two corruptions are products of those under one; None, and not written: measured."""

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """``ccc:medium,1000 a point,calibration 1a2b3c4d``, as labels of metrics carry it."""
        of = " of products" if self.products else ""
        return f"{self.kind}:{self.level},{self.speed} a point,calibration {self.calibration[:8]}{of}"
