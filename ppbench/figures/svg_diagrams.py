"""Reliability diagrams and scatter plots for pages, as SVG without script; see `ppbench.figures.svg`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from ppbench.figures.content import severity_name
from ppbench.figures.labels import label_sides
from ppbench.figures.markup import (
    checked_key,
    coordinate,
    escaped,
    legend,
    marker,
    metric_attributes,
    metric_words,
    shortened,
    svg,
    text_element,
)
from ppbench.figures.reliability import FEW_IMAGES, Reliability, ReliabilityPanel
from ppbench.figures.scales import tick_text
from ppbench.figures.scatter import Scatter, ScatterPoint, point_style
from ppbench.metrics.metric import Metric
from ppbench.tables.numbers import decimals, percent
from ppbench.tables.sheet import NOT_AVAILABLE

_LEFT, _RIGHT, _UPPER, _LOWER = 30.0, 146.0, 34.0, 134.0
_COUNTS = 22.0
"""Height of the counts below the axes."""
_BOX = (150.0, 176.0)


def reliability_svg(content: Reliability, key: str) -> str:
    """Draw reliability diagrams: a panel for the clean images and one for each severity.

    Args:
        content: What to draw.
        key: Prefix of the ids, unique in the page.
    """
    key = checked_key(key)
    panels = "".join(_reliability(panel, f"{key}-{place}") for place, panel in enumerate(content.panels))
    note = (
        "Bar: accuracy of the images of each confidence; the line is perfect calibration: bars below it are too sure. "
        f"Below: how many images each bin has; a bin with fewer than {FEW_IMAGES} is faded. "
        "ECE: expected calibration error, mean over the corruptions."
    )
    return (
        f'<div class="fig" id="{key}-reliability"><div class="fig-panels">{panels}</div>'
        f'<p class="fig-note">{note}</p></div>'
    )


def _reliability(panel: ReliabilityPanel, key: str) -> str:
    name = f"severity {panel.severity}" if panel.severity else severity_name(0)
    error = NOT_AVAILABLE if panel.error.value is None else f"{decimals(panel.error.value, 1)} %"
    data = metric_attributes(panel.error, severity=panel.severity, cells=panel.cells)
    parts = [
        text_element("0", 11, name, kind="fig-strong"),
        f"<g{data}>{text_element('0', 25, f'ECE {error}', kind='fig-small', full=panel.error.reason)}</g>",
        *_reliability_axes(),
    ]
    most = max((one.n for one in panel.bins), default=0)
    for one in panel.bins:
        left, width = _confidence_place(one.low), _confidence_place(one.high) - _confidence_place(one.low)
        data = metric_attributes(one.accuracy, severity=panel.severity, bin_low=one.low, n=one.n)
        if one.confidence is not None and one.accuracy.value is not None:
            title = (
                f"confidence {decimals(100 * one.confidence, 1)} %: accuracy {metric_words(one.accuracy)}, n {one.n:,}"
            )
            top = _accuracy_place(one.accuracy.value)
            count = _COUNTS * one.n / most
            bar = "fig-bar fig-few" if one.is_faded else "fig-bar"
            yes = f"<title>{escaped(title)}</title>"
            parts += [
                f'<rect x="{coordinate(left + 0.5)}" y="{coordinate(top)}" width="{coordinate(width - 1)}" '
                f'height="{coordinate(_LOWER - top)}" class="{bar}"{data}>{yes}</rect>',
                f'<rect x="{coordinate(left + 0.5)}" y="{coordinate(_LOWER + 4)}" width="{coordinate(width - 1)}" '
                f'height="{coordinate(count)}" class="fig-count">{yes}</rect>',
                *_error_bar(one.accuracy, left + width / 2),
            ]
    first, last = (f"{coordinate(_confidence_place(end))} {coordinate(_accuracy_place(100 * end))}" for end in (0, 1))
    parts.append(f'<path d="M{first}L{last}" class="fig-axis"/>')
    known = [one for one in panel.bins if one.confidence is not None]
    words = ", ".join(
        f"{decimals(100 * (one.confidence or 0), 0)} % sure: {metric_words(one.accuracy)} of {one.n}" for one in known
    )
    described = words or str(panel.error.reason)
    return svg(key, _BOX, f"Confidence and accuracy, {name}: ECE {error}", described, parts)


def _reliability_axes() -> Iterator[str]:
    for tick in (0, 50, 100):
        y, x = _accuracy_place(tick), _confidence_place(tick / 100)
        kind = "fig-grid" if tick else "fig-axis"
        yield f'<path d="M{coordinate(_LEFT)} {coordinate(y)}H{coordinate(_RIGHT)}" class="{kind}"/>'
        yield text_element(coordinate(_LEFT - 4), y + 4, str(tick), anchor="end", kind="fig-small")
        anchor = "end" if tick == 100 else "middle" if tick else "start"
        yield text_element(coordinate(x), _LOWER + _COUNTS + 17, str(tick), anchor=anchor, kind="fig-small")


def _confidence_place(share: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * share


def _accuracy_place(accuracy: float) -> float:
    return _LOWER - (_LOWER - _UPPER) * accuracy / 100


def _error_bar(metric: Metric, x: float) -> list[str]:
    if metric.interval is None:
        return []
    low, high = (_accuracy_place(end) for end in (metric.interval.low, metric.interval.high))
    return [f'<path d="M{coordinate(x)} {coordinate(low)}V{coordinate(high)}" class="fig-axis"/>']


_SCATTER = (320.0, 290.0)
_X, _Y = (32.0, 310.0), (246.0, 24.0)
"""Ends of the axes of a scatter plot."""


def scatter_svg(content: Scatter, key: str) -> str:
    """Draw a scatter plot.

    Args:
        content: What to draw.
        key: Prefix of the ids, unique in the page.
    """
    key = checked_key(key)
    parts = [*_scatter_axes(content)]
    for point, side in zip(content.published, _sides(content), strict=True):
        parts += _published_point(content, point, side)
    for number, point in enumerate(content.runs):
        parts += _run_point(content, point, number)
    words = ". ".join([content.axes_in_full, *map(_point_words, (*content.runs, *content.published))])
    styles = [point_style(number) for number in range(len(content.runs))]
    note = f"lines: {percent(content.confidence)} intervals" if content.confidence else ""
    published = ["published results"] if content.published else []
    names = [point.name for point in content.runs]
    return (
        f'<div class="fig fig-scatter" id="{key}-scatter">{legend(names, published, styles=styles, note=note)}'
        f"{svg(key, _SCATTER, content.title, words, parts)}"
        f'<p class="fig-note">{escaped(content.axes_in_full)}.</p>{_absent(content)}</div>'
    )


def _scatter_axes(content: Scatter) -> Iterator[str]:
    for tick in content.x_ticks:
        x = _between(content.x_ticks, tick, _X)
        yield f'<path d="M{coordinate(x)} {coordinate(_Y[0])}V{coordinate(_Y[1])}" class="fig-grid"/>'
        yield text_element(coordinate(x), _Y[0] + 15, tick_text(tick), anchor="middle", kind="fig-small")
    for tick in content.y_ticks:
        y = _between(content.y_ticks, tick, _Y)
        yield f'<path d="M{coordinate(_X[0])} {coordinate(y)}H{coordinate(_X[1])}" class="fig-grid"/>'
        yield text_element(coordinate(_X[0] - 4), y + 4, tick_text(tick), anchor="end", kind="fig-small")
    middle = coordinate(sum(_X) / 2)
    yield text_element(middle, _Y[0] + 32, f"→ {content.x_name}", anchor="middle", full=content.x_label)
    yield text_element("0", 11, f"↑ {content.y_name}", full=content.y_label)


def _absent(content: Scatter) -> str:
    """A note on the runs that have no place."""
    words = " ".join(f"{_point_words(point)}." for point in content.runs if not point.has_values)
    return f'<p class="fig-note">{escaped(words)}</p>' if words else ""


def _sides(content: Scatter) -> list[Literal["left", "right"] | None]:
    """The sides of the names of published results. A name that has no room is in its marker's title alone."""
    widths = [6.4 * len(shortened(point.name, 24)) + 8 for point in content.published]
    places = [_point_place(content, point) for point in content.published]
    runs = [_point_place(content, point) for point in content.runs if point.has_values]
    return label_sides(places, widths, 11, _X, runs)


def _published_point(content: Scatter, point: ScatterPoint, side: Literal["left", "right"] | None) -> Iterator[str]:
    x, y = _point_place(content, point)
    data = metric_attributes(point.y, published=point.name, x=point.x.value)
    title = f"<title>{escaped(f'{_point_words(point)} ({point.source})')}</title>"
    yield marker("circle", x, y, 3, f' class="fig-reference-mark"{data}', title)
    if side is not None:
        at, anchor = (x - 6, "end") if side == "left" else (x + 6, "start")
        name = shortened(point.name, 24)
        yield text_element(coordinate(at), y + 4, name, anchor=anchor, kind="fig-small", full=point.name)


def _run_point(content: Scatter, point: ScatterPoint, number: int) -> Iterator[str]:
    colour, shape = point_style(number)
    x_low, x_high = (point.x.interval.low, point.x.interval.high) if point.x.interval else (None, None)
    data = metric_attributes(point.y, run=point.name, x=point.x.value, x_low=x_low, x_high=x_high)
    if not point.has_values:
        yield f"<g{data}/>"
        return
    x, y = _point_place(content, point)
    if point.x.interval:
        ends = [coordinate(_between(content.x_ticks, end, _X)) for end in (point.x.interval.low, point.x.interval.high)]
        yield f'<path d="M{ends[0]} {coordinate(y)}H{ends[1]}" class="fig-mark-{colour} fig-whisker"/>'
    if point.y.interval:
        ends = [coordinate(_between(content.y_ticks, end, _Y)) for end in (point.y.interval.low, point.y.interval.high)]
        yield f'<path d="M{coordinate(x)} {ends[0]}V{ends[1]}" class="fig-mark-{colour} fig-whisker"/>'
    yield marker(shape, x, y, 4, f' class="fig-mark-{colour}"{data}', f"<title>{escaped(_point_words(point))}</title>")


def _point_place(content: Scatter, point: ScatterPoint) -> tuple[float, float]:
    return (
        _between(content.x_ticks, point.x.value or 0.0, _X),
        _between(content.y_ticks, point.y.value or 0.0, _Y),
    )


def _point_words(point: ScatterPoint) -> str:
    return f"{point.name}: {point.x.name} {metric_words(point.x)}, {point.y.name} {metric_words(point.y)}"


def _between(marks: Sequence[float], value: float, ends: tuple[float, float]) -> float:
    return ends[0] + (ends[1] - ends[0]) * (value - marks[0]) / (marks[-1] - marks[0])
