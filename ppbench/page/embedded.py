"""The run that a page holds: as much of it as fits."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from ppbench.errors import DataError
from ppbench.run import MeasuredRun, Run, data_blocks, read_arrays, read_predictions, trials_if_any, with_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


def measured_run(path: Path, run: Run) -> MeasuredRun:
    """Read what is beside a run for its page. A damaged part, of which the page says so, is left out."""
    bits: Mapping[Cell, NDArray[np.bool_]] = {}
    keys = predictions = trials = None
    with suppress(DataError):
        if run.bits is not None:
            bits, keys = read_arrays(path, run)
            trials = trials_if_any(path, run)
    with suppress(DataError):
        if run.predictions is not None:
            predictions = read_predictions(path, run)
    return MeasuredRun(run, bits, keys, predictions, trials=trials)


def held_run(measured: MeasuredRun, name: str, room: int) -> HeldRun:
    """Write a run as the data blocks of a page.

    If not everything fits, keys are left out first, then predictions, then bits. Keys come back if leaving out the
    predictions made room for them.

    Args:
        measured: The run with what is beside it.
        name: The name of its file.
        room: Bytes that may be used.
    """
    parts = {"keys": measured.keys, "predictions": measured.predictions, "bits": measured.bits or None}
    has = tuple(part for part in _PARTS if parts[part] is not None)
    choices = [_PARTS, ("predictions", "bits"), ("keys", "bits"), ("bits",), ()]
    # Compressing the predictions of 50,000 images takes a second, so it is done once, whatever fits beside them.
    predictions = with_files(_file(name), _bare(measured.run), predictions=measured.predictions)
    if sum(map(len, predictions[1].values())) > room:
        choices = [choice for choice in choices if "predictions" not in choice]
    blocks, held = "", tuple[str, ...]()
    for choice in dict.fromkeys(tuple(part for part in choice if part in has) for choice in choices):
        blocks, held = _blocks(measured, name, choice, predictions), choice
        if len(blocks.encode()) <= room:
            break
    return HeldRun(Markup(blocks), held, tuple(part for part in has if part not in held))


def _blocks(measured: MeasuredRun, name: str, parts: tuple[str, ...], predictions: tuple[Run, dict[str, bytes]]) -> str:
    written, files = with_files(
        _file(name),
        _bare(measured.run),
        measured.bits if "bits" in parts else None,
        measured.keys if "keys" in parts else None,
        trials=measured.trials if "bits" in parts else None,
    )
    if "predictions" in parts:
        written = written.model_copy(update={"predictions": predictions[0].predictions})
        files |= predictions[1]
    return data_blocks(written.model_dump(mode="json"), files)


def _file(name: str) -> Path:
    return Path(name).with_suffix(".json")


def _bare(run: Run) -> Run:
    return run.model_copy(update={"bits": None, "predictions": None, "trials": None})
