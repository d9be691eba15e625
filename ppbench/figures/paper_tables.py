"""Heat maps and forest plots for papers; see `ppbench.figures.paper`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ppbench.errors import UsageError
from ppbench.figures.colours import HEAT, LINE_STYLES, MOST_LINES, SIGNED_HEAT, ink, text_on
from ppbench.figures.content import HeatMap
from ppbench.figures.forest import Forest, ForestRow
from ppbench.figures.markup import short_margin, shortened
from ppbench.figures.paper import PaperFigure, add_legend, add_title, blank_figure, line_of, without_frame
from ppbench.figures.scales import tick_text
from ppbench.metrics.metric import Metric
from ppbench.tables.numbers import decimals, percent, signed
from ppbench.tables.sheet import MISSING

_LINE = 0.115
"""Height of a line of text in inches."""
_NARROW = 5.0
"""Width in inches below which the margin is under its number and not beside it."""


def draw_heat_map(content: HeatMap, width: float) -> PaperFigure:
    """Draw a heat map.

    Args:
        content: What to draw.
        width: Width of the figure in inches.
    """
    is_narrow = width < _NARROW
    has_margins = any(cell.interval for row in content.rows for cell in row.cells if cell)
    height = _LINE * (2.0 if is_narrow and has_margins else 1.45)
    figure = blank_figure(width, height * len(content.rows) + 0.62)
    table, scale = figure.subplots(2, 1, height_ratios=[height * len(content.rows) + 0.25, 0.1])
    for place, row in enumerate(content.rows):
        for column, (cell, is_shown) in enumerate(zip(row.cells, row.shown, strict=True)):
            if cell is not None:
                _draw_cell(table, content, (column, place), cell, is_shown, is_narrow=is_narrow)
    table.set(xlim=(0, len(content.columns)), ylim=(len(content.rows), 0))
    table.set_xticks([x + 0.5 for x in range(len(content.columns))], [column.heading for column in content.columns])
    table.set_yticks([y + 0.5 for y in range(len(content.rows))], [shortened(row.name, 24) for row in content.rows])
    table.xaxis.tick_top()
    for label, row in zip(table.get_yticklabels(), content.rows, strict=True):
        label.set_fontweight("normal" if row.kind == "corruption" else "bold")
    without_frame(table)
    add_title(figure, content.lines)
    _draw_scale(scale, content)
    figure.supxlabel(_heat_note(content), fontsize=5.5)
    return figure


def _heat_note(content: HeatMap) -> str:
    """What the small numbers and the stars are."""
    margins = "".join(short_margin(cell) for row in content.rows for cell in row.cells if cell)
    notes = []
    if content.confidence is not None and margins:
        half = f"±: half of the {percent(content.confidence)} interval"
        notes.append(f"{half}; two numbers: its ends" if "[" in margins else half)
    if content.quantity == "difference":
        notes.append("colour: size; *: proof, a test finds it (Holm)")
    return "\n".join(notes)


def _draw_cell(
    axes: Axes, content: HeatMap, at: tuple[int, int], cell: Metric, is_shown: bool, *, is_narrow: bool
) -> None:
    x, y = at
    colour = "#FFFFFF"
    if cell.value is not None and content.columns[x].is_coloured:
        steps = HEAT if content.scale.centre is None else SIGNED_HEAT
        colour = steps[content.scale.step(cell.value)]
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.5))
    if cell.value is None:
        lines = [(0.5, MISSING, 6.0)]
    else:
        number = signed(cell.value) if content.quantity == "difference" else decimals(cell.value, 1)
        number += "*" if is_shown else ""
        margin = short_margin(cell)
        # Both ends of a lopsided interval need a smaller type in a narrow cell.
        ends, size = margin.strip("[]"), 4.2 if margin.startswith("[") else 4.6
        beside = [(0.5, f"{number} {margin}".strip(), 6.0)]
        lines = [(0.34, number, 6.0), (0.76, ends, size)] if is_narrow and margin else beside
    for down, words, size in lines:
        text = axes.text(x + 0.5, y + down, words, ha="center", va="center", fontsize=size, color=text_on(colour))
        text.set_in_layout(False)  # it is within its cell, and measuring hundreds of texts takes seconds


def _draw_scale(axes: Axes, content: HeatMap) -> None:
    """The colours below the table, with the values of their ends."""
    steps = HEAT if content.scale.centre is None else SIGNED_HEAT
    for place, colour in enumerate(steps):
        axes.add_patch(Rectangle((place, 0), 1, 1, facecolor=colour, edgecolor="none"))
    low, high = (f"{tick_text(end)} {content.unit}" for end in content.scale.ends)
    middle = "" if content.scale.centre is None else tick_text(content.scale.centre)
    axes.set(xlim=(0, len(steps)), ylim=(0, 1), yticks=[])
    axes.set_xticks([0, len(steps) / 2, len(steps)], [low, middle, high], fontsize=5.5)
    without_frame(axes)


def draw_forest(contents: Sequence[Forest], width: float) -> PaperFigure:
    """Draw the differences of one or more runs from one reference, each run with its own marker.

    Args:
        contents: Forests with the same reference and rows.
        width: Width of the figure in inches.

    Raises:
        UsageError: If there are more runs than markers.
    """
    if len(contents) > MOST_LINES:
        raise UsageError(f"{len(contents)} runs against one are not allowed", f"A figure can have {MOST_LINES}.")
    first, several = contents[0], len(contents) > 1
    counts = [len(section.rows) for section in first.sections]
    height = _LINE * max(1.35, 0.8 * len(contents))
    legend_lines = len(contents) if several else 0
    figure = blank_figure(width, height * sum(counts) + 0.4 * len(counts) + 0.35 + 0.13 * legend_lines)
    all_axes = figure.subplots(len(counts), 1, height_ratios=counts, squeeze=False)[:, 0]
    for place, axes in enumerate(all_axes):
        _draw_section(axes, contents, place)
    notes = _forest_notes(first, several=several)
    if several:
        notes.insert(0, shortened(f"from {first.reference}", int(width / 0.045)))
    else:
        add_title(figure, (first.other, f"against {first.reference}"))
    figure.set_figheight(figure.get_figheight() + 0.09 * (len(notes) - 1))
    figure.supxlabel("\n".join(notes), fontsize=5.5)
    if several:
        names = [content.other for content in contents]
        looks = [{**line_of(number), "linestyle": "-"} for number in range(len(contents))]
        add_legend(figure, [shortened(name, 46) for name in names], looks, 1)
    return figure


def _forest_notes(content: Forest, *, several: bool) -> list[str]:
    """Which side is better, and what the lines and marks say."""
    measured = {row.difference.metric for section in content.sections for row in section.rows}
    better = "".join(f" (of {name}: right)" for name in content.higher_is_better if name in measured)
    mark = "filled" if several else "filled and *"
    return [
        f"change in points; left of 0 is better{better}",
        f"lines: {percent(content.confidence)} intervals, each for its row alone",
        f"{mark}: a test finds it, after the correction for many tests (Holm)",
    ]


def _draw_section(axes: Axes, contents: Sequence[Forest], place: int) -> None:
    sections = [content.sections[place] for content in contents]
    rows = sections[0].rows
    several = len(contents) > 1
    for number, section in enumerate(sections):
        shift = (number - (len(sections) - 1) / 2) * 0.8 / len(sections)
        for y, row in enumerate(section.rows):
            _draw_difference(axes, row, y + shift, number if several else None)
    axes.axvline(0, color=ink("axis"), linewidth=0.7, zorder=0)
    marks = [tick for section in sections for tick in (section.ticks[0], section.ticks[-1])]
    axes.set(xlim=(min(marks), max(marks)), ylim=(len(rows) - 0.4, -0.6))
    axes.set_yticks(range(len(rows)), [shortened(row.name, 22) for row in rows])
    axes.grid(axis="x")
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("normal" if row.kind == "corruption" else "bold")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_difference(axes: Axes, row: ForestRow, y: float, number: int | None) -> None:
    """One row; with a number it has the style of its run, otherwise the colour of its verdict and its numbers."""
    metric = row.metric
    if metric.value is not None:
        colour = ink(row.verdict) if number is None else LINE_STYLES[number].light
        marker = "o" if number is None else line_of(number)["marker"]
        if metric.interval is not None:
            axes.plot([metric.interval.low, metric.interval.high], [y, y], color=colour, linewidth=1, zorder=2)
        face = colour if row.is_shown else "white"
        size = 4 if row.kind != "corruption" and number is None else 3
        look: dict[str, Any] = {"marker": marker, "color": colour, "markerfacecolor": face, "markersize": size}
        axes.plot([metric.value], [y], markeredgewidth=0.8, zorder=3, **look)
    if number is None:
        mark = "*" if row.is_shown else ""
        text = MISSING if metric.value is None else f"{signed(metric.value)} {short_margin(metric)}{mark}"
        place = axes.get_yaxis_transform()
        axes.text(1.02, y, text.strip(), transform=place, va="center", fontsize=5.5, clip_on=False)
