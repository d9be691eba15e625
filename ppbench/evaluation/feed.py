"""The images of an evaluation, in the order of computation, read a little ahead and corrupted on the device."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.data.source import Broken, Encoded, Loaded, Source
from ppbench.devices import is_out_of_memory
from ppbench.evaluation.clean_store import CleanStore
from ppbench.evaluation.gpu import gpu_of
from ppbench.evaluation.inference import SMALL_SIDE, forward_size, free_memory
from ppbench.evaluation.nvjpeg import GpuDecoder
from ppbench.evaluation.profile import Trace, phase
from ppbench.evaluation.settings import Settings
from ppbench.evaluation.transport import TwoLanes, slots_for, through_slots
from ppbench.pool import ordered_map
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
    by_cell = ((np.flatnonzero(row), (cell,)) for cell, row in enumerate(missing))
    groups = _by_image(missing) if image_major else by_cell
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
        # Broken images stay in the batch, in black: cutting them out would be a copy, and another batch size.
        wanted &= batch.places != broken.place
    return wanted


ImageTask = tuple[str, int, NDArray[Any]]
"""Corruption, severity, and places in the source."""

Read = Loaded | Encoded


class OneLane:
    """On a CPU: one thing after the other, and no copies."""

    @contextmanager
    def making(self) -> Iterator[None]:
        """Make images inside the context."""
        yield

    def send(self, values: NDArray[np.generic]) -> Tensor:
        """Bring an array to the device. Images ``(n, H, W, C)`` keep their order of axes."""
        return torch.from_numpy(np.ascontiguousarray(values))

    def ready(self, images: Tensor) -> Tensor:
        """Hand over a finished batch ``(n, H, W, C)``, in the context of `making`; return it as networks may read it.

        It is the network's until `used`.
        """
        return images

    def used(self) -> None:
        """Note that all networks were given the batch."""


def lanes_of(device: torch.device) -> OneLane | TwoLanes:
    """The lanes of a device."""
    gpu = gpu_of(device)
    return OneLane() if gpu is None else TwoLanes(gpu)


class Feed:
    """Reads the images of an evaluation a little ahead, brings them to the device, and corrupts them there.

    Until they are yielded, images have the order of axes that files and corruptions have, ``(n, H, W, C)``. The same
    memory is ``(n, C, H, W)`` in channels_last, as networks take it.

    Args:
        source: The images.
        cells: The list that the blocks' cells are places in.
        workers: Processes that read images; 0: this one does it.
        device: Device to bring the images to.
        decoder: What decodes clean images on the GPU; None: they come decoded.
        leave_out: Called with the images of a batch that cannot be read.
        trace: The trace that batches are part of; None: none.
    """

    def __init__(
        self, source: Source, cells: Sequence[Cell], workers: int, device: torch.device, *,
        decoder: GpuDecoder | None = None, leave_out: Callable[[Collection[Broken]], None] = lambda broken: None,
        trace: Trace[Any] | None = None,
    ) -> None:  # fmt: skip
        self._source, self._cells, self._workers, self._device = source, cells, workers, device
        self._decoder, self._leave_out, self._trace = decoder, leave_out, trace or Trace(None, device)
        # Of all calls of `batches`: a lane does not wait for what another one puts into the store.
        self._lanes = lanes_of(device)
        self.store: CleanStore | None = None
        """Where clean images are kept for later blocks; None: they are loaded for each block."""

    def batches(self, blocks: Sequence[ImageBlock]) -> Iterator[Batch]:
        """Yield the images of all blocks, cell by cell, in order; on a GPU each batch is valid until the next.

        Where the cells of an image are made from one clean one, it is read once, brought to the device as it is, and
        corrupted there.

        Raises:
            PpbenchError: If a worker process is killed.
        """
        return self._trace.follow(self._stream(blocks), sum(len(block.cells) for block in blocks))

    def _stream(self, blocks: Sequence[ImageBlock]) -> Iterator[Batch]:
        source, cells = self._source, self._cells
        wanted = [block.places for block in blocks]
        loads = wanted if self.store is None else self.store.loads(wanted)
        # In the order in which the loop below takes them, since results come in the order of the tasks.
        tasks = (
            (*cell, places)
            for block, places in zip(blocks, loads, strict=True)
            for cell in ([(CLEAN, 0)] if source.image_major else [cells[number] for number in block.cells])
            if len(places)
        )
        most = max(map(len, loads), default=0)
        # Closed when the consumer stops early too, which ends the workers.
        with closing(load_all(source, tasks, self._workers, most, self._device, self._decoder)) as loaded:
            for block, places in zip(blocks, loads, strict=True):
                if source.image_major:
                    clean, broken = self._clean(block, places, loaded)
                for cell in (cells[number] for number in block.cells):
                    read = None if source.image_major else _next_of(loaded)
                    with self._lanes.making():
                        if read is not None:
                            images, broken = self._brought(read)
                        else:
                            images = clean if cell[0] == CLEAN else self._corrupted(clean, cell, block.places)
                        batch = self._lanes.ready(images)
                    self._leave_out(broken)
                    try:
                        yield Batch(cell, block.places, batch.permute(0, 3, 1, 2), broken)
                    finally:  # the consumer may stop here, and the next call has the same buffers
                        self._lanes.used()

    def _clean(
        self, block: ImageBlock, places: NDArray[np.int64], loaded: Iterator[Read]
    ) -> tuple[Tensor, tuple[Broken, ...]]:
        """Return the clean images of a block, on the device; of these ``places`` have to be loaded."""
        read = _next_of(loaded) if len(places) else None
        with self._lanes.making():
            if read is not None:
                images, broken = self._brought(read)
                if self.store is None:
                    return images, broken
                self.store.put(places, images, broken)
            assert self.store is not None
            return self.store.take(block.places, self._lanes.send)

    def _brought(self, read: Read) -> tuple[Tensor, tuple[Broken, ...]]:
        """Bring images to the device, in the current stream: ``(n, H, W, C)`` uint8, and which could not be read."""
        if isinstance(read, Encoded):
            assert self._decoder is not None
            with phase("read"):
                return self._decoder.decode(read)
        with phase("to device"):
            return self._lanes.send(read.pixels), read.broken

    def _corrupted(self, images: Tensor, cell: Cell, places: NDArray[np.int64]) -> Tensor:
        """Make one cell of clean images."""
        with phase("corrupt"):
            return _corrupt(self._source, images, cell, places)


def _next_of(loaded: Iterator[Read]) -> Read:
    """Wait for the next images."""
    with phase("read"):
        return next(loaded)


def load_all(
    source: Source, tasks: Iterator[ImageTask], workers: int, most: int, device: torch.device,
    decoder: GpuDecoder | None = None,
) -> Generator[Read, None, None]:  # fmt: skip
    """Yield what is loaded for some tasks, in their order.

    For a GPU, pixels come from worker processes through shared memory, and are valid until the next are asked for. On a
    CPU, where images are in use for longer and workers are few, they come through a pipe and stay.

    Args:
        source: The images.
        tasks: What to load.
        workers: Processes that load; 0: this one does it.
        most: Images of the largest task.
        device: Device that the images are for.
        decoder: What decodes clean images on the GPU; None: whoever loads them.
    """
    if decoder is not None:
        yield from ordered_map(source.encoded_reader, tasks, workers)
        return
    slots = slots_for(source, workers, most) if workers > 0 and gpu_of(device) is not None else None
    if slots is None:
        yield from ordered_map(source.reader, tasks, workers)
    else:
        yield from through_slots(slots, source, tasks, workers)


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
