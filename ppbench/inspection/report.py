"""The report of an inspection: tables, ``numbers.json``, and a CSV row per filter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ppbench.inspection.api import Inspection, differences
from ppbench.inspection.selectivity import INDICES, POINT_NAMES, Selectivity
from ppbench.inspection.spectra import SIZE, Peak, peak, spectra
from ppbench.inspection.statistics import Mean
from ppbench.inspection.stimuli import FREQUENCIES, ORIENTATIONS, PHASES, Stimuli
from ppbench.metrics.intervals import Interval
from ppbench.run import conversion
from ppbench.tables.numbers import margin
from ppbench.tables.report import Rows
from ppbench.tables.sheet import MISSING, Line, Sheet

_DIGITS = 6
"""Significant digits of written numbers, more than float32 responses are accurate to."""

_INDEX_HEADS = ("against noise", "against anti-phase", "grating in noise")
"""Headings of the columns of `INDICES`."""

_COLUMNS = (
    "model", "point", "filter", *INDICES, "orientation_selectivity",
    "preferred_colour", "preferred_orientation_deg", "preferred_frequency_cpp", "preferred_phase_deg", "inhibition",
    "spectrum_frequency_cpp", "spectrum_orientation_deg",
)  # fmt: skip
"""One row per filter and point; docs/inspect.md explains."""


@dataclass(frozen=True)
class InspectionReport:
    """An inspection, and the inspection of another network that it is compared with."""

    inspection: Inspection
    against: Inspection | None = None

    @property
    def networks(self) -> tuple[Inspection, ...]:
        """The one or two inspections."""
        return (self.inspection,) if self.against is None else (self.inspection, self.against)

    def sheets(self) -> list[Sheet]:
        """Tables of selectivity, of differences and of the responses to images."""
        return [self._selectivity(), *self._differences(), *self._images()]

    def as_dict(self) -> dict[str, Any]:
        """All numbers, as docs/inspect.md describes them; not a number is None."""
        images = [
            {
                "name": image.name,
                "corruption": image.corruption,
                "severity": image.severity,
                "recipe": image.recipe,
                "change": image.change(),
            }
            for image in self.inspection.images
        ]
        changes = [
            {
                "index": d.index,
                "point": d.point,
                "minus": {"model": d.minus_model, "point": d.minus_point},
                "paired": d.paired,
                **d.mean._asdict(),
            }
            for d in differences(self.inspection, self.against)
        ]
        against = None if self.against is None else _network(self.against)
        return _rounded({**_network(self.inspection), "images": images, "against": against, "differences": changes})

    def rows(self) -> Rows:
        """One row per network, point and filter."""
        return Rows(_COLUMNS, self._rows())

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for network in self.networks:
            strength, found = network.layer.inhibition, _peaks(network.kernels()["push"])
            for point, selectivity in network.selectivity.items():
                indices = [selectivity.index(name) for name in INDICES]
                for number, silent in enumerate(selectivity.silent):
                    row = (
                        *(_finite(values[number]) for values in indices),
                        _finite(selectivity.orientation_selectivity[number]),
                        *((None,) * 4 if silent else selectivity.gratings[number]),
                        None if strength is None else float(strength[number]),
                        *found[number],
                    )
                    yield network.name, point, number, *map(_rounded, row)

    def _selectivity(self) -> Sheet:
        lines = []
        for network in self.networks:
            lines.append(Line((network.name,), "group"))
            for point, found in network.selectivity.items():
                responding = f"{len(found.silent) - int(found.silent.sum())}/{len(found.silent)}"
                means = (_with_interval(found.mean_index(name)) for name in INDICES)
                lines.append(Line((f"  {POINT_NAMES[point]}", responding, *means)))
        conversions = ((network.name, conversion(network.card.model_dump())) for network in self.networks)
        contrast = Stimuli(self.inspection.card, (1, 1)).rms_contrast
        notes = (
            *(f"{network.name}: {_layer_in_words(network)}." for network in self.networks),
            *(f"{name}: {words}." for name, words in conversions if words),
            "(R - R') / (R + R'), mean over the filters that respond, ± its 95 % interval over filters.",
            f"Gratings and noise have an RMS contrast of {_rounded(contrast):.3f} (pixels in [0, 1]); "
            f"{_draws(self.inspection)} draws of noise, seed {self.inspection.seed}.",
            "Against anti-phase, push alone and layer are 1 by construction if the background is the network's mean.",
        )
        header = ("point", "respond", *_INDEX_HEADS)
        return Sheet("Stimulus selectivity index of the first layer", header, tuple(lines), (0,), notes)

    def _differences(self) -> Iterator[Sheet]:
        rows: dict[tuple[str, str, bool], list[str]] = {}
        for d in differences(self.inspection, self.against):
            name = f"{POINT_NAMES[d.point]} - {POINT_NAMES[d.minus_point]}"
            minus = "" if d.paired else f" of {d.minus_model}"
            rows.setdefault((name + minus, d.minus_model, d.paired), []).append(_with_interval(d.mean, "+.3f"))
        lines = tuple(Line((name, *cells)) for (name, _, _), cells in rows.items())
        notes = ("95 % intervals over filters: paired t within a network, whose filters are the same, else Welch's.",)
        if lines:
            title = f"Differences, {self.inspection.name}"
            yield Sheet(title, ("difference", *_INDEX_HEADS), lines, (0,), notes)

    def _images(self) -> Iterator[Sheet]:
        changes = [image.change() for image in self.inspection.images]
        lines = tuple(
            Line(
                (
                    image.name,
                    f"{image.corruption} {image.severity}",
                    *(MISSING if part is None else f"{100 * _rounded(part):.1f} %" for part in change.values()),
                )
            )
            for image, change in zip(self.inspection.images, changes, strict=True)
        )
        notes = ("|corrupted - clean| / |clean|, Euclidean norms over all filters and places.",)
        if lines:
            header = ("image", "corruption", *changes[0])
            yield Sheet("How far corruption moves the responses", header, lines, (0, 1), notes)


def _network(inspection: Inspection) -> dict[str, Any]:
    layer, strength = inspection.layer, inspection.layer.inhibition
    stimuli = Stimuli(inspection.card, (1, 1))
    return {
        "model": inspection.name,
        "conversion": conversion(inspection.card.model_dump()),
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
            **{
                kind: [
                    {"filter": number, "frequency_cpp": found.frequency, "orientation_deg": found.orientation}
                    for number, found in enumerate(_peaks(kernels))
                ]
                for kind, kernels in inspection.kernels().items()
            },
        },
        "selectivity": {
            "stimuli": {
                "background": list(stimuli.background),
                "amplitude": stimuli.amplitude,
                "rms_contrast": stimuli.rms_contrast,
                "orientations_deg": list(ORIENTATIONS),
                "frequencies_cpp": list(FREQUENCIES),
                "phases": PHASES,
                "draws": _draws(inspection),
                "seed": inspection.seed,
            },
            "points": {point: _point(found) for point, found in inspection.selectivity.items()},
        },
    }


def _point(found: Selectivity) -> dict[str, Any]:
    indices = {}
    for name in INDICES:
        noise = found.noise_interval(name)
        indices[name] = {**found.mean_index(name)._asdict(), "noise_low": noise.low, "noise_high": noise.high}
    return {"silent": int(found.silent.sum()), "indices": indices, "filters": list(_filters(found))}


def _filters(found: Selectivity) -> Iterator[dict[str, Any]]:
    indices = {name: found.index(name) for name in INDICES}
    tuned = found.orientation_selectivity
    for number, silent in enumerate(found.silent):
        yield {
            "filter": number,
            "preferred": None if silent else found.gratings[number]._asdict(),
            "response": {
                "background": float(found.background[number]),
                "preferred": float(found.preferred[number]),
                "antiphase": float(found.antiphase[number]),
                "noise": float(found.noise[:, number].mean()),
                "grating_in_noise": float(found.grating_in_noise[:, number].mean()),
            },
            "index": {name: _finite(values[number]) for name, values in indices.items()},
            "orientation_selectivity": _finite(tuned[number]),
            "tuning": found.tuning[number].tolist(),
        }


def _draws(inspection: Inspection) -> int:
    return len(next(iter(inspection.selectivity.values())).noise)


def _peaks(kernels: Tensor) -> list[Peak]:
    return [peak(spectrum) for spectrum in spectra(kernels)]


def _layer_in_words(inspection: Inspection) -> str:
    """``conv1, PushPullConv2d: 16 filters of 3x3, 3x3 mean, inhibition fixed at 1``."""
    layer, strength = inspection.layer, inspection.layer.inhibition
    height, width = layer.push_kernels().shape[2:]
    parts = [f"{layer.filters} filters of {height}x{width}"]
    if layer.mean_filter:
        parts.append(f"{layer.mean_filter}x{layer.mean_filter} mean")
    if strength is not None:
        values = _rounded(strength.tolist())
        trained = f"trained, {min(values):.2f} to {max(values):.2f}"
        parts.append(f"inhibition {trained if layer.inhibition_is_trained else f'fixed at {values[0]:g}'}")
    return f"{layer.name}, {type(layer.module).__name__}: {', '.join(parts)}"


def _with_interval(mean: Mean, form: str = ".3f") -> str:
    value, low, high = _rounded(list(mean[:3]))
    if value is None:
        return MISSING
    return f"{value:{form}}" if low is None else f"{value:{form}} {margin(Interval(value, low, high), 3)}"


def _finite(value: float | np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None


def _rounded(value: Any) -> Any:
    """The value with all its numbers rounded to `_DIGITS` digits. Tables, too, are made from rounded numbers."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
