"""Severity curves, reliability diagrams and scatter plots for papers; see `ppbench.figures.paper`."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes

from ppbench.figures.colours import LINE_STYLES, ink
from ppbench.figures.content import Curve, CurvePanel, SeverityCurves, severity_name
from ppbench.figures.labels import label_sides
from ppbench.figures.markup import shortened
from ppbench.figures.paper import (
    REFERENCE_LINE,
    PaperFigure,
    add_legend,
    add_title,
    blank_figure,
    line_of,
    mark_of,
    shown_name,
    without_frame,
)
from ppbench.figures.reliability import FEW_IMAGES, Reliability, ReliabilityPanel
from ppbench.figures.scales import ticks
from ppbench.figures.scatter import Scatter, point_style
from ppbench.tables.numbers import decimals, percent
from ppbench.tables.sheet import NOT_AVAILABLE

_PANEL = 1.13
"""Width of a panel in inches, at most."""


def draw_curves(content: SeverityCurves, width: float) -> PaperFigure:
    """Draw severity curves: a panel for the mean and one for each corruption.

    Args:
        content: What to draw.
        width: Width of the figure in inches.
    """
    columns = min(len(content.panels), max(3, int(width / _PANEL)))
    rows = -(-len(content.panels) // columns)
    names = [*content.runs, *content.references]
    across = 1 if width < 5 or max(map(len, names)) > 40 else 3
    figure = blank_figure(width, 0.78 * rows + 0.3 + 0.13 * -(-len(names) // across))
    all_axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, panel in zip(all_axes.flat, content.panels, strict=False):
        _draw_panel(axes, content, panel)
    for place, axes in enumerate(all_axes.flat):
        if place >= len(content.panels):
            axes.axis("off")
        elif place + columns >= len(content.panels):
            axes.tick_params(axis="x", labelbottom=True)
    looks = [line_of(number) for number in range(len(content.runs))] + [REFERENCE_LINE] * len(content.references)
    add_legend(figure, [shortened(name, 58) for name in names], looks, across)
    band = f"; bands: {percent(content.confidence)} intervals" if content.confidence else ""
    clean = " (0: clean)" if 0 in content.severities else ""
    figure.supxlabel(f"{content.words.level}{clean}{band}", fontsize=6.5)
    figure.supylabel(f"{content.words.of_cell}, %", fontsize=6.5)
    return figure


def _draw_panel(axes: Axes, content: SeverityCurves, panel: CurvePanel) -> None:
    references = len(panel.curves) - len(content.runs)
    for number, curve in enumerate(panel.curves, -references):
        _draw_curve(axes, content, curve, number)
    axes.set_title(shortened(panel.name or "mean", 20), fontsize=6, fontweight="normal" if panel.name else "bold")
    axes.set(xticks=content.severities, yticks=ticks(0, content.top, 2), ylim=(0, content.top))
    axes.grid(axis="y")


def _draw_curve(axes: Axes, content: SeverityCurves, curve: Curve, number: int) -> None:
    # A number that is missing breaks the line; a line over the gap would show what was not measured.
    missing = float("nan")
    metrics = [curve.errors.get(severity) for severity in content.severities]
    values = [missing if metric is None or metric.value is None else metric.value for metric in metrics]
    if not curve.is_reference:
        intervals = [metric.interval if metric else None for metric in metrics]
        low = [missing if interval is None else interval.low for interval in intervals]
        high = [missing if interval is None else interval.high for interval in intervals]
        axes.fill_between(content.severities, low, high, color=LINE_STYLES[number].light, alpha=0.18, linewidth=0)
    look = REFERENCE_LINE if curve.is_reference else line_of(number)
    axes.plot(content.severities, values, clip_on=False, **look)


def draw_reliability(content: Reliability, width: float) -> PaperFigure:
    """Draw reliability diagrams, with the number of images of each bin below.

    Args:
        content: What to draw.
        width: Width of the figure in inches.
    """
    columns = min(len(content.panels), 3 if width < 5 else 6)
    rows = -(-len(content.panels) // columns)
    figure = blank_figure(width, rows * (width / columns * 1.1 + 0.2) + 0.3)
    grid = figure.subplots(2 * rows, columns, squeeze=False, sharex=True, height_ratios=[4, 1] * rows)
    for place in range(rows * columns):
        row, column = divmod(place, columns)
        upper, lower = grid[2 * row, column], grid[2 * row + 1, column]
        if place < len(content.panels):
            _draw_reliability(upper, lower, content.panels[place], is_first=column == 0)
        else:
            upper.axis("off")
            lower.axis("off")
    add_title(figure, ("Confidence and accuracy", content.run))
    figure.supxlabel(f"confidence, %; bars below: images; faded: fewer than {FEW_IMAGES} images", fontsize=6.5)
    return figure


def _draw_reliability(upper: Axes, lower: Axes, panel: ReliabilityPanel, *, is_first: bool) -> None:
    name = f"s{panel.severity}" if panel.severity else severity_name(0)
    error = NOT_AVAILABLE if panel.error.value is None else f"{decimals(panel.error.value, 1)} %"
    upper.set_title(f"{name}: ECE {error}", fontsize=6)
    for one in panel.bins:
        if one.accuracy.value is None:
            continue
        x, wide = 100 * one.low, 100 * (one.high - one.low)
        look: dict[str, Any] = {"alpha": 0.2 if one.is_faded else 0.75, "edgecolor": "white"}
        upper.bar(x, one.accuracy.value, wide, align="edge", color=LINE_STYLES[0].light, **look)
        lower.bar(x, one.n, wide, align="edge", color=ink("grid"), edgecolor=ink("axis"), linewidth=0.3)
        if one.accuracy.interval is not None:
            ends = [one.accuracy.interval.low, one.accuracy.interval.high]
            upper.plot([x + wide / 2] * 2, ends, color=ink("ink"), linewidth=0.6)
    upper.plot([0, 100], [0, 100], color=ink("axis"), linewidth=0.8)
    upper.set(xlim=(0, 100), ylim=(0, 100), xticks=[0, 50, 100], yticks=[0, 50, 100])
    upper.tick_params(labelbottom=False, labelleft=is_first)
    lower.tick_params(labelbottom=True)
    lower.set_yticks([])
    first, _, last = lower.get_xticklabels()
    first.set_horizontalalignment("left")  # so that the numbers of neighbours stay apart
    last.set_horizontalalignment("right")
    lower.invert_yaxis()
    without_frame(lower)
    if is_first:
        upper.set_ylabel("accuracy, %", fontsize=6)


def draw_scatter(content: Scatter, width: float) -> PaperFigure:
    """Draw a scatter plot. Runs without a place are in the legend, with n/a.

    Args:
        content: What to draw.
        width: Width of the figure in inches.
    """
    across = 1 if width < 5 else 2
    count = len(content.runs) + bool(content.published)
    figure = blank_figure(width, 0.75 * width if width < 5 else 0.55 * width)
    # A letter of this size is about .045 inches wide.
    in_full = wrap(content.axes_in_full, int(width / 0.045) - 3)
    height = figure.get_figheight() + 0.13 * -(-count // across) + 0.09 * len(in_full)
    figure.set_figheight(height)
    axes = figure.subplots()
    axes.set(xlim=_ends(content.x_ticks), ylim=_ends(content.y_ticks))
    axes.set_xticks(content.x_ticks)
    axes.set_yticks(content.y_ticks)
    axes.grid()
    _draw_published(axes, content, (width, height))
    names, looks = [], []
    for number, point in enumerate(content.runs):
        look = mark_of(*point_style(number))
        names.append(shortened(point.name, 50) + ("" if point.has_values else f" ({NOT_AVAILABLE})"))
        looks.append(look)
        if point.x.value is None or point.y.value is None:
            continue
        for metric, fixed, is_across in ((point.x, point.y.value, True), (point.y, point.x.value, False)):
            if metric.interval is not None:
                ends, other = [metric.interval.low, metric.interval.high], [fixed, fixed]
                axes.plot(*((ends, other) if is_across else (other, ends)), color=look["color"], linewidth=0.8)
        axes.plot([point.x.value], [point.y.value], markersize=4, **look)
    if content.published:
        names.append("published results")
        looks.append({**REFERENCE_LINE, "linestyle": "none"})
    add_legend(figure, names, looks, across)
    intervals = f"; lines: {percent(content.confidence)} intervals" if content.confidence else ""
    axes.set_xlabel(f"{content.x_name}{intervals}")
    axes.set_ylabel(content.y_name)
    figure.supxlabel("\n".join(map(shown_name, in_full)), fontsize=5.5)
    return figure


def _ends(marks: list[float]) -> tuple[float, float]:
    return marks[0], marks[-1]


def _draw_published(axes: Axes, content: Scatter, size: tuple[float, float]) -> None:
    """Grey points with their names, where these have room."""
    points = [(p.x.value or 0.0, p.y.value or 0.0) for p in content.published]
    runs = [(p.x.value, p.y.value) for p in content.runs if p.x.value is not None and p.y.value is not None]
    (left, right), (bottom, top) = _ends(content.x_ticks), _ends(content.y_ticks)
    # Inches: a letter of this size is about .055 wide, and the axes have about six sevenths of the figure.
    scale = (0.86 * size[0] / (right - left), 0.78 * size[1] / (top - bottom))

    def inches(place: tuple[float, float]) -> tuple[float, float]:
        return (place[0] - left) * scale[0], (place[1] - bottom) * scale[1]

    widths = [0.055 * len(shortened(p.name, 24)) + 0.08 for p in content.published]
    sides = label_sides(list(map(inches, points)), widths, 0.1, (0, 0.86 * size[0]), list(map(inches, runs)))
    for place, point, side in zip(points, content.published, sides, strict=True):
        look: dict[str, Any] = {**REFERENCE_LINE, "linestyle": "none", "markersize": 3.5}
        axes.plot(*([value] for value in place), **look)
        if side is not None:
            shift, align = (4, "left") if side == "right" else (-4, "right")
            axes.annotate(
                shortened(point.name, 24), place, (shift, 0), textcoords="offset points",
                ha=align, va="center", fontsize=5.5, color=ink("faint"),
            )  # fmt: skip
