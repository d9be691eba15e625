"""Progress of downloads, for the commands that load models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ppbench.cli import output


@contextmanager
def downloading() -> Iterator[Callable[[int, int], None]]:
    """Yield a function that shows the progress of a download: call it with the bytes so far and their total."""
    last = -1

    def on_download(done: int, total: int) -> None:
        nonlocal last
        # A line for every tenth part, so that logs stay short.
        if total and 10 * done // total > last:
            last = 10 * done // total
            output.say(f"downloading weights: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")

    yield on_download
