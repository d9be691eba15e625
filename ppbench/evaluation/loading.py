"""From files to images on the device: by worker processes with shared memory, or by a decoder on the GPU."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.data.slots import Slots
from ppbench.data.source import Broken, Encoded, Loaded, Source
from ppbench.evaluation.gpu import gpu_of
from ppbench.evaluation.lanes import Lanes
from ppbench.evaluation.nvjpeg import GpuDecoder
from ppbench.evaluation.profile import phase
from ppbench.pool import AHEAD, ordered_map

ImageTask = tuple[str, int, NDArray[Any]]
"""Corruption, severity, and places in the source."""

Read = Loaded | Encoded


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
        yield from _mapped(source.encoded_reader, tasks, workers)
        return
    slots = _slots(source, workers, most) if workers > 0 and gpu_of(device) is not None else None
    if slots is None:
        yield from _mapped(source.reader, tasks, workers)
        return
    with closing(slots), closing(ordered_map(slots.reader(source.reader), slots.numbered(tasks), workers)) as left:
        for one in left:
            yield slots.loaded(one)


def _mapped(
    start: Callable[[], Callable[[str, int, NDArray[Any]], Read]], tasks: Iterator[ImageTask], workers: int
) -> Generator[Read, None, None]:
    with closing(ordered_map(start, tasks, workers)) as loaded:
        yield from loaded


def _slots(source: Source, workers: int, most: int) -> Slots | None:
    """A slot for each task that is handed out, and for the one whose images are in use; None without such memory."""
    try:
        return Slots(AHEAD * workers + 2, most * source.size**2 * source.channels)
    except OSError:
        return None


def next_of(loaded: Iterator[Read]) -> Read:
    """Wait for the next images."""
    with phase("read"):
        return next(loaded)


def brought(read: Read, lanes: Lanes, decoder: GpuDecoder | None) -> tuple[Tensor, tuple[Broken, ...]]:
    """Bring images to the device, in the current stream: ``(n, H, W, C)`` uint8, and which could not be read."""
    if isinstance(read, Encoded):
        assert decoder is not None
        with phase("read"):
            return decoder.decode(read)
    with phase("to device"):
        return lanes.send(read.pixels), read.broken
