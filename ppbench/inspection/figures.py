"""The pictures of an inspection. Needs matplotlib."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from ppbench.inspection.api import Inspection
from ppbench.inspection.images import ImageResponses
from ppbench.inspection.selectivity import INDICES, Selectivity
from ppbench.inspection.spectra import SIZE, peak, spectra
from ppbench.inspection.statistics import mean_over_filters
from ppbench.inspection.stimuli import FREQUENCIES, ORIENTATIONS
from ppbench.inspection.style import (
    ACROSS,
    BLUE,
    FAINT,
    GREEN,
    INK,
    MAGNITUDE,
    ORANGE,
    SIGNED,
    draw_tiles,
    house_style,
    new_figure,
    sideways,
    tile_height,
    write,
)

INDEX_NAMES = {
    "noise": "grating against\nnoise",
    "antiphase": "against\nanti-phase",
    "grating_in_noise": "grating + noise\nagainst noise",
}


def figure_files(inspection: Inspection, against: Inspection | None = None, form: str = "png") -> dict[str, bytes]:
    """Return the `figures` as bytes of ``png`` or ``svg`` files, by file name without its ending."""
    return {name: write(figure, form) for name, figure in figures(inspection, against).items()}


def figures(inspection: Inspection, against: Inspection | None = None) -> dict[str, Figure]:
    """Draw all pictures.

    Returns:
        By name: ``kernels``, ``spectra``, ``tuning`` and ``selectivity``; ``responses-1`` and so on for each image; and
        ``strengths`` if inhibition was trained.
    """
    with house_style():
        found = {
            "kernels": kernels(inspection),
            **{f"responses-{n}": responses(inspection, image) for n, image in enumerate(inspection.images, 1)},
            "spectra": kernel_spectra(inspection),
            "tuning": tuning(inspection),
            "selectivity": selectivity(inspection, against),
        }
        if inspection.layer.inhibition_is_trained:
            found["strengths"] = strengths(inspection)
    return found


def kernels(inspection: Inspection) -> Figure:
    """Push and pull kernels side by side, on one scale symmetric about zero. Kernels of three channels are colours."""
    parts = inspection.kernels()
    limit = max(float(kernel.abs().max()) for kernel in parts.values()) or 1.0
    groups = [[_kernel_tile(kernel, limit) for kernel in pair] for pair in zip(*parts.values(), strict=True)]
    in_colour = groups[0][0].ndim == 3
    how: dict[str, Any] = {} if in_colour else {"cmap": SIGNED, "vmin": -limit, "vmax": limit}
    tiles = _tiles(groups, **how)
    pairs = "Push (left) and pull (right) kernel" if len(parts) == 2 else "Kernel"
    scale = f"; mid grey is 0, the range ±{limit:.2g}" if in_colour else ""
    tiles.axes.set_title(f"{pairs} of each filter of {inspection.name}{scale}")
    if not in_colour:
        _colour_bar(tiles.figure, tiles.axes, tiles.image, "weight")
    return tiles.figure


def responses(inspection: Inspection, picture: ImageResponses) -> Figure:
    """Push, pull and output of the chosen filters for an image, clean and corrupted, on one scale."""
    names = ("push", "pull", "output") if picture.responses.pull is not None else ("output",)
    chosen = list(inspection.filters)
    values = {name: getattr(picture.responses, name)[:, chosen].numpy() for name in names}
    # Not the maximum: a few extreme values would make all others pale.
    limit = float(np.quantile(np.abs(np.concatenate([v.ravel() for v in values.values()])), 0.998)) or 1.0
    kinds = [(label, which, name) for which, label in enumerate(("clean", "corrupted")) for name in names]
    figure = new_figure(ACROSS, 0.55 + 0.9 * ACROSS * (len(kinds) + 0.4) / (len(chosen) + len(kinds) / 2 * 0.9 + 0.9))
    grid = figure.add_gridspec(1, 2, width_ratios=(len(names), len(chosen) + 0.6))
    _draw_images(figure, grid[0], picture)
    axes = figure.add_subplot(grid[1])
    image = None
    for row, (_, which, name) in enumerate(kinds):
        top = row * 1.06 + 0.12 * which
        for column in range(len(chosen)):
            extent = (column * 1.06, column * 1.06 + 1, top + 1, top)
            image = axes.imshow(
                values[name][which, column], extent=extent, cmap=SIGNED, vmin=-limit, vmax=limit,
                interpolation="nearest",
            )  # fmt: skip
        axes.text(-0.08, top + 0.5, name, rotation=90, ha="right", va="center", fontsize=7)
    for column, number in enumerate(chosen):
        axes.text(column * 1.06 + 0.5, -0.06, f"filter {number}", ha="center", va="bottom", fontsize=7, color=FAINT)
    axes.set(xlim=(-0.35, len(chosen) * 1.06), ylim=(len(kinds) * 1.06 + 0.14, -0.3), aspect="equal")
    axes.axis("off")
    _colour_bar(figure, axes, image, "response (input normalised to unit variance)")
    figure.suptitle(f"Responses of the first layer of {inspection.name}", x=0.01, ha="left", fontsize=9)
    return figure


def strengths(inspection: Inspection) -> Figure:
    """Histogram of the trained strengths of inhibition."""
    strength = inspection.layer.inhibition
    assert strength is not None
    values = strength.double().numpy()
    figure = new_figure(ACROSS / 2, 2.4)
    axes = figure.add_subplot()
    axes.hist(values, bins=min(20, max(5, math.isqrt(len(values)) * 2)), color=BLUE, edgecolor="white", linewidth=0.5)
    axes.axvline(values.mean(), color=ORANGE, linewidth=1)
    axes.text(values.mean(), 1.0, f" mean {values.mean():.2f}", color=ORANGE, transform=axes.get_xaxis_transform(),
              va="top", fontsize=7)  # fmt: skip
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trained strength of inhibition", ylabel=f"filters (of {len(values)})", title=inspection.name)
    return figure


def kernel_spectra(inspection: Inspection) -> Figure:
    """Magnitude spectra of push and pull kernels, each pair relative to its greatest value, with peaks marked."""
    parts = {kind: spectra(kernel) for kind, kernel in inspection.kernels().items()}
    pairs = list(zip(*parts.values(), strict=True))
    groups = [[(s / (float(max(t.max() for t in pair)) or 1.0)).numpy() for s in pair] for pair in pairs]
    tiles = _tiles(groups, cmap=MAGNITUDE, vmin=0, vmax=1)
    for (left, top), spectrum in zip(tiles.corners, (s for pair in pairs for s in pair), strict=True):
        for down, across in _peak_places(spectrum):
            ring = Circle((left + across, top + down), 0.05, fill=False, edgecolor="white", linewidth=0.9)
            tiles.axes.add_patch(ring)
    which = "push (left) and pull (right) kernel" if len(parts) == 2 else "kernel"
    tiles.axes.set_title(
        f"Spectra of each {which} of {inspection.name}\n"
        "-0.5 to 0.5 cycles per pixel along both axes, 0 in the middle; rings: peaks"
    )
    _colour_bar(tiles.figure, tiles.axes, tiles.image, "magnitude, relative to the filter's greatest")
    return tiles.figure


def tuning(inspection: Inspection) -> Figure:
    """Response of each filter to gratings of every frequency and orientation, relative to the preferred grating."""
    points = [point for point in ("push", "layer") if point in inspection.selectivity]
    maps = [inspection.selectivity[point] for point in points]
    groups = [
        [
            found.tuning[n] / found.preferred[n] if not found.silent[n] else np.zeros_like(found.tuning[n])
            for found in maps
        ]
        for n in range(inspection.layer.filters)
    ]
    tiles = _tiles(groups, cmap=MAGNITUDE, vmin=0, vmax=1)
    which = "push alone (left), push-pull (right)" if len(points) == 2 else "one map a filter"
    tiles.axes.set_title(
        f"Tuning of {inspection.name}: {which}\n"
        f"across: frequency {FREQUENCIES[0]} to {FREQUENCIES[-1]} cycles per pixel; "
        f"down: orientation of the bars {ORIENTATIONS[0]}° to {ORIENTATIONS[-1]}°"
    )
    _colour_bar(tiles.figure, tiles.axes, tiles.image, "response, relative to the preferred grating's")
    return tiles.figure


class Series(NamedTuple):
    """One set of filters in the figure of selectivity."""

    label: str
    colour: str
    found: dict[str, Selectivity]
    point: str


def selectivity(inspection: Inspection, against: Inspection | None = None) -> Figure:
    """Mean tuning curves and the selectivity index of every filter, with means and 95 % intervals over filters."""
    series = _series(inspection, against)
    figure = new_figure(ACROSS, 5.2)
    (top_left, top_right), (low_left, low_right) = figure.subplots(2, 2)
    middle = len(ORIENTATIONS) // 2
    angles = [angle - ORIENTATIONS[middle] for angle in (*ORIENTATIONS, 180)]
    for one in series:
        curves = one.found[one.point].aligned_orientation()
        _curve(top_left, angles, np.concatenate((curves, curves[:, :1]), axis=1), one)  # 90 degrees are -90 degrees
        _curve(top_right, FREQUENCIES, one.found[one.point].over_frequency(), one)
    top_left.set(title="Orientation", xlabel="orientation, from the preferred one (degrees)", ylim=(0, 1.05),
                 ylabel="response / preferred response", xticks=range(-90, 91, 45))  # fmt: skip
    top_right.set(title="Frequency", xlabel="frequency (cycles per pixel)", ylim=(0, 1.05))
    top_left.legend(loc="lower left")
    _dots(low_left, [(one, one.point) for one in series])
    low_left.set(title="Selectivity of the layer", ylabel="selectivity index")
    normed = [(one, "norm") for one in series if one.point == "layer" and "norm" in one.found]
    if normed:
        _dots(low_right, normed)
        low_right.set_title("Selectivity after batch norm")
    else:
        low_right.axis("off")
    return figure


def _series(inspection: Inspection, against: Inspection | None) -> list[Series]:
    found = inspection.selectivity
    result = [Series(inspection.name, ORANGE, found, "layer")]
    if "push" in found:
        result.insert(0, Series(f"{inspection.name}, push alone", GREEN, found, "push"))
    if against is not None:
        result.insert(0, Series(against.name, BLUE, against.selectivity, "layer"))
    return result


def _curve(axes: Axes, places: Any, curves: NDArray[np.float64], series: Series) -> None:
    estimates = [mean_over_filters(column) for column in curves.T]
    mean, low, high = (np.array([getattr(e, end) for e in estimates], float) for end in ("value", "low", "high"))
    axes.plot(places, mean, color=series.colour, linewidth=1.3, marker="o", markersize=2.5, label=series.label)
    axes.fill_between(places, low, high, color=series.colour, alpha=0.15, linewidth=0)


def _dots(axes: Axes, columns: list[tuple[Series, str]]) -> None:
    """A dot per filter, and beside the dots the mean with its interval."""
    width = 0.8 / len(columns)
    for place, index in enumerate(INDICES):
        for number, (series, point) in enumerate(columns):
            centre = place + (number - (len(columns) - 1) / 2) * width
            found = series.found[point]
            values = found.index(index)
            values = values[np.isfinite(values)]
            places = centre + sideways(values, 0.55 * width)
            axes.plot(places, values, "o", color=series.colour, alpha=0.4, markersize=2.6, markeredgewidth=0)
            mean = found.mean_index(index)
            if mean.value is not None and mean.low is not None and mean.high is not None:
                ends = [[mean.value - mean.low], [mean.high - mean.value]]
                axes.errorbar(centre, mean.value, ends, fmt="D", color=INK, markerfacecolor=series.colour, markersize=4,
                              markeredgewidth=0.6, elinewidth=0.9, capsize=2)  # fmt: skip
    axes.axhline(0, color=FAINT, linewidth=0.5)
    axes.set_xticks(range(len(INDICES)), [INDEX_NAMES[index] for index in INDICES])
    axes.tick_params(axis="x", length=0)
    low = min([0.0, *(float(np.nanmin(s.found[p].index(i), initial=0)) for s, p in columns for i in INDICES)])
    axes.set(ylim=(low - 0.05, 1.05), xlim=(-0.5, len(INDICES) - 0.5))


class _Tiles(NamedTuple):
    """A figure of groups of small images, a group per filter."""

    figure: Figure
    axes: Axes
    image: AxesImage
    """One of the images, for a colour bar."""
    corners: list[tuple[float, float]]
    """Upper left corner of each tile."""


def _tiles(groups: list[list[NDArray[Any]]], **how: Any) -> _Tiles:
    members = len(groups[0])
    ideal = max(2, round(math.sqrt(len(groups) * 2.4 / members)))
    # A full last row looks best, so prefer a number of columns that divides the groups.
    columns = min(range(max(1, ideal - 2), ideal + 3), key=lambda n: (-len(groups) % n, abs(n - ideal)))
    columns = min(columns, len(groups))
    figure = new_figure(ACROSS, tile_height(len(groups), members, columns))
    axes = figure.add_subplot()
    return _Tiles(figure, axes, *draw_tiles(axes, groups, columns, **how))


def _kernel_tile(kernel: Tensor, limit: float) -> NDArray[np.float64]:
    """One channel as it is, three as colours, more as their mean."""
    values = kernel.double().numpy()
    if len(values) == 3:
        return 0.5 + values.transpose(1, 2, 0) / (2 * limit)
    return values.mean(0)


def _peak_places(spectrum: Tensor) -> list[tuple[float, float]]:
    """Where in a cell of side 1 the peak and its mirror image lie, (down, across)."""
    found = peak(spectrum)
    angle = math.radians(found.orientation or 0.0)
    down, across = found.frequency * math.cos(angle), found.frequency * math.sin(angle)
    places = {(round(sign * down, 6), round(sign * across, 6)) for sign in (1, -1)}
    middle = 0.5 + 0.5 / SIZE  # of the pixel of zero frequency
    return [(middle + d, middle + a) for d, a in sorted(places)]


def _draw_images(figure: Figure, place: Any, picture: ImageResponses) -> None:
    """The image, clean above and corrupted below."""
    kinds = (
        ("clean", picture.clean),
        (f"{picture.corruption}\nseverity {picture.severity}", picture.corrupted),
    )
    for cell, (label, pixels) in zip(place.subgridspec(2, 1), kinds, strict=True):
        axes = figure.add_subplot(cell)
        axes.imshow(pixels if pixels.shape[2] == 3 else pixels[..., 0], cmap="gray", vmin=0, vmax=255,
                    interpolation="nearest")  # fmt: skip
        axes.set_title(label.replace("_", " "), fontsize=7)
        axes.axis("off")


def _colour_bar(figure: Figure, axes: Axes, image: Any, label: str) -> None:
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=25, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize=6)
    bar.set_label(label, fontsize=7)
