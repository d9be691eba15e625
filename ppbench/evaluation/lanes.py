"""Making images and running networks side by side: on a GPU in two streams, with two buffers between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.evaluation.gpu import Event, Gpu, gpu_of
from ppbench.evaluation.staging import Staging


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
