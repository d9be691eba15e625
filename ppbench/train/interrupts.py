"""Ctrl-C and SIGTERM during a run: heeded between two batches."""

from __future__ import annotations

import signal
import threading
from typing import Any

from lightning.pytorch.callbacks import Callback


class Interrupts(Callback):
    """A context in which Ctrl-C, or SIGTERM, is a KeyboardInterrupt at the next batch, and a second one at once.

    Not at once, for wherever it came: in the end of a loader's workers, once an epoch, Python would report and forget
    it. And not as Lightning has it, which exits with code 1 and leaves the signal ignored.
    """

    def __init__(self) -> None:
        self.caught = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.caught and kind is not None and issubclass(kind, SystemExit | RuntimeError):
            raise KeyboardInterrupt from None  # what a process or a loader ends with that the same signal has reached
        if self.caught and kind is None:
            raise KeyboardInterrupt

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Take SIGTERM back from Lightning, which would wait for the other processes inside the handler."""
        if self._before:
            signal.signal(signal.SIGTERM, self._note)

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
        """Heed it."""
        self._heed()

    def on_validation_batch_start(self, trainer: Any, module: Any, batch: Any, index: int, loader: int = 0) -> None:
        """Heed it."""
        self._heed()

    def _heed(self) -> None:
        if self.caught:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: object) -> None:
        if self.caught:
            raise KeyboardInterrupt
        self.caught = True


def ignore_interrupts() -> None:
    """For a loader's worker process, which its parent ends, with a second SIGTERM if it has to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.signal(signal.SIGTERM, signal.SIG_DFL))
