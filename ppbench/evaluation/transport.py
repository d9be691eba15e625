"""From files to networks: images are read, brought to the device, corrupted there and handed over.

On a CPU these are steps one after the other, without copies. On a GPU nothing waits for another: files are read by
worker processes with shared memory, or decoded by the GPU; pixels go to it through a ring of pinned memory; and images
are made in a stream of their own beside the networks', with two buffers between them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.data.slots import Slots
from ppbench.data.source import Broken, Encoded, Loaded, Source
from ppbench.evaluation.gpu import Event, Gpu, gpu_of
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


class _Slot:
    """Some pinned memory, and the event after which it may be overwritten."""

    def __init__(self) -> None:
        self.memory: Tensor | None = None
        self.copied: Event | None = None


class Staging:
    """Brings arrays to a device without waiting for it.

    A GPU copies by itself from pinned memory alone. Pinning an array costs more than copying it, so each array goes
    through one of a few pinned pieces of memory, which take turns. A piece is overwritten once the GPU has copied it:
    this process waits for that only if it is a whole round ahead of the GPU.

    Args:
        device: Where arrays are brought; for a CPU they stay where they are.
        slots: Pieces of memory. Each grows to the largest array that was in it.
    """

    def __init__(self, device: torch.device, slots: int = 4) -> None:
        self._gpu = gpu_of(device)
        self._device = device
        self._slots = [_Slot() for _ in range(slots)]
        self._turn = 0

    def send(self, values: NDArray[np.generic]) -> Tensor:
        """Bring an array to the device, in the current stream; it may be changed as soon as this returns on a GPU.

        Args:
            values: Of any shape and type.

        Returns:
            The same, as a tensor on the device; on a CPU it shares the array's memory where it can.
        """
        here = torch.from_numpy(np.ascontiguousarray(values))
        if self._gpu is None:
            return here
        there = torch.empty(here.shape, dtype=here.dtype, device=self._device)
        there.copy_(self._pinned(here, self._gpu), non_blocking=True)
        self._leave(self._gpu)
        return there

    def _pinned(self, values: Tensor, gpu: Gpu) -> Tensor:
        """Copy values to the next slot."""
        slot, size = self._slots[self._turn], values.nbytes
        if slot.copied is not None:
            slot.copied.synchronize()
        if slot.memory is None or len(slot.memory) < size:
            slot.memory = gpu.pinned(size)
        pinned = slot.memory[:size].view(values.dtype).view(values.shape)
        return pinned.copy_(values)

    def _leave(self, gpu: Gpu) -> None:
        """Mark the end of the copy, and turn to the next slot."""
        slot = self._slots[self._turn]
        slot.copied = slot.copied or gpu.new_event()
        slot.copied.record(gpu.current())
        self._turn = (self._turn + 1) % len(self._slots)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Bring one tensor to the device, if it is not there, without waiting for it. For many, `Staging` is cheaper."""
    there = values.device.type == device.type
    return values if there else values.pin_memory().to(device, non_blocking=True)


class Lanes:
    """On a CPU: one thing after the other, and no copies.

    Args:
        device: Device of images and networks.
    """

    def __init__(self, device: torch.device) -> None:
        self._pixels = Staging(device)
        self._numbers = Staging(device, 64)

    @contextmanager
    def making(self) -> Iterator[None]:
        """Make images inside the context."""
        yield

    def send(self, values: NDArray[np.generic]) -> Tensor:
        """Bring an array to the device. Images ``(n, H, W, C)`` keep their order of axes."""
        return (self._pixels if values.ndim == 4 else self._numbers).send(values)

    def ready(self, images: Tensor) -> Tensor:
        """Hand over a finished batch ``(n, H, W, C)``, in the context of `making`; return it as networks may read it.

        It is the network's until `used`.
        """
        return images

    def used(self) -> None:
        """Note that all networks were given the batch."""


class _Buffer:
    """Memory of one batch, and the event after which it may be overwritten."""

    def __init__(self) -> None:
        self.memory: Tensor | None = None
        self.used: Event | None = None


class TwoLanes(Lanes):
    """On a GPU: images are made in a stream of their own, while the networks work in the current one.

    A finished batch is copied to one of two buffers, which take turns. The networks wait for the copy, and the copy
    waits for the networks that read what was in the buffer before, two batches ago: the GPU waits, this process does
    not. Everything else that is made belongs to the stream that makes it, so its memory is reused in that stream's
    order.

    Args:
        gpu: The GPU.
    """

    def __init__(self, gpu: Gpu) -> None:
        super().__init__(gpu.device)
        self._gpu, self._stream = gpu, gpu.new_stream()
        self._buffers = (_Buffer(), _Buffer())
        self._turn = 0
        self._networks = gpu.current()

    @contextmanager
    def making(self) -> Iterator[None]:
        self._networks = self._gpu.current()
        with self._gpu.working_in(self._stream):
            yield

    def ready(self, images: Tensor) -> Tensor:
        buffer = self._buffers[self._turn]
        if buffer.used is not None:
            self._stream.wait_event(buffer.used)
        if buffer.memory is None or len(buffer.memory) < len(images):
            buffer.memory = torch.empty(images.shape, dtype=images.dtype, device=images.device)
            self._gpu.keep_for(buffer.memory, self._networks)
        batch = buffer.memory[: len(images)]
        batch.copy_(images)
        made = self._gpu.new_event()
        made.record(self._stream)
        self._networks.wait_event(made)
        return batch

    def used(self) -> None:
        buffer = self._buffers[self._turn]
        buffer.used = buffer.used or self._gpu.new_event()
        buffer.used.record(self._gpu.current())
        self._turn = 1 - self._turn


def lanes_of(device: torch.device) -> Lanes:
    """The lanes of a device."""
    gpu = gpu_of(device)
    return Lanes(device) if gpu is None else TwoLanes(gpu)


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
