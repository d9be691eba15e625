"""Progress on stderr: a bar on terminals, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from ppbench.cli import output

_EVERY = 10.0
"""Seconds between two lines if stderr is not a terminal."""
_WINDOW, _ENOUGH = 30.0, 2.0
"""Seconds over which the rate is measured, and the fewest for which it is shown."""


class Advance(Protocol):
    """Advances a progress display."""

    def __call__(self, images: int, what: str, *, reused: bool = False) -> None:
        """Count finished images.

        Args:
            images: How many more are finished.
            what: What is being done now.
            reused: Whether an earlier process did them.
        """
        ...


@contextmanager
def progress(total: int, done: int = 0, unit: str = "image") -> Iterator[Advance]:
    """Show images per second, the time elapsed and the time left; yield the function that counts images.

    Args:
        total: Images.
        done: Images that were done before.
        unit: What an image is called.
    """
    console = output.progress_console()
    if not console.is_terminal:
        yield _Lines(total, done, unit).advance
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn(f"{{task.completed:,}} of {{task.total:,}} {unit}s", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %", markup=False),
        TextColumn("{task.fields[pace]}", markup=False),
        TextColumn("{task.description}", markup=False),
    )
    pace = Pace(total, done, unit)
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total, completed=done, pace=pace.describe())

        def advance(images: int, what: str, *, reused: bool = False) -> None:
            pace.add(images, reused=reused)
            bar.update(task, advance=images, description=what, pace=pace.describe())

        yield advance


class Pace:
    """Speed of this process over the last half minute, and the time left at this speed.

    Args:
        total: Images.
        done: Images that were done before.
        unit: What an image is called.
        clock: Returns seconds; None: this machine's clock.
    """

    def __init__(
        self, total: int, done: int = 0, unit: str = "image", clock: Callable[[], float] | None = None
    ) -> None:
        self.total, self.done, self.unit, self._clock = total, done, unit, clock or time.monotonic
        self._start = self._clock()
        self._recent: deque[tuple[float, int]] = deque()
        """Times, and the images this process had done by then; loading before the first images is not included."""
        self._own = 0

    def add(self, images: int, *, reused: bool = False) -> None:
        """Count images; reused ones do not change the speed."""
        self.done += images
        if reused:
            return
        self._own += images
        now = self._clock()
        self._recent.append((now, self._own))
        # One entry older than the window is kept: the rate is over at least the whole window.
        while len(self._recent) > 2 and now - self._recent[1][0] >= _WINDOW:
            self._recent.popleft()

    def speed(self) -> float | None:
        """Images per second; None while it is unknown; at the end, the mean of the whole run."""
        if self.done >= self.total:
            return self._own / max(self._clock() - self._start, 1e-3) if self._own else None
        if not self._recent or (seconds := self._recent[-1][0] - self._recent[0][0]) < _ENOUGH:
            return None
        return (self._own - self._recent[0][1]) / seconds

    def describe(self) -> str:
        """``120 images/s, elapsed 0:00:12 · left about 0:01:10``; at the beginning only the time elapsed."""
        speed = self.speed()
        fast = "" if speed is None else f"{rate(speed)} {self.unit}s/s, "
        left = f" · left about {duration((self.total - self.done) / speed)}" if speed and self.done < self.total else ""
        return f"{fast}elapsed {duration(self._clock() - self._start)}{left}"


def rate(speed: float) -> str:
    """Images per second as text."""
    return f"{speed:,.0f}" if speed >= 10 else f"{speed:.1f}"


def duration(seconds: float) -> str:
    """``h:mm:ss``."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


class _Lines:
    """Progress for files and pipes."""

    def __init__(self, total: int, done: int, unit: str) -> None:
        self._pace = Pace(total, done, unit)
        self._last = time.monotonic()

    def advance(self, images: int, what: str, *, reused: bool = False) -> None:
        """Count images, and print a line if it is time."""
        self._pace.add(images, reused=reused)
        done, total, now = self._pace.done, self._pace.total, time.monotonic()
        if done < total and now - self._last < _EVERY:
            return
        self._last = now
        words = f"{done:,} of {total:,} {self._pace.unit}{'s' * (total != 1)}, {self._pace.describe()}"
        output.say(words + (f", {what}" if what and done < total else ""))
