"""From this machine's memory to the GPU's, through a ring of pinned memory."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.evaluation.gpu import Event, Gpu, gpu_of


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
    """Bring one tensor to the device without waiting for it. For many, `Staging` is cheaper."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values
