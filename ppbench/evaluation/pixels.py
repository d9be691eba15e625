"""The stream of corrupted images: made in worker processes, in a fixed order, a little ahead of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.source import Pixels, Source
from ppbench.pool import ordered_map


class Piece(NamedTuple):
    """Some images of one cell."""

    corruption: str
    severity: int
    places: NDArray[np.int64]
    """``(n,)`` places in the source."""


def plan_pieces(cells: Sequence[tuple[str, int]], images: int, size: int) -> list[Piece]:
    """Cut every cell into pieces of at most ``size`` images, one cell after another."""
    parts = [np.arange(start, min(start + size, images)) for start in range(0, images, size)]
    return [Piece(corruption, severity, part) for corruption, severity in cells for part in parts]


def stream(source: Source, pieces: Sequence[Piece], workers: int) -> Iterator[tuple[Piece, Pixels]]:
    """Yield every piece with its images, in order.

    Args:
        source: The images.
        pieces: What to load.
        workers: Processes that make images; 0: this one does it.

    Raises:
        DataError: What the source raises.
        PpbenchError: If a worker process is killed.
    """
    with closing(ordered_map(partial(_loader, source), pieces, workers)) as images:
        yield from zip(pieces, images, strict=True)


def _loader(source: Source) -> Callable[[Piece], Pixels]:
    return lambda piece: source.load(*piece)
