"""Progress on stderr: a bar on terminals, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ppbench.cli import output

Advance = Callable[[int, str], None]
"""How many more are done, and what is being done now."""

_EVERY = 10.0
"""Seconds between two lines where stderr is no terminal."""


@contextmanager
def progress(total: int, done: int = 0) -> Iterator[Advance]:
    """Yield what is told of progress; shows images per second and the time left.

    Args:
        total: Images.
        done: Images that were done before.
    """
    console = output.progress_console()
    if not console.is_terminal:
        yield _Lines(total, done).advance
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.completed:,} of {task.total:,} images", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %", markup=False),
        TextColumn("{task.fields[rate]} images/s", markup=False),
        TimeRemainingColumn(),
        TextColumn("left", markup=False),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total, completed=done, rate="-")
        start = time.monotonic()

        def advance(images: int, what: str) -> None:
            bar.update(task, advance=images, description=what)
            shown = bar.tasks[0]
            speed = shown.speed or (shown.completed - done) / max(time.monotonic() - start, 1e-3)
            bar.update(task, rate=rate(speed))

        yield advance


def rate(speed: float) -> str:
    """Images per second, for people."""
    return f"{speed:,.0f}" if speed >= 10 else f"{speed:.1f}"


def duration(seconds: float) -> str:
    """``h:mm:ss``."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


class _Lines:
    """Progress for files and pipes. The rate leaves out the loading before the first images."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done, self.first = total, done, 0
        self.start = self.last = time.monotonic()

    def advance(self, images: int, what: str) -> None:
        """Count, and say so if it is time."""
        self.done += images
        now = time.monotonic()
        if not self.first and self.done < self.total:
            self.start, self.first = now, self.done
        if self.done < self.total and now - self.last < _EVERY:
            return
        self.last = now
        speed = (self.done - self.first) / max(now - self.start, 1e-3)
        left = duration((self.total - self.done) / speed) if speed else "?"
        images_word = "image" if self.total == 1 else "images"
        output.say(
            f"{self.done:,} of {self.total:,} {images_word}, {rate(speed)} images/s, {left} left"
            + (f", {what}" if what and self.done < self.total else "")
        )
