"""What commands share that load models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ppbench.cli import output


@contextmanager
def downloading() -> Iterator[Callable[[int, int], None]]:
    """Yield what shows the progress of downloads, called with the bytes so far and in all."""
    last = -1

    def on_download(done: int, total: int) -> None:
        nonlocal last
        if total and 10 * done // total > last:
            last = 10 * done // total
            output.say(f"downloading weights: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")

    yield on_download
