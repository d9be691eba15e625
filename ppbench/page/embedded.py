"""The run that a page holds: as much of it as fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from ppbench.errors import DataError
from ppbench.run import Run, data_blocks, read_arrays, read_predictions, with_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ppbench.run import Predictions
    from ppbench.vocabulary import Cell

_PARTS = ("keys", "predictions", "bits")
"""What is left out for lack of room, in this order."""

_WORDS = {
    "keys": "the keys of its images, so it can be paired only with runs of exactly the same images",
    "predictions": "its predictions, which worst classes and confusions need",
    "bits": "its correctness bits, which intervals and comparisons need",
}


@dataclass(frozen=True)
class HeldRun:
    """The data blocks of a page, and what they lack."""

    blocks: Markup
    held: tuple[str, ...]
    """``bits``, ``keys``, ``predictions``, as far as they are there."""
    left_out: tuple[str, ...]
    """What the run has and the page does not."""

    @property
    def note(self) -> str:
        """What the page lacks, in words; empty if it has everything."""
        if not self.left_out:
            return ""
        return f"For lack of room it lacks {'; and '.join(_WORDS[part] for part in self.left_out)}."


def held_run(path: Path, run: Run, room: int) -> HeldRun:
    """Write a run as the data blocks of a page.

    If not everything fits, keys are left out first, then predictions, then bits. Keys come back if leaving out the
    predictions made room for them.

    Args:
        path: The run file, or a page that holds it.
        run: Its content.
        room: Bytes that may be used.
    """
    bits, keys, predictions = _arrays(path, run)
    has = tuple(part for part, value in zip(_PARTS, (keys, predictions, bits), strict=True) if value is not None)
    choices = [_PARTS, ("predictions", "bits"), ("keys", "bits"), ("bits",), ()]
    blocks, held = "", tuple[str, ...]()
    for choice in dict.fromkeys(tuple(part for part in choice if part in has) for choice in choices):
        blocks, held = _blocks(path, run, choice, bits, keys, predictions), choice
        if len(blocks.encode()) <= room:
            break
    return HeldRun(Markup(blocks), held, tuple(part for part in has if part not in held))


def _arrays(
    path: Path, run: Run
) -> tuple[dict[Cell, NDArray[np.bool_]] | None, NDArray[np.uint64] | None, Predictions | None]:
    """What is beside a run; a damaged part, of which the report says so, is left out."""
    bits = keys = predictions = None
    try:
        if run.bits is not None:
            bits, keys = read_arrays(path, run)
        if run.predictions is not None:
            predictions = read_predictions(path, run)
    except DataError:
        pass
    return bits, keys, predictions


def _blocks(
    path: Path,
    run: Run,
    parts: tuple[str, ...],
    bits: dict[Cell, NDArray[np.bool_]] | None,
    keys: NDArray[np.uint64] | None,
    predictions: Predictions | None,
) -> str:
    written, files = with_files(
        path.with_suffix(".json"),
        run.model_copy(update={"bits": None, "predictions": None}),
        bits if "bits" in parts else None,
        keys if "keys" in parts else None,
        predictions if "predictions" in parts else None,
    )
    return data_blocks(written.model_dump(mode="json"), files)
