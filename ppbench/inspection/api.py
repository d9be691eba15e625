"""Inspecting a network: everything that is drawn and written is gathered here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ppbench.errors import UsageError
from ppbench.inspection.images import Picture, look_at
from ppbench.inspection.layer import FirstLayer, find_first_layer
from ppbench.inspection.selectivity import DRAWS, INDICES, Selectivity, each_filter, measure
from ppbench.inspection.spectra import SIZE, peak, spectra
from ppbench.inspection.statistics import Estimate, mean_over_filters, welch_difference
from ppbench.inspection.stimuli import FREQUENCIES, ORIENTATIONS, PHASES, Stimuli
from ppbench.models.card import Card
from ppbench.run import conversion

DIGITS = 6
"""Of written numbers: more than float32 responses carry through."""

SHOWN = 6
"""Filters whose responses are drawn, unless told."""


@dataclass(frozen=True)
class Inspection:
    """What is known of one network's first layer."""

    name: str
    card: Card
    layer: FirstLayer
    filters: tuple[int, ...]
    """Those whose responses are drawn."""
    selectivity: dict[str, Selectivity]
    """By point."""
    pictures: tuple[Picture, ...]
    seed: int

    def kernels(self) -> dict[str, Tensor]:
        """Push and, if there is one, pull kernels, ``(filters, channels, height, width)``."""
        pull = self.layer.pull_kernels()
        return {"push": self.layer.push_kernels(), **({} if pull is None else {"pull": pull})}


@dataclass(frozen=True)
class Difference:
    """The mean of an index at one point of a network, minus that at a point of the same or of another network."""

    index: str
    point: str
    minus_model: str
    minus_point: str
    paired: bool
    """Whether the same filters stand on both sides."""
    estimate: Estimate


def inspect_model(
    name: str,
    model: nn.Module,
    card: Card,
    images: Sequence[tuple[str, NDArray[np.uint8]]] = (),
    *,
    corruption: str = "gaussian_noise",
    severity: int = 3,
    filters: Sequence[int] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Inspection:
    """Inspect the first layer of a network.

    Args:
        name: Of the network, for people.
        model: The network, on the CPU. It is put into eval mode.
        card: Its card.
        images: Name and pixels ``(H, W, C)`` uint8 of the images to show it.
        corruption: Of those images, one of the 19 names.
        severity: 1 to 5.
        filters: Whose responses to the images are drawn; None: the `SHOWN` whose weights vary most.
        draws: Of the noise that selectivity is measured against, at least 16.
        seed: Key of the corruption's draws and of the noise.

    Raises:
        DataError: If the network does not begin with a convolution, or does not take the card's images.
        UsageError: If there is no such filter, corruption or severity, or too few draws.
    """
    if draws < 16:
        raise UsageError(f"--draws {draws} is not allowed", "It is at least 16.")
    layer = find_first_layer(name, model, card)
    shown = _shown(layer, filters)
    pictures = tuple(
        look_at(layer, card, image, pixels, corruption=corruption, severity=severity, seed=seed)
        for image, pixels in images
    )
    return Inspection(name, card, layer, shown, measure(layer, card, seed=seed, draws=draws), pictures, seed)


def differences(inspection: Inspection, against: Inspection | None = None) -> list[Difference]:
    """What inhibition changes in the same filters, and how another network's filters differ.

    The filters of two networks are other filters, even if their training began alike; so only the first is paired.
    """
    found, ours = [], inspection.selectivity
    if "push" in ours:
        for index in INDICES:
            change = mean_over_filters(ours["layer"].index(index) - ours["push"].index(index))
            found.append(Difference(index, "layer", inspection.name, "push", True, change))
    if against is not None:
        for point in (point for point in ("layer", "norm") if point in ours and point in against.selectivity):
            for index in INDICES:
                theirs = against.selectivity[point].index(index)
                estimate = welch_difference(ours[point].index(index), theirs)
                found.append(Difference(index, point, against.name, point, False, estimate))
    return found


def numbers(inspection: Inspection, against: Inspection | None = None) -> dict[str, Any]:
    """All numbers as lists, dicts, texts and finite numbers, as docs/inspect.md describes them; to `DIGITS` digits."""
    result = _numbers(inspection)
    result["images"] = [
        {
            "name": picture.name,
            "corruption": picture.corruption,
            "severity": picture.severity,
            "recipe": picture.recipe,
            "change": picture.change(),
        }
        for picture in inspection.pictures
    ]
    result["against"] = None if against is None else _numbers(against)
    result["differences"] = [
        {
            "index": d.index,
            "point": d.point,
            "minus": {"model": d.minus_model, "point": d.minus_point},
            "paired": d.paired,
            **d.estimate._asdict(),
        }
        for d in differences(inspection, against)
    ]
    return _rounded(result)


def _rounded(value: Any) -> Any:
    """The same with numbers of `DIGITS` digits, wherever they are."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _numbers(inspection: Inspection) -> dict[str, Any]:
    layer, card = inspection.layer, inspection.card
    strength = layer.inhibition
    return {
        "model": inspection.name,
        "conversion": conversion(card.model_dump()),
        "layer": {
            "name": layer.name,
            "kind": type(layer.module).__name__,
            "push_pull": layer.is_push_pull,
            "filters": layer.filters,
            "kernel_size": list(layer.push_kernels().shape[2:]),
            "mean_filter": layer.mean_filter,
            "batch_norm": layer.norm and layer.norm.name,
            "inhibition": None
            if strength is None
            else {"trained": layer.inhibition_is_trained, "values": strength.tolist()},
        },
        "spectra": {
            "size": SIZE,
            **{kind: list(_peaks(kernels)) for kind, kernels in inspection.kernels().items()},
        },
        "selectivity": {
            "stimuli": _stimuli(inspection),
            "points": {point: _point(found, card) for point, found in inspection.selectivity.items()},
        },
    }


def _stimuli(inspection: Inspection) -> dict[str, Any]:
    stimuli = Stimuli(inspection.card, (1, 1))
    return {
        "background": list(stimuli.background),
        "amplitude": stimuli.amplitude,
        "rms_contrast": stimuli.rms_contrast,
        "orientations_deg": list(ORIENTATIONS),
        "frequencies_cpp": list(FREQUENCIES),
        "phases": PHASES,
        "draws": len(next(iter(inspection.selectivity.values())).noise),
        "seed": inspection.seed,
    }


def _point(found: Selectivity, card: Card) -> dict[str, Any]:
    indices = {}
    for name in INDICES:
        noise = found.noise_interval(name) if found.mean_index(name).n else Estimate(None, None, None, 0)
        indices[name] = {**found.mean_index(name)._asdict(), "noise_low": noise.low, "noise_high": noise.high}
    return {
        "silent": int(found.silent.sum()),
        "indices": indices,
        "filters": list(each_filter(found, card.in_channels)),
    }


def _peaks(kernels: Tensor) -> Iterator[dict[str, Any]]:
    for number, spectrum in enumerate(spectra(kernels)):
        found = peak(spectrum)
        yield {"filter": number, "frequency_cpp": found.frequency, "orientation_deg": found.orientation}


def _shown(layer: FirstLayer, filters: Sequence[int] | None) -> tuple[int, ...]:
    if filters is None:
        spread = layer.push_kernels().flatten(1).std(1, correction=0)
        return tuple(sorted(torch.topk(spread, min(SHOWN, len(spread))).indices.tolist()))
    for number in filters:
        if not 0 <= number < layer.filters:
            raise UsageError(
                f"--filters {number} is not allowed",
                f"The layer has {layer.filters} filters, numbered from 0 to {layer.filters - 1}.",
            )
    return tuple(filters)
