"""How images come to a GPU and to the networks on it without one waiting for another.

Files are read by worker processes with shared memory, or decoded by the GPU. Pixels go to it through a ring of pinned
memory. Images are made in a stream of their own beside the networks', with two buffers between them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.data.slots import Slots
from ppbench.data.source import Loaded, Source
from ppbench.evaluation.gpu import Event, Gpu, gpu_of
from ppbench.pool import AHEAD, ordered_map


def slots_for(source: Source, workers: int, most: int) -> Slots | None:
    """A slot for each task that is handed out, and for the one whose images are in use; None without such memory.

    Args:
        source: The images.
        workers: Processes that load.
        most: Images of the largest task.
    """
    try:
        return Slots(AHEAD * workers + 2, most * source.size**2 * source.channels)
    except OSError:
        return None


def through_slots(
    slots: Slots, source: Source, tasks: Iterator[tuple[str, int, NDArray[Any]]], workers: int
) -> Generator[Loaded, None, None]:
    """Yield what worker processes load for some tasks, in their order; it is valid until the next is asked for."""
    with closing(slots), closing(ordered_map(slots.reader(source.reader), slots.numbered(tasks), workers)) as left:
        for one in left:
            yield slots.loaded(one)


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
            # The GPU may still be reading what was put here a round ago.
            slot.copied.synchronize()
        if slot.memory is None or len(slot.memory) < size:
            # Never smaller again: pinning is what costs, and one large block of images will come again.
            slot.memory = gpu.pinned(size)
        pinned = slot.memory[:size].view(values.dtype).view(values.shape)
        return pinned.copy_(values)

    def _leave(self, gpu: Gpu) -> None:
        """Mark the end of the copy, and turn to the next slot."""
        slot = self._slots[self._turn]
        slot.copied = slot.copied or gpu.new_event()
        # One event for good: recorded again, it stands behind the latest copy.
        slot.copied.record(gpu.current())
        self._turn = (self._turn + 1) % len(self._slots)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Bring one tensor to the device, if it is not there, without waiting for it. For many, `Staging` is cheaper."""
    there = values.device.type == device.type
    return values if there else values.pin_memory().to(device, non_blocking=True)


def images_to_device(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Images ``(n, H, W, C)`` as a tensor in the same order of axes."""
    return to_device(torch.from_numpy(np.ascontiguousarray(pixels)), device)


class _Buffer:
    """Memory of one batch, and the event after which it may be overwritten."""

    def __init__(self) -> None:
        self.memory: Tensor | None = None
        self.used: Event | None = None


class TwoLanes:
    """`ppbench.evaluation.feed.OneLane` on a GPU: images are made in a stream of their own, while the networks work in
    the current one.

    A finished batch is copied to one of two buffers, which take turns. The networks wait for the copy, and the copy
    waits for the networks that read what was in the buffer before, two batches ago: the GPU waits, this process does
    not. Everything else that is made belongs to the stream that makes it, so its memory is reused in that stream's
    order.

    Args:
        gpu: The GPU.
    """

    def __init__(self, gpu: Gpu) -> None:
        # Rings of their own. Batches have many small arrays, and 64 slots that had each held images would pin
        # gigabytes.
        self._pixels, self._numbers = Staging(gpu.device), Staging(gpu.device, 64)
        self._gpu, self._stream = gpu, gpu.new_stream()
        self._buffers = (_Buffer(), _Buffer())
        self._turn = 0
        self._networks = gpu.current()

    @contextmanager
    def making(self) -> Iterator[None]:
        # Asked each time, and before the switch: the stream of whoever runs the networks.
        self._networks = self._gpu.current()
        with self._gpu.working_in(self._stream):
            yield

    def send(self, values: NDArray[np.generic]) -> Tensor:
        return (self._pixels if values.ndim == 4 else self._numbers).send(values)

    def ready(self, images: Tensor) -> Tensor:
        buffer = self._buffers[self._turn]
        if buffer.used is not None:
            self._stream.wait_event(buffer.used)
        if buffer.memory is None or len(buffer.memory) < len(images):
            buffer.memory = torch.empty(images.shape, dtype=images.dtype, device=images.device)
            # The allocator knows it as this stream's memory: once replaced, it would be given away while a network
            # reads it.
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
        # In the networks' stream, behind all that reads the batch; `ready` waits for it two batches on.
        buffer.used.record(self._gpu.current())
        self._turn = 1 - self._turn
