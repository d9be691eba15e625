"""What to compute, in which order, and by which process. Free of torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Missing = NDArray[np.bool_]
"""``(cells, n)``: what is still to be computed."""


class Block(NamedTuple):
    """Some images in some cells."""

    places: NDArray[np.int64]
    """``(n,)`` in the source."""
    cells: tuple[int, ...]
    """Places in the list of cells."""


def plan_blocks(missing: Missing, size: int, *, image_major: bool, first: Missing | None = None) -> list[Block]:
    """Cut all that is missing into blocks of at most ``size`` images.

    Args:
        missing: What is to be computed.
        size: Images of a block.
        image_major: Whether a block has all the cells its images lack, or one cell.
        first: Of the missing, what is to be done before the rest.
    """
    if first is not None:
        return [
            *plan_blocks(missing & first, size, image_major=image_major),
            *plan_blocks(missing & ~first, size, image_major=image_major),
        ]
    groups = _by_image(missing) if image_major else _by_cell(missing)
    return [
        Block(places[start : start + size], cells) for places, cells in groups for start in range(0, len(places), size)
    ]


def plan_chunks(missing: Missing, size: int, chunks: Sequence[NDArray[np.int64]]) -> list[Block]:
    """Cut all that is missing into blocks, each of images of one chunk, one chunk after another, with all their cells.

    Args:
        missing: What is to be computed.
        size: Images of a block.
        chunks: Places of images.
    """
    return [
        block._replace(places=chunk[block.places])
        for chunk in chunks
        for block in plan_blocks(missing[:, chunk], size, image_major=True)
    ]


def share(missing: Missing, rank: int, size: int) -> Missing:
    """The part of one of ``size`` processes: every ``size``-th of the images that lack a cell.

    Nothing is padded or left out: the parts are disjoint and make up the whole.
    """
    mine = np.zeros(missing.shape[1], np.bool_)
    mine[np.flatnonzero(missing.any(0))[rank::size]] = True
    return missing & mine


def spread(images: int, count: int) -> NDArray[np.bool_]:
    """``(images,)``: ``count`` of them, evenly spread over all classes if these follow each other."""
    chosen = np.zeros(images, np.bool_)
    chosen[np.unique(np.linspace(0, images - 1, min(images, count)).round().astype(np.int64))] = True
    return chosen


def _by_cell(missing: Missing) -> Iterator[tuple[NDArray[np.int64], tuple[int, ...]]]:
    for cell, row in enumerate(missing):
        yield np.flatnonzero(row), (cell,)


def _by_image(missing: Missing) -> Iterator[tuple[NDArray[np.int64], tuple[int, ...]]]:
    """Images that lack the same cells, in the order of the first: after a kill, a few have a set of their own."""
    patterns, firsts, group = np.unique(missing, axis=1, return_index=True, return_inverse=True)
    for number in np.argsort(firsts):
        cells = tuple(np.flatnonzero(patterns[:, number]).tolist())
        if cells:
            yield np.flatnonzero(group == number), cells
