"""Stimuli: sine gratings and white noise around the mean colour of the training images, all within [0, 1].

Stimuli are in the units of the network's input: pixels as the card normalises them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions.keys import key
from ppbench.corruptions.random import Draws
from ppbench.models.card import Card

ORIENTATIONS = tuple(range(0, 180, 15))
"""Orientations of the bars, degrees counterclockwise from horizontal: 0 is horizontal, 45 rises to the right."""

FREQUENCIES = tuple(round(0.05 * step, 2) for step in range(1, 10))
"""Cycles per pixel, up to 0.45, because at 0.5 the contrast of a sampled sine depends on its phase."""

PHASES = 16
"""Equal steps through a period. The number is even, so that the anti-phase of each grating is among them."""

COLOURS: dict[int, dict[str, tuple[float, ...]]] = {
    1: {"grey": (1.0,)},
    3: {"achromatic": (1, 1, 1), "red-green": (1, -1, 0), "blue-yellow": (1, 1, -2)},
}
"""Directions of modulation by number of channels, before they are scaled to equal RMS contrast over the channels."""


@dataclass(frozen=True)
class Stimuli:
    """The stimuli of a network.

    Args:
        card: The card of the network.
        side: Size of the stimuli, (down, across), in pixels.
    """

    card: Card
    side: tuple[int, int]

    @property
    def background(self) -> tuple[float, ...]:
        """Background per channel, in [0, 1]: the card's mean, which is 0 after normalisation.

        It is 0.5 if the card's mean is so near 0 or 1 that it leaves no room for a contrast.
        """
        mean = self.card.mean
        return mean if all(0.1 <= value <= 0.9 for value in mean) else (0.5,) * len(mean)

    @property
    def directions(self) -> Tensor:
        """Directions of modulation, ``(colours, channels)``, each with a mean square of 1."""
        rows = torch.tensor(list(COLOURS[self.card.in_channels].values()), dtype=torch.float32)
        return rows / rows.square().mean(1, keepdim=True).sqrt()

    @property
    def amplitude(self) -> float:
        """Amplitude of the gratings, in [0, 1] pixel units: the largest at which grating plus noise is not clipped."""
        room = min(min(value, 1 - value) for value in self.background)
        return room / (float(self.directions.abs().max()) + math.sqrt(1.5))

    @property
    def rms_contrast(self) -> float:
        """Root mean square deviation of both gratings and noise from the background, in [0, 1] pixel units."""
        return self.amplitude / math.sqrt(2)

    def blank(self) -> Tensor:
        """The background alone, ``(1, channels, *side)``."""
        mean, std = torch.tensor(self.card.mean), torch.tensor(self.card.std)
        return ((torch.tensor(self.background) - mean) / std).view(1, -1, 1, 1).expand(1, -1, *self.side)

    def gratings(self) -> Tensor:
        """All gratings, ``(colours, orientations, frequencies, phases, channels, *side)`` float32."""
        down, across = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in self.side)
        angle = torch.tensor(ORIENTATIONS, dtype=torch.float64).deg2rad().view(-1, 1, 1, 1, 1)
        frequency = torch.tensor(FREQUENCIES, dtype=torch.float64).view(-1, 1, 1, 1)
        phase = (torch.arange(PHASES, dtype=torch.float64) * 2 * math.pi / PHASES).view(-1, 1, 1)
        # The wave runs at right angles to the bars; the vertical axis of an image points down.
        along = across * angle.sin() + down.view(-1, 1) * angle.cos()
        wave = torch.cos(2 * math.pi * frequency * along + phase).float()
        return self._add(self.directions.view(-1, 1, 1, 1, self.card.in_channels, 1, 1) * wave.unsqueeze(3))

    def noise(self, count: int, seed: int) -> Tensor:
        """White noise, ``(count, channels, *side)`` float32: uniform, independent per pixel and channel.

        The noise is uniform rather than normal, so that it fits into [0, 1] without clipping. Draw ``i`` depends only
        on ``(seed, i)`` and the size.
        """
        keys = [key(seed, "white_noise", 0, str(draw)) for draw in range(count)]
        # Noise has the RMS contrast of a grating: U[-w, w] has an RMS of w / sqrt(3), a sine has one of 1 / sqrt(2).
        width = math.sqrt(1.5)
        draws = Draws(keys, torch.device("cpu"))
        return self._add(draws.between("values", -width, width, self.card.in_channels, *self.side))

    def _add(self, pattern: Tensor) -> Tensor:
        """Add a pattern ``(…, channels, *side)``, in units of the amplitude, to the background."""
        gain = self.amplitude / torch.tensor(self.card.std, dtype=torch.float32)
        return self.blank()[0] + gain.view(-1, 1, 1) * pattern


def colour_names(channels: int) -> tuple[str, ...]:
    """Return the names of the directions of modulation."""
    return tuple(COLOURS[channels])


def angle_of(down: float | np.floating, across: float | np.floating) -> float:
    """Return the orientation of the bars of a wave with these frequencies along the axes, in degrees, 0 to 180."""
    return math.degrees(math.atan2(across, down)) % 180
