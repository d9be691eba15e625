"""The content of a figure of accuracy over time: one or more runs on one stream, window by window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppbench.compare.comparability import SAID, require_comparable
from ppbench.errors import UsageError
from ppbench.figures.colours import MOST_LINES
from ppbench.figures.scales import ticks
from ppbench.metrics.intervals import Interval
from ppbench.metrics.points import FEWEST_POINTS, interval_of_points, point_numbers
from ppbench.run import Run
from ppbench.vocabulary import Cell

MOST_WINDOWS = 60
"""Windows of a line; each has whole points of the walk."""

_BASELINES: Mapping[str, float] = {"easy": 40.0, "medium": 20.0, "hard": 0.0}
"""Accuracy in percent that the calibrated network keeps, by level."""


@dataclass(frozen=True)
class TimeWindow:
    """Some points of the walk that follow each other."""

    first: int
    """Number of its first frame."""
    last: int
    accuracy: float
    """Percent."""
    interval: Interval | None
    """Of the accuracy, percent; None if the window has too few points."""

    @property
    def top(self) -> float:
        """The upper end of its interval, or else its accuracy."""
        return self.accuracy if self.interval is None else self.interval.high

    @property
    def middle(self) -> float:
        """Its place on the axis of frames."""
        return (self.first + self.last) / 2


@dataclass(frozen=True)
class TimeLine:
    """One run over time."""

    name: str
    windows: tuple[TimeWindow, ...]
    mean: float
    """Accuracy over all frames, percent."""


@dataclass(frozen=True)
class OverTime:
    """Accuracy over a stream."""

    title: str
    lines: tuple[TimeLine, ...]
    baseline: float
    """Accuracy in percent that the network of the calibration keeps."""
    confidence: float

    @property
    def last(self) -> int:
        """Number of the last frame of any run."""
        return max(line.windows[-1].last for line in self.lines)

    @property
    def has_bands(self) -> bool:
        """Whether there are intervals."""
        return any(window.interval is not None for line in self.lines for window in line.windows)

    @property
    def ticks(self) -> list[float]:
        """Ticks of the accuracy, from 0 to beyond all bands and the baseline."""
        highest = max(window.top for line in self.lines for window in line.windows)
        return ticks(0, max(10.0, highest, self.baseline), 4)

    @classmethod
    def of(
        cls,
        runs: Sequence[Run],
        bits: Sequence[Mapping[Cell, NDArray[np.bool_]]],
        names: Sequence[str],
        confidence: float = 0.95,
        allow: Sequence[str] = (),
    ) -> OverTime:
        """Make a line of each run.

        Args:
            runs: Runs on one stream, plain or adapted.
            bits: Their correctness bits.
            names: Their names, all different.
            confidence: Confidence of the bands.
            allow: Fields of the protocol that may differ.

        Raises:
            UsageError: If a run is of no stream, or there are too many.
            NotComparableError: If they are of different streams, or were measured in other ways.
        """
        if not 1 <= len(runs) <= MOST_LINES:
            raise UsageError(f"{len(runs)} runs in one figure are not allowed", f"It can have 1 to {MOST_LINES}.")
        for run, name in zip(runs, names, strict=True):
            if run.protocol.stream is None:
                raise UsageError(
                    f"{name} is a run on cells, which have no order in time",
                    "Measure a stream: `ppbench eval --stream ccc …`; or draw another kind.",
                )
            require_comparable(runs[0].protocol, run.protocol, (names[0], name), allow, said=SAID)
        stream = runs[0].protocol.stream
        assert stream is not None
        lines = tuple(_line(name, run, of_run, confidence) for name, run, of_run in zip(names, runs, bits, strict=True))
        title = f"{stream.label}, seed {runs[0].protocol.seed}, {runs[0].protocol.images_in_words}"
        return cls(title, lines, _BASELINES[stream.level], confidence)


def _line(name: str, run: Run, bits: Mapping[Cell, NDArray[np.bool_]], confidence: float) -> TimeLine:
    (cell,) = run.cells
    right, numbers = bits[cell.key], point_numbers(run.protocol)
    points = int(numbers[-1]) + 1
    # With fewer points a window has no interval. A stream too short for two such windows has one for each point.
    several = points >= 2 * FEWEST_POINTS
    count = min(MOST_WINDOWS, points // FEWEST_POINTS if several else points)
    windows = []
    for part in np.array_split(np.arange(points), count):
        inside = np.flatnonzero((numbers >= part[0]) & (numbers <= part[-1]))
        windows.append(_window(right[inside], numbers[inside], int(inside[0]), confidence))
    return TimeLine(name, tuple(windows), 100 * float(right.mean()))


def _window(right: NDArray[np.bool_], numbers: NDArray[np.int64], first: int, confidence: float) -> TimeWindow:
    """The window of frames that follow each other, given which are right and at which points they are."""
    shares = np.bincount(numbers - numbers[0], weights=right) / np.bincount(numbers - numbers[0])
    value = float(right.mean())
    interval = interval_of_points(shares, value, confidence)
    return TimeWindow(first, first + len(right) - 1, 100 * value, None if interval is None else interval.scaled(100))
