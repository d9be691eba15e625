"""The stream of images: read in worker processes a little ahead of the network, corrupted on its device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.data.source import Broken, Loaded, Source
from ppbench.evaluation.inference import free_memory, is_out_of_memory
from ppbench.evaluation.plan import Block
from ppbench.evaluation.reading import reader, readings_of
from ppbench.pool import ordered_map
from ppbench.vocabulary import CLEAN, Cell


class Batch(NamedTuple):
    """Some images of one cell, on the device."""

    cell: Cell
    places: NDArray[np.int64]
    """``(n,)`` in the source."""
    images: Tensor
    """``(n, C, H, W)`` uint8 in channels_last; broken images are black."""
    broken: tuple[Broken, ...]


def stream(
    source: Source, cells: Sequence[Cell], blocks: Sequence[Block], workers: int, device: torch.device
) -> Iterator[Batch]:
    """Yield the images of all blocks, cell by cell, in order.

    Where the cells of an image are made from one clean one, it is read once, brought to the device as it is, and
    corrupted there.

    Args:
        source: The images.
        cells: What the blocks' cells are places in.
        blocks: What to load.
        workers: Processes that read images; 0: this one does it.
        device: Where the images are wanted.

    Raises:
        PpbenchError: If a worker process is killed.
    """
    readings = (reading for block in blocks for reading in readings_of(source, cells, block))
    with closing(ordered_map(partial(reader, source), readings, workers)) as loaded:
        for block in blocks:
            yield from (_batches if source.image_major else _batches_as_read)(source, cells, block, loaded, device)


def _batches(
    source: Source, cells: Sequence[Cell], block: Block, loaded: Iterator[Loaded], device: torch.device
) -> Iterator[Batch]:
    """The cells of a block made from its clean images."""
    pixels, broken = next(loaded)
    images = images_to_device(pixels, device)
    for cell in (cells[number] for number in block.cells):
        made = images if cell[0] == CLEAN else _corrupt(source, images, cell, block.places)
        yield Batch(cell, block.places, made, broken)


def _batches_as_read(
    source: Source, cells: Sequence[Cell], block: Block, loaded: Iterator[Loaded], device: torch.device
) -> Iterator[Batch]:
    """The cells of a block as they are read, one by one."""
    for cell in (cells[number] for number in block.cells):
        pixels, broken = next(loaded)
        yield Batch(cell, block.places, images_to_device(pixels, device), broken)


def _corrupt(source: Source, images: Tensor, cell: Cell, places: NDArray[np.int64]) -> Tensor:
    """One cell of clean images; in halves, if the device's memory is too small for all of them."""
    try:
        return cast(Tensor, source.corrupt(images, *cell, places))
    except RuntimeError as error:
        if len(places) == 1 or not is_out_of_memory(error):
            raise
    free_memory(images.device)
    half = len(places) // 2
    parts = [_corrupt(source, images[part], cell, places[part]) for part in (slice(half), slice(half, None))]
    return torch.cat(parts).contiguous(memory_format=torch.channels_last)


def images_to_device(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """``(n, H, W, C)`` in memory is ``(n, C, H, W)`` in channels_last: no copy but the one to the device."""
    return to_device(torch.from_numpy(np.ascontiguousarray(pixels)), device).permute(0, 3, 1, 2)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Bring a tensor to the device without waiting for it: GPUs fetch it from memory that stays where it is."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values
