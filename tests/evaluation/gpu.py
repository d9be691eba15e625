"""A stand-in for a GPU: its memory is this machine's, and it checks the order of what its streams do.

Every operation is done at once, so results are right whatever the order. What would be wrong on a GPU is found by
clocks: each stream counts its operations, an event holds the counts of its stream, and a stream that waits for the
event takes them over. Two operations on the same memory, one of which writes, have to be in an order that the clocks
know.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ppbench.evaluation.gpu import Event, Gpu, Stream

Clock = dict[str, int]


class RaceError(AssertionError):
    """Two streams use the same memory in an order that nothing keeps."""


def join(clock: Clock, other: Clock) -> None:
    for name, count in other.items():
        clock[name] = max(clock.get(name, 0), count)


class StandInStream:
    def __init__(self, name: str) -> None:
        self.name, self.clock = name, Clock()

    def wait_event(self, event: Any) -> None:
        join(self.clock, event.clock)


class StandInEvent:
    def __init__(self, gpu: StandInGpu) -> None:
        self.gpu, self.clock = gpu, Clock()

    def record(self, stream: Any) -> None:
        self.clock = dict(stream.clock)

    def synchronize(self) -> None:
        self.gpu.waits += 1
        join(self.gpu.host.clock, self.clock)


class StandInGpu(Gpu):
    """One GPU with some free memory."""

    def __init__(self, free: int = 10**9) -> None:
        super().__init__(torch.device("cpu"))
        self.free, self.waits = free, 0
        self.host, self.streams = StandInStream("host"), [StandInStream("first")]
        self.used: dict[int, list[tuple[str, int, bool]]] = {}
        """By address of memory: stream, its count, and whether it wrote."""
        self.is_pinned: set[int] = set()
        self.kept: list[Tensor] = []
        self.made = 0

    def current(self) -> Stream:
        return self.streams[-1]

    def new_stream(self) -> Stream:
        self.made += 1
        return StandInStream(f"stream {self.made}")

    @contextmanager
    def _inside(self, stream: Any) -> Iterator[None]:
        self.streams.append(stream)
        yield
        self.streams.pop()

    def working_in(self, stream: Stream) -> AbstractContextManager[object]:
        return self._inside(stream)

    def new_event(self) -> Event:
        return StandInEvent(self)

    def pinned(self, count: int) -> Tensor:
        memory = torch.empty(count, dtype=torch.uint8)
        self.watch(memory)
        self.is_pinned.add(address(memory))
        return memory

    def keep_for(self, tensor: Tensor, stream: Stream) -> None:
        self.watch(tensor)

    def watch(self, memory: Tensor) -> None:
        self.kept.append(memory)  # so that its address stays its own
        self.used[address(memory)] = []

    def free_bytes(self) -> int:
        return self.free

    def note(self, stream: StandInStream, memory: int, *, writes: bool) -> None:
        for name, count, wrote in self.used[memory]:
            if (writes or wrote) and stream.clock.get(name, 0) < count:
                raise RaceError(f"{stream.name} {'writes' if writes else 'reads'} what {name} uses")
        self.used[memory].append((stream.name, stream.clock[stream.name], writes))


def address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class Watching(TorchDispatchMode):
    """Notes all uses of watched memory. Writing to pinned memory is this process's work, all else the stream's."""

    def __init__(self, gpu: StandInGpu) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        names = [one.alias_info for one in func._schema.arguments]
        is_view = any(one is not None and not one.is_write for one in names)
        written = {address(value) for one, value in zip(names, args, strict=False) if one is not None and one.is_write}
        touched = {address(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        touched &= self.gpu.used.keys()
        if touched and not is_view:
            by_host = bool(written & self.gpu.is_pinned)
            stream: Any = self.gpu.host if by_host else self.gpu.current()
            stream.clock[stream.name] = stream.clock.get(stream.name, 0) + 1
            join(stream.clock, self.gpu.host.clock)  # a stream gets its work when this process has come to it
            for memory in touched:
                self.gpu.note(stream, memory, writes=memory in written)
        return func(*args, **(kwargs or {}))


@contextmanager
def on_stand_in(monkeypatch: pytest.MonkeyPatch, free: int = 10**9) -> Iterator[StandInGpu]:
    """Let evaluations run as on a GPU."""
    gpu = StandInGpu(free)
    with monkeypatch.context() as patched, Watching(gpu):
        for module in ("feed", "transport", "clean_store"):
            patched.setattr(f"ppbench.evaluation.{module}.gpu_of", lambda device: gpu)
        yield gpu


class HostWaits(TorchDispatchMode):
    """Notes each operation on a GPU's tensors that this process has to wait for.

    For torch's fake tensors, which know their device.
    """

    ASKING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "scalar_tensor")
    """A number becomes a tensor where eager torch may copy it to the GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        devices = {one.device.type for one in given}
        name = func.__name__.split(".")[0]
        if "cuda" in devices:
            by_mask = name in ("index", "index_put_") and any(one.dtype == torch.bool for one in given[1:])
            if name in self.ASKING or by_mask:
                self.found.append(name)
        elif name == "scalar_tensor" and kwargs and kwargs["device"].type == "cuda":
            self.found.append(name)
        moved = {one.device.type for one in tree_leaves(made) if isinstance(one, Tensor)} | devices
        if name in ("_to_copy", "copy_") and len(moved) > 1 and not (kwargs or {}).get("non_blocking"):
            self.found.append(name)
        return made
