"""Stimulus selectivity: how much more a unit responds to its preferred grating than to other stimuli.

The *unit* is one output of the first layer whose window sees no border. Its response R is half-wave rectified, as a
firing rate is, and taken at up to three points (`POINTS`):

- ``push``: ``relu(conv(x, W))``, of a push-pull layer alone: the same filters without their inhibition.
- ``layer``: ``relu(y)``, with ``y = push - inhibition * pull``, or ``y = conv(x, W)`` of a plain convolution. Without
  bias: the batch norm after it subtracts any constant.
- ``norm``: ``relu(batch norm(y + bias))``, what the next layer gets.

Negative values of y are no response at ``layer``; they are inhibition, which only lowers what is to come. As long as
the background is the network's mean (`Stimuli.background`), ``push`` and ``layer`` scale with contrast, so that their
indices do not depend on it; those of ``norm``, whose threshold was trained, do.

The preferred grating is that of the greatest R over all orientations, frequencies and phases (and colour directions).
The selectivity index against another response R' is ``(R - R') / (R + R')``: 1 if the other stimulus leaves the unit
silent, 0 if it does as well.

- ``noise``: R' is the mean response to white noise of the RMS contrast of the grating.
- ``antiphase``: R' is the response to the preferred grating with its contrast reversed.
- ``grating_in_noise``: the preferred grating plus noise takes the place of R, and noise alone is R'.

Gratings and noise are compared so in the literature of push-pull inhibition: Azzopardi, Rodriguez-Sanchez, Piater,
Petkov, "A push-pull CORF model of a simple cell with antiphase inhibition improves SNR and contour detection", PLoS ONE
2014; Strisciuglio, Lopez-Antequera, Petkov 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ppbench.inspection.layer import FirstLayer
from ppbench.inspection.statistics import Estimate, Floats, jackknife, mean_over_filters
from ppbench.inspection.stimuli import FREQUENCIES, ORIENTATIONS, PHASES, Stimuli, colour_names
from ppbench.models.card import Card

POINTS = ("push", "layer", "norm")
"""Where a response can be taken."""

INDICES = ("noise", "antiphase", "grating_in_noise")
"""The selectivity indices."""

DRAWS = 256
"""Of the noise."""

_CHUNK = 1024
"""Stimuli in one pass."""


@dataclass(frozen=True)
class Selectivity:
    """The responses of all filters at one point, and the indices made of them.

    Responses are in the units of that point.
    """

    point: str
    tuning: Floats
    """``(filters, orientations, frequencies)``: the greatest response over phase and colour."""
    colour: NDArray[np.int64]
    """``(filters,)`` place of the preferred direction among `colour_names`."""
    orientation: Floats
    """``(filters,)`` of the preferred grating, degrees."""
    frequency: Floats
    """``(filters,)`` of the preferred grating, cycles per pixel."""
    phase: Floats
    """``(filters,)`` of the preferred grating at the middle of the stimulus, degrees."""
    background: Floats
    """``(filters,)`` response to the background alone."""
    preferred: Floats
    """``(filters,)`` response to the preferred grating."""
    antiphase: Floats
    """``(filters,)`` response to its negative."""
    noise: Floats
    """``(draws, filters)`` responses to noise."""
    grating_in_noise: Floats
    """``(draws, filters)`` responses to the preferred grating plus the same noise."""

    @property
    def silent(self) -> NDArray[np.bool_]:
        """``(filters,)``: no grating makes them respond. They have no index."""
        return ~(self.preferred > 0)

    @property
    def orientation_selectivity(self) -> Floats:
        """``(filters,)``: |sum R exp(2i angle)| / sum R at the preferred frequency; 1 for one orientation, 0 for none.

        One minus the circular variance (Ringach, Shapley, Hawken, J. Neuroscience 2002).
        """
        place = [FREQUENCIES.index(value) for value in self.frequency]
        curves = self.tuning[np.arange(len(place)), :, place]
        turned = curves @ np.exp(2j * np.deg2rad(ORIENTATIONS))
        with np.errstate(invalid="ignore"):
            return np.where(self.silent, np.nan, np.abs(turned) / curves.sum(1))

    def index(self, name: str, draws: NDArray[np.bool_] | None = None) -> Floats:
        """One of `INDICES` per filter, ``(filters,)``; NaN where both responses are 0 or the filter is silent.

        Args:
            name: Of the index.
            draws: ``(draws,)``, those of the noise to use; None: all.
        """
        kept = slice(None) if draws is None else draws
        first, other = {
            "noise": lambda: (self.preferred, self.noise[kept].mean(0)),
            "antiphase": lambda: (self.preferred, self.antiphase),
            "grating_in_noise": lambda: (self.grating_in_noise[kept].mean(0), self.noise[kept].mean(0)),
        }[name]()
        with np.errstate(invalid="ignore"):
            return np.where(self.silent, np.nan, (first - other) / (first + other))

    def mean_index(self, name: str) -> Estimate:
        """Mean of the index over the filters that have one, with its t interval for filters like these, within ±1."""
        mean = mean_over_filters(self.index(name))
        if mean.low is None or mean.high is None:
            return mean
        return mean._replace(low=max(-1.0, mean.low), high=min(1.0, mean.high))

    def noise_interval(self, name: str) -> Estimate:
        """The same mean with the interval that the draws of the noise leave, for these filters."""

        def mean(draws: NDArray[np.bool_]) -> float:
            values = self.index(name, draws)
            return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

        return jackknife(mean, len(self.noise))

    def aligned_orientation(self) -> Floats:
        """``(filters, orientations)``: response over the preferred one's, at the preferred frequency, rolled so that
        the preferred orientation is in the middle; NaN for silent filters."""
        place = [FREQUENCIES.index(value) for value in self.frequency]
        curves = self.tuning[np.arange(len(place)), :, place]
        middle = len(ORIENTATIONS) // 2
        best = [ORIENTATIONS.index(int(value)) for value in self.orientation]
        rolled = np.stack([np.roll(curve, middle - peak) for curve, peak in zip(curves, best, strict=True)])
        return self._relative(rolled)

    def over_frequency(self) -> Floats:
        """``(filters, frequencies)``: response over the preferred one's, at the preferred orientation."""
        place = [ORIENTATIONS.index(int(value)) for value in self.orientation]
        return self._relative(self.tuning[np.arange(len(place)), place])

    def _relative(self, curves: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.silent[:, None], np.nan, curves / self.preferred[:, None])


def measure(layer: FirstLayer, card: Card, *, seed: int = 0, draws: int = DRAWS) -> dict[str, Selectivity]:
    """Measure the selectivity of all filters.

    Args:
        layer: On the CPU.
        card: Of its network: what normalisation does, and what the background is.
        seed: Key of the noise.
        draws: Of the noise, at least 16.

    Returns:
        By point: ``push`` for push-pull layers, ``layer``, and ``norm`` if there is a batch norm.
    """
    layer = layer.without_padding()
    place, side = layer.place_and_side()
    stimuli = Stimuli(card, side)
    gratings, noise, blank = stimuli.gratings(), stimuli.noise(draws, seed), stimuli.blank()
    flat = gratings.flatten(0, 3)
    to_gratings = _units(layer, flat, place)
    to_noise, to_blank = _units(layer, noise, place), _units(layer, blank, place)
    best = {point: responses.argmax(0) for point, responses in to_gratings.items()}
    in_noise = _in_noise(layer, flat, best, noise - blank, place)
    return {
        point: _selectivity(
            point, responses.unflatten(0, gratings.shape[:4]), best[point], to_blank[point], to_noise[point],
            in_noise[point],
        )
        for point, responses in to_gratings.items()
    }  # fmt: skip


def _units(layer: FirstLayer, stimuli: Tensor, place: tuple[int, int]) -> dict[str, Tensor]:
    """The responses ``(stimuli, filters)`` of the units at one place, by point."""
    parts: dict[str, list[Tensor]] = {}
    for chunk in stimuli.split(_CHUNK):
        push, pull, output = layer.responses(chunk)
        unit = output[..., place[0], place[1], None, None]
        found = {"push": push[..., place[0], place[1]]} if pull is not None else {}
        found["layer"] = F.relu(unit).flatten(1)
        if layer.norm is not None:
            found["norm"] = layer.after_norm(unit).flatten(1)
        for point, values in found.items():
            parts.setdefault(point, []).append(values)
    return {point: torch.cat(values) for point, values in parts.items()}


def _in_noise(
    layer: FirstLayer, gratings: Tensor, best: dict[str, Tensor], noise: Tensor, place: tuple[int, int]
) -> dict[str, Tensor]:
    """``(draws, filters)`` by point: the response of each filter to its own preferred grating plus noise."""
    result = {point: torch.empty(len(noise), len(places)) for point, places in best.items()}
    for number in torch.cat(list(best.values())).unique():  # filters share gratings, and points do
        responses = _units(layer, gratings[number] + noise, place)
        for point, places in best.items():
            own = places == number
            result[point][:, own] = responses[point][:, own]
    return result


def _selectivity(
    point: str, responses: Tensor, best: Tensor, blank: Tensor, noise: Tensor, in_noise: Tensor
) -> Selectivity:
    """From the responses ``(colours, orientations, frequencies, phases, filters)``, ``best`` of each filter marked."""
    colour, orientation, frequency, phase = torch.unravel_index(best, responses.shape[:4])
    filters = torch.arange(len(best))
    opposite = (phase + PHASES // 2) % PHASES
    return Selectivity(
        point=point,
        tuning=_numpy(responses.amax((0, 3)).permute(2, 0, 1)),
        colour=colour.numpy(),
        orientation=np.array(ORIENTATIONS, float)[orientation.numpy()],
        frequency=np.array(FREQUENCIES)[frequency.numpy()],
        phase=phase.numpy() * 360 / PHASES,
        background=_numpy(blank[0]),
        preferred=_numpy(responses[colour, orientation, frequency, phase, filters]),
        antiphase=_numpy(responses[colour, orientation, frequency, opposite, filters]),
        noise=_numpy(noise),
        grating_in_noise=_numpy(in_noise),
    )


def _numpy(values: Tensor) -> Floats:
    return values.double().numpy()


def each_filter(selectivity: Selectivity, channels: int) -> Iterator[dict[str, object]]:
    """What is known of each filter, as texts and numbers; None where there is none."""
    indices = {name: selectivity.index(name) for name in INDICES}
    tuned = selectivity.orientation_selectivity
    names = colour_names(channels)
    for number, silent in enumerate(selectivity.silent):
        preferred = {
            "colour": names[selectivity.colour[number]],
            "orientation_deg": float(selectivity.orientation[number]),
            "frequency_cpp": float(selectivity.frequency[number]),
            "phase_deg": float(selectivity.phase[number]),
        }
        yield {
            "filter": number,
            "preferred": None if silent else preferred,
            "response": {
                "background": float(selectivity.background[number]),
                "preferred": float(selectivity.preferred[number]),
                "antiphase": float(selectivity.antiphase[number]),
                "noise": float(selectivity.noise[:, number].mean()),
                "grating_in_noise": float(selectivity.grating_in_noise[:, number].mean()),
            },
            "index": {name: number_or_none(values[number]) for name, values in indices.items()},
            "orientation_selectivity": number_or_none(tuned[number]),
            "tuning": selectivity.tuning[number].tolist(),
        }


def number_or_none(value: float | np.floating) -> float | None:
    """The number, if it is finite."""
    return float(value) if np.isfinite(value) else None
