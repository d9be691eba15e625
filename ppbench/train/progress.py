"""What a person sees of a training run."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_EVERY = 20
"""Steps between two looks at the loss, since reading it waits for the device."""


class RichTraining(Callback):
    """Moves a Rich progress bar over all epochs, with the loss."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress, self.task = progress, task

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Begin where the run begins, which after a kill is not at zero."""
        if trainer.is_global_zero:
            self.progress.reset(self.task, total=module.steps, completed=trainer.global_step, visible=True)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """One step further."""
        self.progress.update(self.task, completed=trainer.global_step)
        if index % _EVERY == 0:
            text = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  loss {float(outputs['loss']):.3f}"
            self.progress.update(self.task, description=text + _accuracy(module.last_accuracy))


class LinesOfTraining(Callback):
    """Says a line at the end of every epoch, for files and pipes."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.start, self.first = 0.0, 0

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Note when and where the run began."""
        self.start, self.first = time.monotonic(), trainer.global_step

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Say how the epoch went and how long the rest will take."""
        done = trainer.global_step
        left = (time.monotonic() - self.start) * (module.steps - done) / max(done - self.first, 1)
        if trainer.is_global_zero:
            self.say(
                f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  loss {module.loss:.4f}"
                f"{_accuracy(module.accuracy)}  {_duration(left)} left"
            )


def _accuracy(value: float | None) -> str:
    return "" if value is None else f"  accuracy {value:.2%}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


@contextmanager
def training_progress(console: Console, say: Callable[[str], None]) -> Iterator[Callback]:
    """On a terminal a bar with elapsed and remaining time while the context lasts; elsewhere a line per epoch."""
    if not console.is_terminal:
        yield LinesOfTraining(say)
        return
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
