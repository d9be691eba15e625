"""What the loop needs of ``torch.cuda``: streams, events, pinned memory, free memory. Tests put a stand-in here."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, cast

import torch
from torch import Tensor


class Event(Protocol):
    """A place in the work of a stream."""

    def record(self, stream: Stream) -> None:
        """Put the place behind all that the stream was given so far."""

    def synchronize(self) -> None:
        """Wait, in this process, until the GPU has come to it."""


class Stream(Protocol):
    """Work of a GPU that is done in order, beside that of other streams."""

    def wait_event(self, event: Event) -> None:
        """Let what the stream is given from now on wait for another stream. This process does not wait."""


class Gpu:
    """One GPU.

    Args:
        device: A device of type "cuda".
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def current(self) -> Stream:
        """The stream that work goes to now."""
        return cast(Stream, torch.cuda.current_stream(self.device))

    def new_stream(self) -> Stream:
        return cast(Stream, torch.cuda.Stream(self.device))

    def working_in(self, stream: Stream) -> AbstractContextManager[object]:
        """Give all work to a stream."""
        return cast(AbstractContextManager[object], torch.cuda.stream(stream))  # type: ignore[arg-type]

    def new_event(self) -> Event:
        return cast(Event, torch.cuda.Event())

    def pinned(self, count: int) -> Tensor:
        """``(count,)`` bytes of this machine that the GPU can copy from by itself."""
        return torch.empty(count, dtype=torch.uint8, pin_memory=True)

    def keep_for(self, tensor: Tensor, stream: Stream) -> None:
        """Once a tensor is dropped, do not reuse its memory before a stream has done what it was given until then."""
        tensor.record_stream(stream)  # type: ignore[arg-type]

    def free_bytes(self) -> int:
        """Bytes that neither this process nor another holds, with those that torch keeps for reuse."""
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return torch.cuda.mem_get_info(self.device)[0] + kept


def gpu_of(device: torch.device) -> Gpu | None:
    """The GPU that is a device; None for a CPU."""
    return Gpu(device) if device.type == "cuda" else None
