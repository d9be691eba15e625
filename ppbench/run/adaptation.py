"""How a network was adapted to the images of each cell before it was scored on them. Free of torch."""

from __future__ import annotations

from typing import Literal

from ppbench.errors import UsageError
from ppbench.run.fields import Count, Number, Record

TOGETHER = 128
"""Images that are normalised together while statistics are estimated. Part of the protocol, unlike ``--batch-size``."""


class Adaptation(Record):
    """Statistics of batch norms that were estimated again for each cell.

    Source: Schneider, Rusak et al., "Improving robustness against common corruptions by covariate shift adaptation",
    NeurIPS 2020. docs/adaptation.md says what exactly is computed.
    """

    method: Literal["batchnorm"] = "batchnorm"
    source_images: Count = 0
    """Images that the network's own statistics count as in the mixture; 0: the cell's images alone count."""
    batch: Number = TOGETHER
    """Most images that were normalised together while the statistics were estimated."""

    def __str__(self) -> str:
        """The value of ``--adapt``: ``batchnorm`` or ``batchnorm:16``."""
        return f"{self.method}:{self.source_images}" if self.source_images else self.method

    @property
    def label(self) -> str:
        """How labels say it: ``batchnorm-adapted`` or ``batchnorm:16-adapted``."""
        return f"{self}-adapted"


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
