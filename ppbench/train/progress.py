"""The progress of a training run, on a terminal or as lines."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

LINES_EVERY = 10.0
"""Seconds between two lines within an epoch, if stderr is not a terminal."""

_DRAWN_EVERY = 0.5
"""Seconds between two updates of the loss on a terminal; reading it waits for the device."""


class TrainingPace:
    """The speed of a run, and the time left, tests included.

    The first step is not measured: in it, loaders start and libraries choose their kernels.

    Args:
        step: Steps that were done before the run resumed.
        steps: Steps of the whole run.
        batch_size: Images per step.
    """

    def __init__(self, step: int, steps: int, batch_size: int) -> None:
        self.steps, self.batch_size = steps, batch_size
        self._start = self._seen = step
        self._began = self._looked = time.monotonic()
        self._counts = False

    def is_due(self, step: int, every: float) -> bool:
        """Whether ``every`` seconds have passed since the last look; called after each step."""
        now = time.monotonic()
        if not self._counts:
            self._counts = True
            self._start = self._seen = step
            self._began = now
        return now - self._looked >= every

    def look(self, step: int) -> str:
        """Describe for people the images per second since the last look, and the time left."""
        now = time.monotonic()
        images, seconds = (step - self._seen) * self.batch_size, now - max(self._looked, self._began)
        self._seen, self._looked = step, now
        rate = images / max(seconds, 1e-3)
        shown = "-" if images <= 0 else f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
        return f"{shown} images/s  {self.left(step)} left"

    def left(self, step: int) -> str:
        """Return the time left after a step, ``h:mm:ss``; "?" if it is not known yet."""
        done = step - self._start
        if done <= 0:
            return "?"
        whole = round((time.monotonic() - self._began) * (self.steps - step) / done)
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


class _Paced(Callback):
    """Measures the pace of the run from its first step, which is not 0 if the run resumes."""

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self.pace = TrainingPace(trainer.global_step, module.steps, module.recipe.batch_size)


class RichTraining(_Paced):
    """Moves a Rich progress bar over all epochs, with the loss, the speed and the time left."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress, self.task = progress, task

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Begin where the run begins."""
        super().on_train_start(trainer, module)
        if trainer.is_global_zero:
            self.progress.reset(self.task, total=module.steps, completed=trainer.global_step, visible=True)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """Advance by one step."""
        step = trainer.global_step
        self.progress.update(self.task, completed=step)
        if self.pace.is_due(step, _DRAWN_EVERY) or trainer.is_last_batch:
            text = _where(trainer, index) + f"  loss {float(outputs['loss']):.3f}" + _accuracy(module.last_accuracy)
            self.progress.update(self.task, description=text, pace=self.pace.look(step))


class LinesOfTraining(_Paced):
    """Prints a line at intervals, and at the end of every epoch, for files and pipes.

    Args:
        say: Called with each line.
        every: Seconds between two lines within an epoch.
    """

    def __init__(self, say: Callable[[str], None], every: float = LINES_EVERY) -> None:
        self.say, self.every = say, every

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """Print the progress in the epoch, if it is due; the end of the epoch has its own line."""
        step = trainer.global_step
        if self.pace.is_due(step, self.every) and trainer.is_global_zero and not trainer.is_last_batch:
            self.say(f"{_where(trainer, index)}  loss {float(outputs['loss']):.4f}  {self.pace.look(step)}")

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Print loss and accuracy of the epoch, and the time left."""
        if trainer.is_global_zero:
            self.say(
                f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  loss {module.loss:.4f}"
                f"{_accuracy(module.accuracy)}  {self.pace.left(trainer.global_step)} left"
            )


def _where(trainer: Any, index: int) -> str:
    """Describe epoch and step, counted from 1."""
    return (
        f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  step {index + 1:,}/{trainer.num_training_batches:,}"
    )


def _accuracy(value: float | None) -> str:
    return "" if value is None else f"  accuracy {value:.2%}"


@contextmanager
def training_progress(console: Console, say: Callable[[str], None]) -> Iterator[Callback]:
    """Show the progress inside the context: a bar with speed, elapsed and remaining time, or lines off a terminal."""
    if not console.is_terminal:
        yield LinesOfTraining(say)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("elapsed", markup=False),
        TextColumn("{task.fields[pace]}", markup=False),
    )
    with Progress(*columns, console=console) as progress:
        yield RichTraining(progress, progress.add_task("training", total=None, visible=False, pace=""))


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's messages (devices, tips) and its known, harmless warnings off the terminal."""
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
