"""Stimuli: sine gratings and white noise around the mean colour of the training images, all within [0, 1].

Stimuli are made in the units of the network's input, as the card normalises pixels.
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
"""Of the bars, degrees counterclockwise from horizontal: 0 is horizontal bars, 90 vertical, 45 rising to the right."""

FREQUENCIES = tuple(round(0.05 * step, 2) for step in range(1, 10))
"""Cycles per pixel, up to 0.45: at 0.5 the contrast of a sampled sine depends on its phase."""

PHASES = 16
"""Equal steps through a period; an even number, so that every grating has its anti-phase among them."""

COLOURS: dict[int, dict[str, tuple[float, ...]]] = {
    1: {"grey": (1.0,)},
    3: {"achromatic": (1, 1, 1), "red-green": (1, -1, 0), "blue-yellow": (1, 1, -2)},
}
"""Directions of modulation by number of channels; scaled to equal RMS contrast over the channels."""


@dataclass(frozen=True)
class Stimuli:
    """What all stimuli of a network share.

    Args:
        card: Of the network.
        side: Of the stimuli, (down, across), in pixels.
    """

    card: Card
    side: tuple[int, int]

    @property
    def background(self) -> tuple[float, ...]:
        """Per channel, in [0, 1]: the card's mean, which normalisation takes to 0; 0.5 if that leaves no room."""
        mean = self.card.mean
        return mean if all(0.1 <= value <= 0.9 for value in mean) else (0.5,) * len(mean)

    @property
    def directions(self) -> Tensor:
        """``(colours, channels)``, each of mean square 1."""
        rows = torch.tensor(list(COLOURS[self.card.in_channels].values()), dtype=torch.float32)
        return rows / rows.square().mean(1, keepdim=True).sqrt()

    @property
    def amplitude(self) -> float:
        """Of the gratings, in [0, 1] pixel units: the largest for which grating plus noise needs no clipping."""
        room = min(min(value, 1 - value) for value in self.background)
        return room / (float(self.directions.abs().max()) + math.sqrt(1.5))

    @property
    def rms_contrast(self) -> float:
        """Root mean square deviation of gratings and of noise from the background, in [0, 1] pixel units."""
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

        Uniform rather than normal, since it then fits into [0, 1] unclipped. Draw ``i`` depends on ``(seed, i)`` and
        the size alone.
        """
        keys = [key(seed, "white_noise", 0, str(draw)) for draw in range(count)]
        width = math.sqrt(1.5)  # in amplitudes of a grating: the RMS of U[-w, w] is w / sqrt(3), of a sine 1 / sqrt(2)
        draws = Draws(keys, torch.device("cpu"))
        return self._add(draws.between("values", -width, width, self.card.in_channels, *self.side))

    def _add(self, pattern: Tensor) -> Tensor:
        """The background plus the pattern in units of the amplitude, ``(…, channels, *side)``."""
        gain = self.amplitude / torch.tensor(self.card.std, dtype=torch.float32)
        return self.blank()[0] + gain.view(-1, 1, 1) * pattern


def colour_names(channels: int) -> tuple[str, ...]:
    """Names of the directions of modulation."""
    return tuple(COLOURS[channels])


def angle_of(down: float | np.floating, across: float | np.floating) -> float:
    """Orientation of the bars of a wave with these frequencies along the two axes, in degrees, 0 to 180."""
    return math.degrees(math.atan2(across, down)) % 180
