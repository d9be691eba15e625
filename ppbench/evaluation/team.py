"""The processes of one evaluation, as ``torchrun`` starts them; or the one there is without it.

Each computes a part of its own. What it finds goes to the first process as messages, through the key-value store that
torch's processes meet at, so that none waits for another before the end; there integer counts are summed over all of
them (gloo on CPUs, NCCL on GPUs) and compared with what arrived.
"""

from __future__ import annotations

import os
import pickle
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

_STOP = "stop"
_PATIENCE = timedelta(days=7)
"""How long a process waits for what another has to tell: the others may be listing millions of files."""


class Team:
    """One process among ``size``; alone, there is nothing to send and all calls return at once."""

    rank, size = 0, 1

    def __init__(self) -> None:
        self._stopped = False

    @property
    def is_first(self) -> bool:
        """Whether this is the process that talks and writes."""
        return self.rank == 0

    def share(self, value: Any) -> Any:
        """The first process's value, in all of them."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in all of them."""
        return [value]

    def send(self, message: Any) -> None:
        """Hand a message to the first process."""
        raise NotImplementedError("there is no other process")

    def receive(self) -> list[Any]:
        """In the first process: what has arrived from the others since the last call."""
        return []

    def stop(self) -> None:
        """Ask all processes to end."""
        self._stopped = True

    def is_stopped(self) -> bool:
        """Whether one has asked."""
        return self._stopped

    def total(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The sum over all processes, in all of them."""
        return counts

    def close(self) -> None:
        """Part."""


class Processes(Team):
    """The processes that ``torchrun``, or whoever sets RANK, WORLD_SIZE and MASTER_ADDR, has started.

    Args:
        device: Name of where this process computes.
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device("cuda" if device.startswith("cuda") else "cpu")
        if self._device.type == "cuda":
            torch.cuda.set_device(torch.device(device))
        store, self.rank, self.size = next(distributed.rendezvous("env://"))
        backend = "nccl" if self._device.type == "cuda" else "gloo"
        distributed.init_process_group(
            backend, store=distributed.PrefixStore("group", store), rank=self.rank, world_size=self.size
        )
        self._store = distributed.PrefixStore("ppbench", store)
        self._store.set_timeout(_PATIENCE)
        self._calls, self._sent = 0, 0
        self._received = [0] * self.size

    def share(self, value: Any) -> Any:
        return self.gather(value if self.is_first else None)[0]

    def gather(self, value: Any) -> list[Any]:
        self._calls += 1
        self._store.set(f"gather/{self._calls}/{self.rank}", pickle.dumps(value))  # type: ignore[arg-type]
        return [pickle.loads(self._store.get(f"gather/{self._calls}/{rank}")) for rank in range(self.size)]

    def send(self, message: Any) -> None:
        self._store.set(f"message/{self.rank}/{self._sent}", pickle.dumps(message))  # type: ignore[arg-type]
        self._sent += 1

    def receive(self) -> list[Any]:
        messages = []
        for rank in range(1, self.size):
            while self._store.check([f"message/{rank}/{self._received[rank]}"]):
                key = f"message/{rank}/{self._received[rank]}"
                messages.append(pickle.loads(self._store.get(key)))
                self._store.delete_key(key)
                self._received[rank] += 1
        return messages

    def stop(self) -> None:
        self._store.set(_STOP, "")

    def is_stopped(self) -> bool:
        return bool(self._store.check([_STOP]))

    def total(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        held = torch.from_numpy(counts.copy()).to(self._device)
        distributed.all_reduce(held)
        return held.cpu().numpy()

    def close(self) -> None:
        self.gather(None)  # the first one holds the store: it stays until all have read what they wait for
        distributed.destroy_process_group()


def are_several() -> bool:
    """Whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def own_device(name: str) -> str:
    """The device of this process: of a machine's GPUs, each process has its own."""
    if name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"
    return name
