"""Accuracy over a stream, for papers; see `ppbench.figures.paper`."""

from __future__ import annotations

from ppbench.figures.colours import LINE_STYLES, ink
from ppbench.figures.markup import shortened
from ppbench.figures.over_time import OverTime
from ppbench.figures.paper import PaperFigure, add_legend, blank_figure, line_of, shown_name
from ppbench.tables.numbers import decimals, percent


def draw_over_time(content: OverTime, width: float) -> PaperFigure:
    """Draw the accuracy of runs over the frames of a stream, with a band each.

    Args:
        content: What to draw.
        width: Width of the figure in inches.
    """
    figure = blank_figure(width, 1.85 + 0.13 * len(content.lines))
    axes = figure.subplots()
    for number, line in enumerate(content.lines):
        places = [window.middle for window in line.windows]
        bands = [(window.middle, window.interval) for window in line.windows if window.interval is not None]
        if bands:
            low, high = ([getattr(interval, end) for _, interval in bands] for end in ("low", "high"))
            under = [place for place, _ in bands]
            axes.fill_between(under, low, high, color=LINE_STYLES[number].light, alpha=0.18, linewidth=0)
        axes.plot(places, [window.accuracy for window in line.windows], **line_of(number))
    axes.axhline(content.baseline, color=ink("reference"), linestyle=(0, (3, 2)), linewidth=0.9)
    axes.set(xlim=(0, max(1, content.last)), yticks=content.ticks, ylim=(0, content.ticks[-1]))
    axes.grid(axis="y")
    axes.set_ylabel("accuracy, %")
    bands_are = f"bands: {percent(content.confidence)} intervals; " if content.has_bands else ""
    axes.set_xlabel(f"frame; {bands_are}dashed: baseline", fontsize=6.5)
    axes.set_title(shown_name(shortened(content.title, int(width / 0.056))), fontsize=6)
    names = [f"{shortened(line.name, 44 if width < 5 else 90)}: {decimals(line.mean, 1)} %" for line in content.lines]
    add_legend(figure, names, [line_of(number) for number in range(len(names))], 1)
    return figure
