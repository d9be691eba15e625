"""Stimulus selectivity of one filter, stimulus by stimulus, from the definitions in docs/inspect.md.

Plain loops over places and kernel elements; it shares no code with ppbench.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Unit(NamedTuple):
    """A filter whose window lies in the middle of a mean filter's; no padding, stride 1."""

    kernel: Array
    """``(channels, side, side)``."""
    inhibition: float
    mean_filter: int
    """Side of the mean filter over the pull; 0 for a plain convolution, which has no pull."""

    @property
    def side(self) -> int:
        """Of the smallest stimulus."""
        return self.kernel.shape[1] + max(self.mean_filter, 1) - 1

    def push(self, stimulus: Array) -> float:
        """The rectified response of the kernel alone."""
        middle = max(self.mean_filter, 1) // 2
        return max(0.0, self._correlate(self.kernel, stimulus, middle, middle))

    def response(self, stimulus: Array) -> float:
        """The rectified response of the unit."""
        if self.mean_filter == 0:
            return self.push(stimulus)
        negative = -self.kernel + (self.kernel.max() + self.kernel.min())
        total = 0.0
        for row in range(self.mean_filter):
            for column in range(self.mean_filter):
                total += self._correlate(negative, stimulus, row, column)
        pull = max(0.0, total / self.mean_filter**2)
        return max(0.0, self.push(stimulus) - self.inhibition * pull)

    def _correlate(self, kernel: Array, stimulus: Array, row: int, column: int) -> float:
        total = 0.0
        channels, height, width = kernel.shape
        for c in range(channels):
            for i in range(height):
                for j in range(width):
                    total += kernel[c, i, j] * stimulus[c, row + i, column + j]
        return total


def grating(side: int, orientation: float, frequency: float, phase: float, colour: Array, std: Array) -> Array:
    """A sine of amplitude 1, ``(channels, side, side)``, divided by the channels' standard deviations.

    The bars lie ``orientation`` degrees counterclockwise from horizontal; the phase is that in the middle.
    """
    bars = math.radians(orientation)
    # A step to the right by cos and up by sin goes along a bar; at right angles to it the wave goes on.
    result = np.zeros((len(colour), side, side))
    for row in range(side):
        for column in range(side):
            right, up = column - (side - 1) / 2, (side - 1) / 2 - row
            across_the_bars = right * math.sin(bars) - up * math.cos(bars)
            value = math.cos(2 * math.pi * frequency * across_the_bars + math.radians(phase))
            for channel, share in enumerate(colour):
                result[channel, row, column] = share * value / std[channel]
    return result


class Found(NamedTuple):
    """The preferred grating of a unit, and its indices."""

    orientation: float
    frequency: float
    phase: float
    noise: float
    antiphase: float
    grating_in_noise: float


def selectivity(unit: Unit, gratings: dict[tuple[float, float, float], Array], noise: list[Array]) -> Found:
    """Try all gratings, by (orientation, frequency, phase), and compare the best with each noise."""
    best, greatest = (0.0, 0.0, 0.0), -1.0
    for where, stimulus in gratings.items():
        response = unit.response(stimulus)
        if response > greatest + 1e-9:
            best, greatest = where, response
    preferred = gratings[best]
    to_noise = sum(unit.response(pattern) for pattern in noise) / len(noise)
    to_both = sum(unit.response(preferred + pattern) for pattern in noise) / len(noise)
    reversed_contrast = unit.response(-preferred)
    return Found(
        *best,
        (greatest - to_noise) / (greatest + to_noise),
        (greatest - reversed_contrast) / (greatest + reversed_contrast),
        (to_both - to_noise) / (to_both + to_noise),
    )
