"""What a worker process does: read images. Free of torch, which takes longer to import than many images to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.source import Loaded, Source
from ppbench.evaluation.plan import Block
from ppbench.vocabulary import CLEAN, Cell


class Reading(NamedTuple):
    """Some images of one cell."""

    corruption: str
    severity: int
    places: NDArray[np.int64]
    """``(n,)`` in the source."""


def readings_of(source: Source, cells: Sequence[Cell], block: Block) -> list[Reading]:
    """What has to be read for a block: the clean images that its cells are made from, or each of its cells."""
    wanted = [(CLEAN, 0)] if source.image_major else [cells[number] for number in block.cells]
    return [Reading(corruption, severity, block.places) for corruption, severity in wanted]


def reader(source: Source) -> Callable[[Reading], Loaded]:
    """Get ready; returns what reads."""
    return lambda reading: source.load(*reading)
