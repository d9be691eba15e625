"""Shared memory in which worker processes leave the images that they load. Free of torch.

Through a pipe, as results of a pool come, a block of 256 images at 224 px costs the receiving process 0.12 s, more than
16 workers need to decode it. From shared memory it costs a copy, 0.005 s.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Generic, NamedTuple, TypeVarTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.source import Broken, Loaded

_Task = TypeVarTuple("_Task")

_FOLDER = Path("/dev/shm")


class InSlot(NamedTuple):
    """Images that a worker has left, in place of their pixels."""

    number: int
    """Of the slot."""
    shape: tuple[int, ...]
    broken: tuple[Broken, ...]


class Slots:
    """A ring of slots, each with room for one task's images. Linux alone has them.

    Args:
        count: Number of slots.
        size: Bytes of each.

    Raises:
        OSError: If there is not so much shared memory; a container may have little.
    """

    def __init__(self, count: int, size: int) -> None:
        self._count, self._size = count, max(1, size)
        if not sys.platform.startswith("linux"):
            raise OSError("shared memory is not used on this system")
        self._memory = SharedMemory(create=True, size=count * self._size)
        path = _FOLDER / self._memory.name
        try:
            with path.open("r+b") as file:
                # Otherwise memory is taken when it is written to, and a process that gets none is killed.
                os.posix_fallocate(file.fileno(), 0, count * self._size)
                self._pixels = mmap.mmap(file.fileno(), count * self._size, prot=mmap.PROT_READ)
        except OSError:
            self.close()
            raise

    def numbered(self, tasks: Iterable[tuple[*_Task]]) -> Iterator[tuple[int, *_Task]]:
        """Give each task a slot, by turns, as its first argument."""
        for number, task in enumerate(tasks):
            yield number % self._count, *task

    def reader(self, start: Callable[[], Callable[[*_Task], Loaded]]) -> SlotReader[*_Task]:
        """What a worker calls in place of ``start``: its function takes numbered tasks and leaves their images here."""
        return SlotReader(start, self._memory.name, self._size)

    def loaded(self, left: InSlot) -> Loaded:
        """The images that a worker has left. They are valid until its slot is given to another task."""
        pixels: NDArray[np.uint8] = np.ndarray(left.shape, np.uint8, self._pixels, left.number * self._size)
        return Loaded(pixels, left.broken)

    def close(self) -> None:
        """Give the memory back, once nobody uses it."""
        self._memory.close()
        with suppress(FileNotFoundError):
            self._memory.unlink()


@dataclass(frozen=True)
class SlotReader(Generic[*_Task]):
    """Starts a worker that leaves images in slots. It is sent to the worker process."""

    start: Callable[[], Callable[[*_Task], Loaded]]
    name: str
    size: int

    def __call__(self) -> Callable[[int, *_Task], InSlot]:
        load = self.start()
        with (_FOLDER / self.name).open("r+b") as file:
            memory = mmap.mmap(file.fileno(), 0)

        def leave(number: int, *task: *_Task) -> InSlot:
            pixels, broken = load(*task)
            slot: NDArray[np.uint8] = np.ndarray(pixels.shape, np.uint8, memory, number * self.size)
            slot[...] = pixels
            return InSlot(number, pixels.shape, broken)

        return leave
