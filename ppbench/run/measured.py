"""A run with the arrays beside its file: which of its images were right, and which images these are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ppbench.run.predictions import Predictions
from ppbench.run.schema import PROBABILITY_COUNTS, CellCounts, Run
from ppbench.run.store import write_run
from ppbench.vocabulary import CLEAN, Cell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class MeasuredRun:
    """One run, with its results image by image."""

    run: Run
    bits: Mapping[Cell, NDArray[np.bool_]]
    """``(n,)`` by cell: which images were right."""
    keys: NDArray[np.uint64] | None = None
    """``(n,)``: keys of the images (`image_keys`); None if unknown, as in files older than keys."""
    predictions: Predictions | None = None
    """The predicted classes in the same order; None if they are not kept."""
    is_part: bool = False
    """Whether it has only a part of the run's images, whose top-1 results alone are known."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.run}>"

    def write(self, path: Path, *, compact: bool = False) -> Self:
        """Write the run file and the files beside it, as `write_run` does; return the run as written."""
        written = write_run(path, self.run, self.bits, self.keys, self.predictions, compact=compact)
        return replace(self, run=written)

    def restricted(self, corruptions: Sequence[str], severities: Sequence[int]) -> Self:
        """Restrict the run to some corruptions and severities; the clean images stay."""
        protocol = self.run.protocol
        wanted = {
            "corruptions": tuple(name for name in protocol.corruptions if name in corruptions),
            "severities": tuple(level for level in protocol.severities if level in severities),
        }
        kept = [
            c
            for c in self.run.cells
            if c.corruption == CLEAN or (c.corruption in corruptions and c.severity in severities)
        ]
        run = self.run.model_copy(update={"protocol": protocol.model_copy(update=wanted), "cells": tuple(kept)})
        return replace(self, run=run)

    def of_images(self, places: NDArray[np.int64], ids_sha256: str) -> Self:
        """Restrict the run to some images. Only the top-1 counts remain, since bits determine no others.

        Args:
            places: ``(k,)``: places of the images, in the order of the result.
            ids_sha256: Hash that identifies these images.
        """
        bits = {cell: right[places] for cell, right in self.bits.items()}
        n, unknown = len(places), dict.fromkeys(PROBABILITY_COUNTS)
        cells = tuple(
            CellCounts(
                corruption=cell.corruption, severity=cell.severity, n=n, top1=int(bits[cell.key].sum()), **unknown
            )
            for cell in self.run.cells
        )
        protocol = self.run.protocol.model_copy(update={"n": n, "ids_sha256": ids_sha256})
        run = self.run.model_copy(update={"protocol": protocol, "cells": cells})
        keys = None if self.keys is None else self.keys[places]
        predictions = self.predictions and self.predictions.of_images(places)
        return replace(self, run=run, bits=bits, keys=keys, predictions=predictions, is_part=True)
