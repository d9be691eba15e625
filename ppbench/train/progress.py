"""What a person sees of a training run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class RichTraining(Callback):
    """Moves a Rich progress bar over all epochs, with the loss."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress, self.task = progress, task

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Begin where the run begins, which after a kill is not at zero."""
        total = int(trainer.estimated_stepping_batches)
        self.progress.reset(self.task, total=total, completed=trainer.global_step, visible=True)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """One step further; the loss is read now and then only, since reading it waits for the device."""
        self.progress.update(self.task, completed=trainer.global_step)
        if index % 20 == 0:
            text = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  loss {float(outputs['loss']):.3f}"
            self.progress.update(self.task, description=text)


@contextmanager
def training_progress(console: Console) -> Iterator[RichTraining]:
    """Show a bar with elapsed and remaining time while the context lasts."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield RichTraining(progress, progress.add_task("training", total=None, visible=False))


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's own talk (devices, tips) and its known, harmless warnings from the terminal."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
