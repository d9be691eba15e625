"""The walk of a stream: which two corruptions, how severe, at each of its points. Free of torch.

A walk between two corruptions goes from the first one alone to the second one alone, in steps of a quarter of a
severity: each step makes the first milder or the second more severe, so that the accuracy that was calibrated stays
near the level's baseline. The next walk begins with the second corruption alone. This place has two points, the last of
one walk and the first of the next, as in the authors' streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import UsageError
from ppbench.keys import hash64
from ppbench.lookup import NameTable
from ppbench.run import SPEEDS
from ppbench.streams.calibration import Calibration
from ppbench.vocabulary import C15

QUARTERS = 21
"""Severities of a corruption: 0, 0.25, …, 5."""

LENGTH = 7_500_000
"""Frames of a published stream."""

Steps = tuple[int, int]
"""Severities of the first and the second corruption, in quarters."""


class Level(NamedTuple):
    """How hard a stream is."""

    name: str
    baseline: float
    """Accuracy at which the walk stays, a fraction."""
    corruptions: tuple[str, ...]


_WITHOUT_BRIGHTNESS = tuple(name for name in C15 if name != "brightness")

STREAM_LEVELS = NameTable(
    {
        level.name: level
        for level in (
            Level("easy", 0.4, _WITHOUT_BRIGHTNESS),
            Level("medium", 0.2, tuple(name for name in _WITHOUT_BRIGHTNESS if name != "jpeg_compression")),
            Level("hard", 0.0, ("gaussian_noise", "shot_noise", "impulse_noise", "contrast")),
        )
    },
    "level",
    "docs/streams.md",
)


class Point(NamedTuple):
    """A place on the walk: an image gets the first corruption, then the second."""

    first: str
    second: str
    first_severity: float
    """0: the first corruption is left out."""
    second_severity: float


class StreamName(NamedTuple):
    """The value of ``--stream``."""

    level: str
    speed: int
    """Frames at each point."""


def parse_stream(text: str) -> StreamName:
    """Parse ``ccc``, ``ccc:hard`` or ``ccc:hard:2000``.

    Raises:
        UsageError: If it is none of these.
    """
    kind, *rest = str(text).split(":")
    speed = rest[1] if len(rest) > 1 else str(SPEEDS[0])
    is_number = speed.isascii() and speed.isdigit() and 0 < int(speed) <= LENGTH
    if kind != "ccc" or len(rest) > 2 or not is_number:
        raise UsageError(
            f"--stream {text} is not allowed",
            "`ccc`, `ccc:easy`, `ccc:medium` or `ccc:hard`, perhaps with the images at each point: `ccc:hard:2000`.",
        )
    return StreamName(STREAM_LEVELS[rest[0] if rest else "medium"].name, int(speed))


def steps_between(table: NDArray[np.float64], baseline: float) -> list[Steps]:
    """Return the walk between two corruptions.

    Its ends are the severities at which each corruption alone comes nearest to the baseline. Of all ways between them
    it is the one whose accuracies have the least sum of squared distances to the baseline. Their mean
    may differ from it.

    Args:
        table: ``(21, 21)``: accuracy, a fraction, by the severities of the first and the second corruption.
        baseline: Accuracy to stay at, a fraction.
    """
    cost = ((table - baseline) ** 2).tolist()
    # Not from 0, where either corruption leaves the image as it is.
    start = min(range(1, QUARTERS), key=lambda step: cost[step][0])
    end = min(range(1, QUARTERS), key=lambda step: cost[0][step])
    # The cost of the best way from each place to the end. A step lowers the first severity or raises the second.
    ahead = [[0.0] * (end + 1) for _ in range(start + 1)]
    for first in range(start + 1):
        for second in range(end, -1, -1):
            milder = [ahead[first - 1][second]] if first else []
            stronger = [ahead[first][second + 1]] if second < end else []
            ahead[first][second] = cost[first][second] + min([*milder, *stronger], default=0.0)
    first, second, steps = start, 0, [(start, 0)]
    while (first, second) != (0, end):
        raises = second < end and (first == 0 or ahead[first][second + 1] <= ahead[first - 1][second])
        first, second = (first, second + 1) if raises else (first - 1, second)
        steps.append((first, second))
    return steps


class Walk:
    """The points of a stream, in order, without end.

    Args:
        level: Name of the level.
        seed: Decides in which order the corruptions follow each other.
        calibration: The accuracies that the walk keeps.

    Raises:
        DataError: If the calibration lacks accuracies that the level needs.
    """

    def __init__(self, level: str, seed: int, calibration: Calibration) -> None:
        self.level, self.seed = STREAM_LEVELS[level], seed
        self._calibration = calibration
        calibration.check_has(self.level.corruptions)
        self._order = [self._draw(0, len(self.level.corruptions))]
        self._points: list[Point] = []

    def point(self, number: int) -> Point:
        """The point of this number, from 0.

        Raises:
            UsageError: If it is negative.
        """
        if number < 0:
            raise UsageError(f"point {number} of a stream is not allowed", "Points are numbered from 0.")
        while number >= len(self._points):
            self._walk_on()
        return self._points[number]

    def points(self, count: int) -> Sequence[Point]:
        """The first ``count`` points."""
        if count:
            self.point(count - 1)
        return self._points[:count]

    def _walk_on(self) -> None:
        """Add the walk to the next corruption."""
        names, last = self.level.corruptions, self._order[-1]
        drawn = self._draw(len(self._order), len(names) - 1)
        self._order.append(drawn + (drawn >= last))  # never the same one again
        first, second = names[last], names[self._order[-1]]
        self._points += [Point(first, second, one / 4, other / 4) for one, other in self._between(first, second)]

    def _between(self, first: str, second: str) -> list[Steps]:
        if (first, second) not in self._known:
            table = self._calibration.table(first, second)
            self._known[first, second] = steps_between(table, self.level.baseline)
        return self._known[first, second]

    @cached_property
    def _known(self) -> dict[tuple[str, str], list[Steps]]:
        return {}

    def _draw(self, number: int, among: int) -> int:
        # Of 64 bits, the remainder is as good as uniform.
        return hash64(f"ccc/{self.level.name}/{self.seed}/{number}".encode()) % among
