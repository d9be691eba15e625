"""The numbers of an inspection as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ppbench.metrics.intervals import Interval
from ppbench.tables.numbers import margin
from ppbench.tables.rows import csv_of_rows
from ppbench.tables.sheet import MISSING, Line, Sheet

POINT_NAMES = {"push": "push alone", "layer": "layer", "norm": "after batch norm"}

INDEX_HEADS = ("against noise", "against anti-phase", "grating in noise")
"""Of `ppbench.inspection.selectivity.INDICES`."""

CSV_COLUMNS = (
    "model", "point", "filter", "noise", "antiphase", "grating_in_noise", "orientation_selectivity",
    "preferred_colour", "preferred_orientation_deg", "preferred_frequency_cpp", "preferred_phase_deg", "inhibition",
    "spectrum_frequency_cpp", "spectrum_orientation_deg",
)  # fmt: skip
"""One row per filter and point; docs/inspect.md explains."""


def sheets(numbers: dict[str, Any]) -> list[Sheet]:
    """Tables of what `ppbench.inspection.api.numbers` gives: selectivity, differences, responses to images."""
    found = [_selectivity(numbers)]
    if numbers["differences"]:
        found.append(_differences(numbers))
    if numbers["images"]:
        found.append(_images(numbers))
    return found


def to_csv(numbers: dict[str, Any]) -> str:
    """The numbers of every filter, of both networks if there are two."""
    networks = [network for network in (numbers, numbers["against"]) if network]
    return csv_of_rows(CSV_COLUMNS, (row for network in networks for row in _rows(network)))


def describe(network: dict[str, Any]) -> str:
    """The layer in one line: ``conv1, PushPullConv2d: 16 filters of 3x3, 3x3 mean, inhibition fixed at 1``."""
    layer = network["layer"]
    height, width = layer["kernel_size"]
    parts = [f"{layer['filters']} filters of {height}x{width}"]
    if layer["mean_filter"]:
        parts.append(f"{layer['mean_filter']}x{layer['mean_filter']} mean")
    if layer["inhibition"]:
        values = layer["inhibition"]["values"]
        trained = f"trained, {min(values):.2f} to {max(values):.2f}"
        parts.append(f"inhibition {trained if layer['inhibition']['trained'] else f'fixed at {values[0]:g}'}")
    return f"{layer['name']}, {layer['kind']}: {', '.join(parts)}"


def _selectivity(numbers: dict[str, Any]) -> Sheet:
    networks = [network for network in (numbers, numbers["against"]) if network]
    stimuli = numbers["selectivity"]["stimuli"]
    lines = []
    for network in networks:
        lines.append(Line((network["model"],), "group"))
        for point, found in network["selectivity"]["points"].items():
            indices = found["indices"]
            filters = network["layer"]["filters"]
            lines.append(
                Line(
                    (
                        f"  {POINT_NAMES[point]}",
                        f"{filters - found['silent']}/{filters}",
                        *(_interval(indices[name]) for name in ("noise", "antiphase", "grating_in_noise")),
                    )
                )
            )
    notes = (
        *(f"{network['model']}: {describe(network)}." for network in networks),
        *(f"{network['model']}: {network['conversion']}." for network in networks if network["conversion"]),
        "(R - R') / (R + R'), mean over the filters that respond, ± its 95 % interval over filters.",
        f"Gratings and noise have an RMS contrast of {stimuli['rms_contrast']:.3f} (pixels in [0, 1]); "
        f"{stimuli['draws']} draws of noise, seed {stimuli['seed']}.",
        "Against anti-phase, push alone and layer are 1 by construction if the background is the network's mean.",
    )
    header = ("point", "respond", *INDEX_HEADS)
    return Sheet("Stimulus selectivity index of the first layer", header, tuple(lines), (0,), notes)


def _differences(numbers: dict[str, Any]) -> Sheet:
    rows: dict[tuple[str, str, bool], list[str]] = {}
    for d in numbers["differences"]:
        name = f"{POINT_NAMES[d['point']]} - {POINT_NAMES[d['minus']['point']]}"
        minus = "" if d["paired"] else f" of {d['minus']['model']}"
        rows.setdefault((name + minus, d["minus"]["model"], d["paired"]), []).append(_interval(d, "+.3f"))
    lines = tuple(Line((name, *cells)) for (name, _, _), cells in rows.items())
    notes = ("95 % intervals over filters: paired t within a network, whose filters are the same, else Welch's.",)
    return Sheet(f"Differences, {numbers['model']}", ("difference", *INDEX_HEADS), lines, (0,), notes)


def _images(numbers: dict[str, Any]) -> Sheet:
    names = list(numbers["images"][0]["change"])
    lines = tuple(
        Line(
            (
                image["name"],
                f"{image['corruption']} {image['severity']}",
                *(
                    MISSING if image["change"][name] is None else f"{100 * image['change'][name]:.1f} %"
                    for name in names
                ),
            )
        )
        for image in numbers["images"]
    )
    notes = ("|corrupted - clean| / |clean|, Euclidean norms over all filters and places.",)
    return Sheet("How far corruption moves the responses", ("image", "corruption", *names), lines, (0, 1), notes)


def _interval(estimate: dict[str, Any], form: str = ".3f") -> str:
    if estimate["value"] is None:
        return MISSING
    if estimate["low"] is None:
        return f"{estimate['value']:{form}}"
    interval = Interval(estimate["value"], estimate["low"], estimate["high"])
    return f"{estimate['value']:{form}} {margin(interval, 3)}"


def _rows(network: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    strengths = (network["layer"]["inhibition"] or {}).get("values")
    for point, found in network["selectivity"]["points"].items():
        for one in found["filters"]:
            number, preferred = one["filter"], one["preferred"] or {}
            yield (
                network["model"],
                point,
                number,
                *(one["index"][name] for name in ("noise", "antiphase", "grating_in_noise")),
                one["orientation_selectivity"],
                *(preferred.get(name) for name in ("colour", "orientation_deg", "frequency_cpp", "phase_deg")),
                strengths[number] if strengths else None,
                network["spectra"]["push"][number]["frequency_cpp"],
                network["spectra"]["push"][number]["orientation_deg"],
            )
