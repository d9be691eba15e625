"""The processes of one evaluation, as ``torchrun`` starts them; or a single one without it.

Each process computes its own part. It sends its results to the first process as messages through torch's key-value
store, so that no process waits for another before the end. At the end integer counts are summed over all processes
(NCCL if each has a GPU of its own, otherwise gloo) and compared with what arrived.
"""

from __future__ import annotations

import os
import pickle
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

from ppbench.errors import PpbenchError
from ppbench.evaluation.links import Links
from ppbench.launch import Launch

_STOP = "stop"
_PATIENCE = timedelta(days=7)
"""How long a process waits for another, which may be listing millions of files."""


class Processes:
    """One process of ``size``. In this class it is the only one: nothing is sent, and all calls return at once."""

    rank, size = 0, 1

    def __init__(self) -> None:
        self._stopped = False

    @property
    def is_first(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def share(self, value: Any) -> Any:
        """Return the first process's value in all processes."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes in all processes."""
        return [value]

    def send(self, message: Any) -> None:
        """Send a message to the first process."""
        raise NotImplementedError("there is no other process")

    def receive(self) -> list[Any]:
        """In the first process, return the messages that have arrived since the last call."""
        return []

    def stop(self) -> None:
        """Ask all processes to stop."""
        self._stopped = True

    def is_stopped(self) -> bool:
        """Whether a process has asked all to stop."""
        return self._stopped

    def total(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sum over all processes in all processes."""
        return counts

    def close(self) -> None:
        """Leave the other processes, once all are done."""

    def leave(self) -> None:
        """Leave without waiting: the first process tells the user why it ends, so the others end silently."""


class LostProcessError(PpbenchError):
    """One of several processes ended unexpectedly (exit code 1)."""

    is_told = False
    """Whether that process has told the user why it ended."""


class LaunchedProcesses(Processes):
    """The processes started by ``torchrun``, or by another launcher that sets RANK, WORLD_SIZE and MASTER_ADDR.

    A call that waits for another process raises `LostProcessError` if that process has died.

    Args:
        device: Name of the device of this process.
        launch: Place of this process, from the launcher.

    Raises:
        LostProcessError: If the other processes do not appear.
    """

    def __init__(self, device: str, launch: Launch) -> None:
        # Where counts are summed.
        self._device = torch.device("cuda" if device.startswith("cuda") else "cpu")
        if self._device.type == "cuda":
            torch.cuda.set_device(torch.device(device))
        self.rank, self.size = launch.rank, launch.size
        self._is_lost = False
        try:
            store, _, _ = next(distributed.rendezvous("env://"))
            if self._device.type == "cuda" and are_shared(_this_card(), store, self.rank, self.size):
                self._device = torch.device("cpu")
            distributed.init_process_group(
                "nccl" if self._device.type == "cuda" else "gloo",
                store=distributed.PrefixStore("group", store), rank=self.rank, world_size=self.size,
            )  # fmt: skip
            self._store = distributed.PrefixStore("ppbench", store)
            # torch's own limit of some minutes is too short for listing large sets.
            self._store.set_timeout(_PATIENCE)
            self._calls, self._sent = 0, 0
            self._received = [0] * self.size
            self._links = Links(self.rank, self.size)
            self._link(launch.master)
        except (RuntimeError, OSError) as error:
            raise LostProcessError(
                f"the {self.size} processes cannot connect ({str(error).splitlines()[0][:160]})",
                f"Start all of them, with one WORLD_SIZE={self.size}, MASTER_ADDR and MASTER_PORT; or let torchrun.",
            ) from error

    def _link(self, master: str) -> None:
        if self.is_first:
            self._store.set("link", pickle.dumps(self._links.listen(master)))  # type: ignore[arg-type]
        else:
            self._links.connect(*pickle.loads(self._store.get("link")))

    def share(self, value: Any) -> Any:
        return self.gather(value if self.is_first else None)[0]

    def gather(self, value: Any) -> list[Any]:
        self._calls += 1
        with self._noticing():
            self._store.set(f"gather/{self._calls}/{self.rank}", pickle.dumps(value))  # type: ignore[arg-type]
            return [self._wait_for(f"gather/{self._calls}/{rank}") for rank in range(self.size)]

    def send(self, message: Any) -> None:
        with self._noticing():
            self._store.set(f"message/{self.rank}/{self._sent}", pickle.dumps(message))  # type: ignore[arg-type]
        self._sent += 1

    def receive(self) -> list[Any]:
        messages = []
        with self._noticing():
            for rank in range(1, self.size):
                while self._store.check([f"message/{rank}/{self._received[rank]}"]):
                    key = f"message/{rank}/{self._received[rank]}"
                    messages.append(pickle.loads(self._store.get(key)))
                    self._store.delete_key(key)
                    self._received[rank] += 1
            if not messages:  # only then: messages that a process sent before it died are still read
                self._check_links()
        return messages

    def stop(self) -> None:
        if not self._is_lost:
            with self._noticing():
                self._store.set(_STOP, "")

    def is_stopped(self) -> bool:
        with self._noticing():
            return bool(self._store.check([_STOP]))

    def total(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        self.gather(None)  # make sure that all processes are alive: the sum would wait for a dead one
        held = torch.from_numpy(counts.copy()).to(self._device)
        with self._noticing():
            distributed.all_reduce(held)
        return held.cpu().numpy()

    def close(self) -> None:
        if self._is_lost:
            self.leave()
            return
        self.gather(None)  # the first process holds the store and stays until all have read from it
        self._links.close()
        distributed.destroy_process_group()

    def leave(self) -> None:
        if self.is_first:
            self._links.leave()

    def _wait_for(self, key: str) -> Any:
        """Return the value of a key that another process sets."""
        pause = 0.001
        while not self._store.check([key]):
            self._check_links()
            time.sleep(pause)
            # Short at first, because most values are there at once; longer later, to leave the store alone.
            pause = min(2 * pause, 0.1)
        return pickle.loads(self._store.get(key))

    def _check_links(self) -> None:
        lost = self._links.lost()
        if lost is not None:
            self._is_lost = True
            error = LostProcessError(
                f"process {lost} of {self.size} ended unexpectedly (killed, out of memory?)",
                "What was measured is kept. Start all processes again: the same command resumes from there.",
            )
            error.is_told = self._links.is_told
            raise error

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Turn torch's error about a process that is gone into one of ours."""
        if not self.is_first:
            self._check_links()  # before torch notices, which writes pages to stderr if the store is gone
        try:
            yield
        except RuntimeError as error:
            self._is_lost = True
            time.sleep(0.1)  # the store may close a moment before the link
            self._check_links()
            raise LostProcessError(
                f"process {self.rank} of {self.size} no longer reaches the others ({str(error).splitlines()[0][:160]})",
                "Start all processes again: the same command resumes from what is kept.",
            ) from error


def are_shared(card: str, store: distributed.Store, rank: int, size: int) -> bool:
    """Tell all processes which card this one has, and return whether two have the same one, which NCCL refuses."""
    store.set(f"card/{rank}", card)
    cards = {store.get(f"card/{other}") for other in range(size)}
    return len(cards) < size


def _this_card() -> str:
    """Name the current GPU, so that two names are equal if the cards are one."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return f"{socket.gethostname()}/{visible}/{torch.cuda.current_device()}"


def own_device(name: str, launch: Launch) -> str:
    """Return the device of this process: each process of a machine has its own GPU."""
    if name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{launch.local_rank % torch.cuda.device_count()}"
    return name
