"""Loaders of batches, for the trainer and for the final test."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader

from ppbench.errors import PpbenchError
from ppbench.train.batches import Share, TrainingBatches, ValidationBatches
from ppbench.train.plan import TrainPlan
from ppbench.train.processes import ignore_interrupts


class Loaders(lightning.LightningDataModule):
    """Make a new loader for every epoch, with the random draws of that epoch."""

    def __init__(self, plan: TrainPlan) -> None:
        super().__init__()
        self.plan = plan

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of the next epoch."""
        plan, trainer = self.plan, self.trainer
        assert trainer is not None
        epoch = trainer.global_step // plan.steps_per_epoch
        share = Share(trainer.global_rank, trainer.world_size)
        return loader(TrainingBatches(plan.data.train, plan.cut, plan.recipe, epoch, share), plan)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the loader of this process's share of the test images."""
        plan, trainer = self.plan, self.trainer
        assert trainer is not None
        own = range(trainer.global_rank, len(plan.data.test.labels), trainer.world_size)
        images = plan.data.test if trainer.world_size == 1 else plan.data.test.subset(torch.tensor(own).numpy())
        return loader(ValidationBatches(images, plan.cut, validation_batch_size(plan)), plan)


def loader(batches: Any, plan: TrainPlan) -> DataLoader[Any]:
    """Return a loader of whole batches, in their order, with the plan's worker processes."""
    return _Loader(
        batches,
        batch_size=None,
        num_workers=plan.workers,
        pin_memory=plan.device.type == "cuda",
        worker_init_fn=start_loader,
        generator=torch.Generator(),  # otherwise it draws a seed for its workers from the global generator
    )


class _Loader(DataLoader[Any]):
    """A loader whose worker processes are safe from SIGTERM from their first instruction.

    It would end a worker that has no handler yet, and torch would raise an error for that wherever this process is:
    where Python can only print and ignore it, too. `start_loader` lets the signal through once there is a handler.
    """

    def __iter__(self) -> Any:
        if not hasattr(signal, "pthread_sigmask"):  # Windows
            return super().__iter__()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            return super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_loader(number: int) -> None:
    """Set up a loader's worker process: it leaves signals to its parent, and exits if it cannot hand over a batch."""
    ignore_interrupts()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    # By default Python drops an object that it cannot send, and the parent would wait for it forever.
    Queue._on_queue_feeder_error = staticmethod(lambda error, batch: os._exit(1))  # type: ignore[attr-defined]


@contextmanager
def failures_of_workers(workers: int) -> Iterator[None]:
    """Turn the errors of torch and the system about failing workers into one that says what to do.

    Raises:
        PpbenchError: If a worker was killed, or could not start or hand over its batches.
    """
    try:
        yield
    except (RuntimeError, OSError) as error:
        no_room = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.ENOMEM)
        if workers == 0 or not (no_room or "DataLoader worker" in str(error)):
            raise
        raise PpbenchError(
            "a process that loads images was killed, or could not pass them on (too little memory, maybe in /dev/shm?)",
            "Load images without such processes: `--workers 0`. Or give a container more: `docker run --shm-size 2g`.",
        ) from error


def validation_batch_size(plan: TrainPlan) -> int:
    """Return the size of a test batch: as many images as a process trains on at a time, which fit its memory."""
    return max(plan.recipe.batch_size // plan.processes, 1)
