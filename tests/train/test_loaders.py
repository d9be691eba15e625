"""Worker processes of loaders that fail: told, with what helps, instead of waited for."""

from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import signal
from typing import Any

import pytest
from torch.utils.data import DataLoader, Dataset

from ppbench.errors import PpbenchError
from ppbench.train.loaders import failures_of_workers, start_loader


class Unsendable:
    """As a tensor for which /dev/shm has no room: it fails on its way, in another thread."""

    def __reduce__(self) -> Any:
        raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")


class Batches(Dataset[Any]):
    def __init__(self, *, killed: bool) -> None:
        self.killed = killed

    def __len__(self) -> int:
        return 4

    def __getitem__(self, number: int) -> Any:
        if self.killed and number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return Unsendable() if number == 2 else number


@pytest.mark.parametrize("killed", [False, True], ids=["no room", "killed"])
def test_a_batch_that_does_not_come_is_told(killed: bool) -> None:
    batches = DataLoader(
        Batches(killed=killed), batch_size=None, num_workers=2, worker_init_fn=start_loader, timeout=10
    )
    with pytest.raises(PpbenchError, match="was killed, or could not pass them on") as caught, failures_of_workers(2):
        list(batches)  # it waited for ever for a batch that Python had dropped
    assert "`--workers 0`" in caught.value.hint
    assert caught.value.exit_code == 1
    del caught  # it holds the frames with the loader, and so the other worker
    gc.collect()
    assert not multiprocessing.active_children()


def test_workers_that_cannot_start_are_told() -> None:
    with pytest.raises(PpbenchError, match="/dev/shm"), failures_of_workers(2):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("error", "workers"), [(RuntimeError("CUDA out of memory"), 2), (OSError(2, "gone"), 2),
                                                (OSError(errno.ENOSPC, "full"), 0)])  # fmt: skip
def test_other_failures_stay_what_they_are(error: Exception, workers: int) -> None:
    with pytest.raises(type(error)) as caught, failures_of_workers(workers):
        raise error
    assert caught.value is error
