"""How a network was adapted to the images of each cell before it was scored on them. Free of torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from ppbench.errors import UsageError
from ppbench.run.fields import Count, Number, Record

IN_STREAM = 64
"""Consecutive frames of a stream that are normalised together. Part of the protocol, unlike ``--batch-size``."""

TOGETHER = 128
"""Images that are normalised together while statistics are estimated. Part of the protocol, unlike ``--batch-size``."""


class Adaptation(Record):
    """Statistics of batch norms that were estimated again for each cell.

    Source: Schneider, Rusak et al., "Improving robustness against common corruptions by covariate shift adaptation",
    NeurIPS 2020. docs/adaptation.md says what exactly is computed.
    """

    absent_if_none: ClassVar[frozenset[str]] = frozenset({"consecutive"})

    method: Literal["batchnorm"] = "batchnorm"
    source_images: Count = 0
    """Images that the network's own statistics count as in the mixture; 0: the cell's images alone count."""
    batch: Number = TOGETHER
    """Most images that were normalised together while the statistics were estimated."""
    consecutive: Literal[True] | None = None
    """Whether these are consecutive frames of a stream, scored by their own statistics; None, and not written: each
    image was scored by the statistics of all images of its cell."""

    def __str__(self) -> str:
        """The value of ``--adapt``: ``batchnorm`` or ``batchnorm:16``."""
        return f"{self.method}:{self.source_images}" if self.source_images else self.method

    @property
    def label(self) -> str:
        """How labels say it: ``batchnorm-adapted``, ``batchnorm:16-adapted``; of a stream also the size of batches."""
        return f"{self}-adapted in batches of {self.batch}" if self.consecutive else f"{self}-adapted"

    def in_stream(self) -> Adaptation:
        """The same method on a stream, whose cells never end: each batch is scored by its own statistics."""
        return self.model_copy(update={"batch": IN_STREAM, "consecutive": True})


def parse_adaptation(text: str) -> Adaptation:
    """Parse the value of ``--adapt``.

    Raises:
        UsageError: If it is neither ``batchnorm`` nor ``batchnorm:N`` with N from 1 to a million.
    """
    method, colon, number = str(text).partition(":")
    if method != "batchnorm" or (colon and not (number.isascii() and number.isdigit() and 0 < int(number) <= 10**6)):
        raise UsageError(
            f"--adapt {text} is not allowed",
            "`batchnorm` uses the statistics of the cell's images; `batchnorm:16` mixes them with the network's own, "
            "which then count as 16 images (1 to 1,000,000).",
        )
    return Adaptation(source_images=int(number) if colon else 0)
