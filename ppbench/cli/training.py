"""Helpers shared by the commands that train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ppbench.cli import output
from ppbench.extras import import_extra

if TYPE_CHECKING:
    from ppbench.train.plan import TrainResult


def require_lightning(what: str = "`ppbench train`") -> None:
    """Raise `UsageError` if the extra for training is not installed."""
    import_extra("lightning", "train", what)


@contextmanager
def training_shown() -> Iterator[tuple[Any, ...]]:
    """Yield the Lightning callbacks that show the progress of a training; Lightning's own messages are suppressed."""
    from ppbench.train.progress import quiet_lightning, training_progress

    with quiet_lightning(), training_progress(output.progress_console(), output.say) as callback:
        yield (callback,)


def print_trained(result: TrainResult | None) -> None:
    """Print path and accuracy of the checkpoint, in the process that wrote it."""
    if result is not None:
        output.text(f"{result.path}: {result.clean_accuracy:.2%} of the clean test images right")
