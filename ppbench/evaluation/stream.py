"""The stream of images: read in worker processes a little ahead of the network, corrupted on its device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.data.source import Broken, Cell, Pixels, Source
from ppbench.evaluation.plan import Block
from ppbench.evaluation.reading import reader, reading_of
from ppbench.pool import ordered_map
from ppbench.vocabulary import CLEAN


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
    readings = [reading_of(source, cells, block) for block in blocks]
    with closing(ordered_map(partial(reader, source), readings, workers)) as loaded:
        for block, (pixels, broken) in zip(blocks, loaded, strict=True):
            images = images_to_device(pixels, device)
            for cell in (cells[number] for number in block.cells):
                made = images
                if source.image_major and cell[0] != CLEAN:
                    made = source.corrupt(images, *cell, block.places)
                yield Batch(cell, block.places, made, broken)


def images_to_device(pixels: Pixels, device: torch.device) -> Tensor:
    """``(n, H, W, C)`` in memory is ``(n, C, H, W)`` in channels_last: no copy but the one to the device."""
    return to_device(torch.from_numpy(np.ascontiguousarray(pixels)), device).permute(0, 3, 1, 2)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Bring a tensor to the device without waiting for it: GPUs fetch it from memory that stays where it is."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values
