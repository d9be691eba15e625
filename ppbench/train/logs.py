"""Logs of a training run: a CSV file with a line per epoch, and TensorBoard's files if it is installed."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from lightning.pytorch.callbacks import Callback

from ppbench.files import atomic_write, check_writable, read_text
from ppbench.train.schedule import learning_rate

_COLUMNS = ("epoch", "step", "lr", "loss", "accuracy", "seconds")
"""Epoch from 1; optimizer steps so far; learning rate of the last step; mean training loss of the epoch; accuracy on
the test images (empty if not tested); wall time of the epoch."""

_EVERY = 50
"""Steps between two points of the curves in TensorBoard."""


class Logs(NamedTuple):
    """Callbacks and logger for Lightning's trainer."""

    callbacks: tuple[Callback, ...] = ()
    logger: Any = False
    """A Lightning logger, or False."""


def logs_in(folder: Path | None, report: Callable[[str], None]) -> Logs:
    """Return the logs to write into ``folder``; without a folder there are none.

    Args:
        folder: Where to write; made if missing.
        report: Called with a line if TensorBoard is not installed.

    Raises:
        DataError: If the folder cannot be written.
    """
    if folder is None:
        return Logs()
    check_writable(folder / "metrics.csv")
    if not (find_spec("tensorboard") or find_spec("tensorboardX")):
        report("TensorBoard is not installed: only metrics.csv is written (`pip install tensorboard`)")
        return Logs((CsvLog(folder / "metrics.csv"),))
    from lightning.pytorch.loggers import TensorBoardLogger

    return Logs((CsvLog(folder / "metrics.csv"), _Curves()), TensorBoardLogger(folder, name="", version=""))


class CsvLog(Callback):
    """Write one line per epoch; a resumed run keeps the lines of the finished epochs.

    Args:
        path: The file, replaced atomically after every epoch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[list[str]] = []

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Keep the lines of the epochs that were finished before."""
        if trainer.global_step > 0 and self.path.is_file():
            self.rows = [row for row in _read_rows(self.path) if int(row[0]) <= trainer.current_epoch]

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Add a line."""
        if trainer.is_global_zero:
            accuracy = "" if module.accuracy is None else f"{module.accuracy:.6f}"
            rate = _last_rate(trainer, module)
            seconds = time.monotonic() - module.epoch_start
            numbers = (trainer.current_epoch + 1, trainer.global_step, f"{rate:.6g}", f"{module.loss:.6f}", accuracy)
            self.rows.append([*map(str, numbers), f"{seconds:.1f}"])
            buffer = io.StringIO()
            csv.writer(buffer, lineterminator="\n").writerows([_COLUMNS, *self.rows])
            atomic_write(self.path, buffer.getvalue())


def _read_rows(path: Path) -> list[list[str]]:
    """Return the lines of finished epochs; any other line is left out."""
    try:
        rows = list(csv.reader(io.StringIO(read_text(path), newline="")))[1:]
    except (OSError, ValueError, csv.Error):
        return []
    return [row for row in rows if len(row) == len(_COLUMNS) and row[0].isascii() and row[0].isdigit()]


def _last_rate(trainer: Any, module: Any) -> float:
    """Return the learning rate of the last step; the optimizer already has that of the next step."""
    return learning_rate(module.recipe, trainer.global_step - 1, module.steps)


class _Curves(Callback):
    """Log the points of TensorBoard's curves."""

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        if trainer.global_step % _EVERY == 0:
            rate = _last_rate(trainer, module)
            trainer.logger.log_metrics({"loss": float(outputs["loss"]), "lr": rate}, trainer.global_step)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        values = {"epoch_loss": module.loss, "accuracy": module.accuracy}
        known = {name: value for name, value in values.items() if value is not None}
        trainer.logger.log_metrics(known, trainer.global_step)
