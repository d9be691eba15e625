"""Ctrl-C during a run: heeded between two batches."""

from __future__ import annotations

import signal
import threading
from typing import Any

from lightning.pytorch.callbacks import Callback


class Interrupts(Callback):
    """A context in which Ctrl-C is a KeyboardInterrupt at the next batch, and a second one at once.

    Not at once, for wherever it came: in the end of a loader's workers, once an epoch, Python would report and forget
    it. And not as Lightning has it, which exits with code 1 and leaves the signal ignored.
    """

    def __init__(self) -> None:
        self.caught = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self.caught and kind in (None, SystemExit):
            raise KeyboardInterrupt from None

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


def ignore_interrupts(worker: int) -> None:
    """For a loader's worker process, which its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
