"""The images of an evaluation, in the order of computation, read a little ahead and corrupted on the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.data.source import Broken, Source
from ppbench.devices import is_out_of_memory
from ppbench.evaluation.clean_store import CleanStore
from ppbench.evaluation.inference import SMALL_SIDE, forward_size, free_memory
from ppbench.evaluation.nvjpeg import GpuDecoder
from ppbench.evaluation.profile import phase
from ppbench.evaluation.settings import Settings
from ppbench.evaluation.transport import Lanes, Read, brought, lanes_of, load_all, next_of, to_device
from ppbench.vocabulary import CLEAN, Cell

Missing = NDArray[np.bool_]
"""``(cells, n)``: what is still to be computed."""


class ImageBlock(NamedTuple):
    """Some images, in some cells each."""

    places: NDArray[np.int64]
    """``(n,)``, in the source."""
    cells: tuple[int, ...]
    """Places in the list of cells."""


def plan_blocks(missing: Missing, size: int, *, image_major: bool, first: Missing | None = None) -> list[ImageBlock]:
    """Divide all that is missing into blocks of at most ``size`` images.

    Args:
        missing: What has to be computed.
        size: Images per block.
        image_major: Whether a block has all cells that its images lack, instead of one cell.
        first: The part of it that is computed before the rest.
    """
    if first is not None:
        return [
            *plan_blocks(missing & first, size, image_major=image_major),
            *plan_blocks(missing & ~first, size, image_major=image_major),
        ]
    groups = _by_image(missing) if image_major else _by_cell(missing)
    return [
        ImageBlock(places[start : start + size], cells)
        for places, cells in groups
        for start in range(0, len(places), size)
    ]


def plan_chunks(missing: Missing, size: int, chunks: Sequence[NDArray[np.int64]]) -> list[ImageBlock]:
    """Divide all that is missing into blocks, chunk after chunk; a block has images of one chunk, with all their cells.

    Args:
        missing: What has to be computed.
        size: Images per block.
        chunks: Places of the images of each chunk.
    """
    return [
        block._replace(places=chunk[block.places])
        for chunk in chunks
        for block in plan_blocks(missing[:, chunk], size, image_major=True)
    ]


def block_size(settings: Settings, source: Source) -> int:
    """Number of images that are loaded and corrupted together; small images of several forward passes, to save time."""
    forward = forward_size(settings.device, source.size)
    several = 4 if settings.device.type == "cpu" and source.size <= SMALL_SIDE else 1
    return settings.request.batch_size or several * forward


def share(missing: Missing, rank: int, size: int) -> Missing:
    """The part of process ``rank`` of ``size``: every ``size``-th of the images that lack a cell.

    The parts are disjoint and together they are the whole: nothing is padded or left out.
    """
    mine = np.zeros(missing.shape[1], np.bool_)
    mine[np.flatnonzero(missing.any(0))[rank::size]] = True
    return missing & mine


def evenly_spread(images: int, count: int) -> NDArray[np.bool_]:
    """``(images,)``: a choice of ``count`` images, spread evenly over all classes if these follow each other."""
    chosen = np.zeros(images, np.bool_)
    chosen[np.unique(np.linspace(0, images - 1, min(images, count)).round().astype(np.int64))] = True
    return chosen


def _by_cell(missing: Missing) -> Iterator[tuple[NDArray[np.int64], tuple[int, ...]]]:
    for cell, row in enumerate(missing):
        yield np.flatnonzero(row), (cell,)


def _by_image(missing: Missing) -> Iterator[tuple[NDArray[np.int64], tuple[int, ...]]]:
    """Yield images that lack the same cells, in the order of the first one.

    After a kill, a few images may lack other cells than the rest.
    """
    patterns, firsts, group = np.unique(missing, axis=1, return_index=True, return_inverse=True)
    for number in np.argsort(firsts):
        cells = tuple(np.flatnonzero(patterns[:, number]).tolist())
        if cells:
            yield np.flatnonzero(group == number), cells


class Batch(NamedTuple):
    """Some images of one cell, on the device."""

    cell: Cell
    places: NDArray[np.int64]
    """``(n,)``, in the source."""
    images: Tensor
    """``(n, C, H, W)`` uint8 in channels_last; broken images are black."""
    broken: tuple[Broken, ...]


def still_wanted(batch: Batch, done: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``(n,)``: which images of a batch count; ``done`` ``(N,)`` are finished from an earlier run."""
    wanted = ~done[batch.places]
    for broken in batch.broken:
        wanted &= batch.places != broken.place
    return wanted


def stream(
    source: Source,
    cells: Sequence[Cell],
    blocks: Sequence[ImageBlock],
    workers: int,
    device: torch.device,
    store: CleanStore | None = None,
    decoder: GpuDecoder | None = None,
    lanes: Lanes | None = None,
) -> Iterator[Batch]:
    """Yield the images of all blocks, cell by cell, in order.

    Until they are yielded, images have the order of axes that files and corruptions have, ``(n, H, W, C)``. The same
    memory is ``(n, C, H, W)`` in channels_last, as networks take it.

    Where the cells of an image are made from one clean one, it is read once, brought to the device as it is, and
    corrupted there. On a GPU the images of a batch are valid until the next batch is asked for.

    Args:
        source: The images.
        cells: The list that the blocks' cells are places in.
        blocks: The images to load.
        workers: Processes that read images; 0: this one does it.
        device: Device to bring the images to.
        store: Where clean images are kept for later blocks and calls; None: they are loaded for each block.
        decoder: What decodes clean images on the GPU; None: they come decoded.
        lanes: Those of the device; None: new ones. Calls that share a store share them, since one stream does not wait
            for what another one puts there.

    Raises:
        PpbenchError: If a worker process is killed.
    """
    lanes = lanes or lanes_of(device)
    wanted = [block.places for block in blocks]
    loads = wanted if store is None else store.loads(wanted)
    # In the order in which the loop below takes them, since results come in the order of the tasks.
    tasks = (
        (*cell, places)
        for block, places in zip(blocks, loads, strict=True)
        for cell in ([(CLEAN, 0)] if source.image_major else [cells[number] for number in block.cells])
        if len(places)
    )
    # Closed when the consumer stops early too, which ends the workers.
    most = max(map(len, loads), default=0)
    with closing(load_all(source, tasks, workers, most, device, decoder)) as loaded:
        for block, places in zip(blocks, loads, strict=True):
            if source.image_major:
                clean, broken = _clean(block, places, loaded, lanes, decoder, store)
            for cell in (cells[number] for number in block.cells):
                if not source.image_major:
                    read = next_of(loaded)
                with lanes.making():
                    if not source.image_major:
                        images, broken = brought(read, lanes, decoder)
                    elif cell[0] == CLEAN:
                        images = clean
                    else:
                        with phase("corrupt"):
                            images = _corrupt(source, clean, cell, block.places)
                    batch = lanes.ready(images)
                try:
                    yield Batch(cell, block.places, batch.permute(0, 3, 1, 2), broken)
                finally:  # the consumer may stop here, and the next call has the same buffers
                    lanes.used()


def _clean(
    block: ImageBlock,
    places: NDArray[np.int64],
    loaded: Iterator[Read],
    lanes: Lanes,
    decoder: GpuDecoder | None,
    store: CleanStore | None,
) -> tuple[Tensor, tuple[Broken, ...]]:
    """Return the clean images of a block, on the device; of these ``places`` have to be loaded."""
    read = next_of(loaded) if len(places) else None
    with lanes.making():
        if read is not None:
            images, broken = brought(read, lanes, decoder)
            if store is None:
                return images, broken
            store.put(places, images, broken)
        assert store is not None
        return store.take(block.places, lanes.send)


def _corrupt(source: Source, images: Tensor, cell: Cell, places: NDArray[np.int64]) -> Tensor:
    """Make one cell of clean images; in halves, if the device's memory is too small for all of them."""
    try:
        return cast(Tensor, source.corrupt(images, *cell, places))
    except RuntimeError as error:
        if len(places) == 1 or not is_out_of_memory(error):
            raise
    free_memory(images.device)
    half = len(places) // 2
    parts = [_corrupt(source, images[part], cell, places[part]) for part in (slice(half), slice(half, None))]
    return torch.cat(parts)


def images_to_device(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Images ``(n, H, W, C)`` as a tensor in the same order of axes."""
    return to_device(torch.from_numpy(np.ascontiguousarray(pixels)), device)
