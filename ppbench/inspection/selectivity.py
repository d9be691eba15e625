"""Stimulus selectivity: how much more a unit responds to its preferred grating than to other stimuli.

The *unit* is one output of the first layer whose window sees no border. Its response R is half-wave rectified, like a
firing rate, and is taken at up to three points (`POINT_NAMES`):

- ``push``: ``relu(conv(x, W))``, only of a push-pull layer: the same filters without their inhibition.
- ``layer``: ``relu(y)``, with ``y = push - inhibition * pull``, or ``y = conv(x, W)`` of a plain convolution. The bias
  is left out, because the batch norm after the layer subtracts any constant.
- ``norm``: ``relu(batch norm(y + bias))``, the input of the next layer.

Negative values of y are inhibition and do not count as a response at ``layer``. If the background is the network's mean
(`Stimuli.background`), ``push`` and ``layer`` scale with contrast, and their indices do not depend on it. The indices
of ``norm``, whose threshold was trained, do.

The preferred grating has the greatest R over all orientations, frequencies and phases (and colour directions). The
selectivity index against another response R' is ``(R - R') / (R + R')``: 1 if the other stimulus leaves the unit
silent, 0 if both stimuli do equally well.

- ``noise``: R' is the mean response to white noise with the RMS contrast of the grating.
- ``antiphase``: R' is the response to the preferred grating with its contrast reversed.
- ``grating_in_noise``: R is the response to the preferred grating plus noise, and R' is the response to noise alone.

The literature on push-pull inhibition compares gratings and noise in this way: Azzopardi, Rodriguez-Sanchez, Piater,
Petkov, "A push-pull CORF model of a simple cell with antiphase inhibition improves SNR and contour detection", PLoS ONE
2014; Strisciuglio, Lopez-Antequera, Petkov 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ppbench.corruptions.types import Doubles
from ppbench.inspection.layer import FirstLayer
from ppbench.inspection.statistics import Mean, jackknife, mean_over_filters
from ppbench.inspection.stimuli import FREQUENCIES, ORIENTATIONS, PHASES, Stimuli, colour_names
from ppbench.models.card import Card

POINT_NAMES = {"push": "push alone", "layer": "layer", "norm": "after batch norm"}
"""The points at which a response can be taken, and their names in tables."""

INDICES = ("noise", "antiphase", "grating_in_noise")
"""The selectivity indices."""

DRAWS = 256
"""How many draws of noise there are by default."""

_CHUNK = 1024
"""How many stimuli are computed at once."""


class Grating(NamedTuple):
    """A grating that a filter prefers; its fields are named as in ``numbers.json``."""

    colour: str
    """Direction of modulation."""
    orientation_deg: float
    """Orientation of the bars."""
    frequency_cpp: float
    """Cycles per pixel."""
    phase_deg: float
    """Phase at the middle of the stimulus."""


@dataclass(frozen=True)
class Selectivity:
    """The responses of all filters at one point, in the units of that point, and the indices computed from them."""

    tuning: Doubles
    """``(filters, orientations, frequencies)``: the greatest response over phase and colour."""
    gratings: tuple[Grating, ...]
    """The preferred grating of each filter; without meaning if the filter is silent."""
    background: Doubles
    """``(filters,)`` responses to the background alone."""
    preferred: Doubles
    """``(filters,)`` responses to the preferred grating."""
    antiphase: Doubles
    """``(filters,)`` responses to the preferred grating with its contrast reversed."""
    noise: Doubles
    """``(draws, filters)`` responses to noise."""
    grating_in_noise: Doubles
    """``(draws, filters)`` responses to the preferred grating plus the same noise."""

    @property
    def silent(self) -> NDArray[np.bool_]:
        """``(filters,)``: whether no grating makes the filter respond. Silent filters have no index."""
        return ~(self.preferred > 0)

    @property
    def orientation_curves(self) -> Doubles:
        """``(filters, orientations)``: the responses at the preferred frequency."""
        # Exact, although they are floats: gratings have their frequency from the same tuple.
        place = [FREQUENCIES.index(grating.frequency_cpp) for grating in self.gratings]
        return self.tuning[np.arange(len(place)), :, place]

    @property
    def orientation_selectivity(self) -> Doubles:
        """``(filters,)``: |sum R exp(2i angle)| / sum R at the preferred frequency; 1 for one orientation, 0 for none.

        This is one minus the circular variance (Ringach, Shapley, Hawken, J. Neuroscience 2002).
        """
        curves = self.orientation_curves
        # Twice the angle, because bars at 0 and at 180 degrees are the same.
        turned = curves @ np.exp(2j * np.deg2rad(ORIENTATIONS))
        with np.errstate(invalid="ignore"):
            return np.where(self.silent, np.nan, np.abs(turned) / curves.sum(1))

    def index(self, name: str, draws: NDArray[np.bool_] | None = None) -> Doubles:
        """Return an index per filter, ``(filters,)``; NaN if both responses are 0 or the filter is silent.

        Args:
            name: One of `INDICES`.
            draws: ``(draws,)``, which draws of the noise to use; None: all.
        """
        kept = slice(None) if draws is None else draws
        first, other = {
            "noise": lambda: (self.preferred, self.noise[kept].mean(0)),
            "antiphase": lambda: (self.preferred, self.antiphase),
            "grating_in_noise": lambda: (self.grating_in_noise[kept].mean(0), self.noise[kept].mean(0)),
        }[name]()
        with np.errstate(invalid="ignore"):
            return np.where(self.silent, np.nan, (first - other) / (first + other))

    def mean_index(self, name: str) -> Mean:
        """Return the mean of the index over the filters that have one, with its t interval, cut off at ±1."""
        mean = mean_over_filters(self.index(name))
        if mean.low is None or mean.high is None:
            return mean
        return mean._replace(low=max(-1.0, mean.low), high=min(1.0, mean.high))

    def noise_interval(self, name: str) -> Mean:
        """Return the same mean with the interval due to the draws of noise alone; empty if no filter has an index."""
        if not np.isfinite(self.index(name)).any():
            return Mean()

        def mean(draws: NDArray[np.bool_]) -> float:
            values = self.index(name, draws)
            return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

        return jackknife(mean, len(self.noise))

    def aligned_orientation(self) -> Doubles:
        """Return `orientation_curves` relative to the preferred response; NaN for silent filters.

        Each curve is rolled so that the preferred orientation is in the middle.
        """
        middle = len(ORIENTATIONS) // 2
        pairs = zip(self.orientation_curves, self._best_orientations(), strict=True)
        return self._relative(np.stack([np.roll(curve, middle - best) for curve, best in pairs]))

    def over_frequency(self) -> Doubles:
        """Return ``(filters, frequencies)``: responses at the preferred orientation, relative to the preferred one."""
        place = self._best_orientations()
        return self._relative(self.tuning[np.arange(len(place)), place])

    def _best_orientations(self) -> list[int]:
        return [ORIENTATIONS.index(int(grating.orientation_deg)) for grating in self.gratings]

    def _relative(self, curves: Doubles) -> Doubles:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.silent[:, None], np.nan, curves / self.preferred[:, None])


def measure_selectivity(layer: FirstLayer, card: Card, *, seed: int = 0, draws: int = DRAWS) -> dict[str, Selectivity]:
    """Measure the selectivity of all filters.

    Args:
        layer: The first layer, on the CPU.
        card: The card of its network, for the normalisation and the background.
        seed: Seed of the noise.
        draws: Number of draws of the noise, at least 16.

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
            colour_names(card.in_channels), responses.unflatten(0, gratings.shape[:4]), best[point], to_blank[point],
            to_noise[point], in_noise[point],
        )
        for point, responses in to_gratings.items()
    }  # fmt: skip


def _units(layer: FirstLayer, stimuli: Tensor, place: tuple[int, int]) -> dict[str, Tensor]:
    """Compute the responses ``(stimuli, filters)`` of the units at one place, by point."""
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
    """Compute the response of each filter to its own preferred grating plus noise: ``(draws, filters)`` by point."""
    result = {point: torch.empty(len(noise), len(places)) for point, places in best.items()}
    # Several filters and points may prefer the same grating: each grating is computed once.
    for number in torch.cat(list(best.values())).unique():
        responses = _units(layer, gratings[number] + noise, place)
        for point, places in best.items():
            own = places == number
            result[point][:, own] = responses[point][:, own]
    return result


def _selectivity(
    colours: tuple[str, ...], responses: Tensor, best: Tensor, blank: Tensor, noise: Tensor, in_noise: Tensor
) -> Selectivity:
    """Sort out responses ``(colours, orientations, frequencies, phases, filters)``, where ``best`` has flat indices."""
    colour, orientation, frequency, phase = torch.unravel_index(best, responses.shape[:4])
    filters = torch.arange(len(best))
    # Half a period on, a grating has the opposite contrast.
    opposite = (phase + PHASES // 2) % PHASES
    places = zip(colour.tolist(), orientation.tolist(), frequency.tolist(), phase.tolist(), strict=True)
    return Selectivity(
        gratings=tuple(
            Grating(colours[c], float(ORIENTATIONS[o]), FREQUENCIES[f], p * 360 / PHASES) for c, o, f, p in places
        ),
        tuning=_numpy(responses.amax((0, 3)).permute(2, 0, 1)),
        background=_numpy(blank[0]),
        preferred=_numpy(responses[colour, orientation, frequency, phase, filters]),
        antiphase=_numpy(responses[colour, orientation, frequency, opposite, filters]),
        noise=_numpy(noise),
        grating_in_noise=_numpy(in_noise),
    )


def _numpy(values: Tensor) -> Doubles:
    return values.double().numpy()
