"""From numbers to places: the steps of a colour scale and the ticks of an axis, shared by both drawings of a figure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

SEQUENTIAL_STEPS = 10
"""Steps of the scale from 0 to 100 %: each is ten points wide."""

DIVERGING_STEPS = 9
"""Steps of a scale around a value: four on either side, and the one in the middle."""

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
"""Distances between ticks, but for a power of ten."""


@dataclass(frozen=True)
class ColourScale:
    """Which step of a scale a value has.

    Attributes:
        centre: The value without colour of a diverging scale; None for the sequential one from 0 to 100.
        limit: The distance from ``centre`` that has the strongest colour; what is beyond has it too.
    """

    centre: float | None = None
    limit: float = 100.0

    @classmethod
    def around(cls, centre: float, values: Iterable[float], most: float = 100.0) -> ColourScale:
        """A diverging scale that reaches as far as the farthest value, rounded up, but not beyond ``most``."""
        farthest = max((abs(value - centre) for value in values), default=0.0)
        # Differences that are only rounding errors have no colour.
        return cls(centre, min(most, nice_above(farthest)) if farthest > 1e-6 else 1.0)

    @property
    def steps(self) -> int:
        """The number of steps."""
        return SEQUENTIAL_STEPS if self.centre is None else DIVERGING_STEPS

    def step(self, value: float) -> int:
        """The step of a value, from 0."""
        if self.centre is None:
            place = math.floor(round(value, 10) * SEQUENTIAL_STEPS / self.limit)
        else:
            side = DIVERGING_STEPS // 2
            place = side + round(side * (value - self.centre) / self.limit)
        return max(0, min(self.steps - 1, place))

    @property
    def ends(self) -> tuple[float, float]:
        """The values of the first and the last step."""
        return (0.0, self.limit) if self.centre is None else (self.centre - self.limit, self.centre + self.limit)


def nice_above(value: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is not below a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(nice * power for nice in _NICE if nice * power >= value * (1 - 1e-9))


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round values from at or below ``low`` to at or above ``high``, at equal distances.

    Args:
        low: Lower end.
        high: Upper end; a range without width is widened.
        about: How many distances there should be; there are a few more or less.
    """
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    distance = nice_above((high - low) / about)
    first, last = math.floor(low / distance + 1e-9), math.ceil(high / distance - 1e-9)
    # Rounded, since 3 * 0.1 has an end of 4e-17 that would be printed.
    return [round(place * distance, 10) + 0.0 for place in range(first, last + 1)]


def tick_text(value: float) -> str:
    """A tick in as few digits as it needs: ``-0.5``, ``20``."""
    return f"{value:g}"
