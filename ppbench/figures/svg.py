"""Severity curves and forest plots for pages, as SVG without script.

Colours come from the style sheet `ppbench.figures.colours.figure_css` alone. Marks have their exact numbers in
``data-…`` attributes and, for a pointer that rests on them, in a title.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ppbench.figures.colours import LINE_STYLES
from ppbench.figures.content import (
    Curve,
    CurvePanel,
    SeverityCurves,
    severity_name,
)
from ppbench.figures.forest import Forest, ForestRow, ForestSection
from ppbench.figures.markup import (
    checked_key,
    coordinate,
    escaped,
    legend,
    marker,
    metric_attributes,
    metric_words,
    short_margin,
    shortened,
    svg,
    text_element,
)
from ppbench.figures.scales import tick_text, ticks
from ppbench.metrics.metric import Metric
from ppbench.tables.numbers import percent, signed
from ppbench.tables.sheet import NOT_AVAILABLE

_WIDTH, _HEIGHT = 150.0, 124.0
_LEFT, _RIGHT, _UPPER, _LOWER = 28.0, 146.0, 28.0, 104.0
"""A panel of severity curves and its axes. On a phone of 360 px two panels stand side by side, at their full size."""


def curves_svg(content: SeverityCurves, key: str) -> str:
    """Draw severity curves: a panel for the mean and one for each corruption, side by side as the page allows.

    Args:
        content: What to draw.
        key: Prefix of the ids, unique in the page.
    """
    key = checked_key(key)
    note = f"{content.words.lost}, %, by {content.words.level}{' (0: clean)' if 0 in content.severities else ''}"
    note += f"; band: {percent(content.confidence)} interval" if content.confidence else ""
    panels = "".join(_panel(content, panel, f"{key}-{number}") for number, panel in enumerate(content.panels))
    return (
        f'<div class="fig" id="{key}-curves">{legend(content.runs, content.references, note=note)}'
        f'<div class="fig-panels">{panels}</div></div>'
    )


def _panel(content: SeverityCurves, panel: CurvePanel, key: str) -> str:
    name = panel.name or "mean"
    parts = [text_element("0", 11, shortened(name, 20), kind="fig-strong", full=name), *_panel_axes(content)]
    # References come first and have no number of their own.
    references = len(panel.curves) - len(content.runs)
    for number, curve in enumerate(panel.curves, -references):
        parts += _curve_parts(content, panel, curve, number)
    words = ". ".join(
        f"{curve.name}: "
        + ", ".join(f"{severity_name(s)} {metric_words(curve.errors.get(s))}" for s in content.severities)
        for curve in panel.curves
    )
    return svg(key, (_WIDTH, _HEIGHT), f"{name}: {content.title}", words, parts)


def _panel_axes(content: SeverityCurves) -> Iterator[str]:
    for tick in ticks(0, content.top, 2):
        if tick <= content.top:
            y = _error_place(content, tick)
            kind = "fig-grid" if tick else "fig-axis"
            yield f'<path d="M{coordinate(_LEFT)} {coordinate(y)}H{coordinate(_RIGHT)}" class="{kind}"/>'
            yield text_element(coordinate(_LEFT - 4), y + 4, tick_text(tick), anchor="end", kind="fig-small")
    for severity in content.severities:
        yield text_element(
            coordinate(_severity_place(content, severity)),
            _LOWER + 15,
            str(severity),
            anchor="middle",
            kind="fig-small",
        )


def _severity_place(content: SeverityCurves, severity: int) -> float:
    first, last = content.severities[0], content.severities[-1]
    share = 0.5 if first == last else (severity - first) / (last - first)
    return _LEFT + 6 + share * (_RIGHT - _LEFT - 10)


def _error_place(content: SeverityCurves, error: float) -> float:
    return _LOWER - (_LOWER - _UPPER) * error / content.top


def _curve_parts(content: SeverityCurves, panel: CurvePanel, curve: Curve, number: int) -> Iterator[str]:
    kind = "fig-reference" if curve.is_reference else f"fig-line fig-line-{number}"
    for piece in _pieces(content.severities, curve):
        where = [(_severity_place(content, s), m) for s, m in piece]
        if not curve.is_reference and len(piece) > 1 and all(m.interval for _, m in piece):
            upper = [(x, m.interval.high) for x, m in where if m.interval]
            lower = [(x, m.interval.low) for x, m in where if m.interval]
            outline = "L".join(
                f"{coordinate(x)} {coordinate(_error_place(content, e))}" for x, e in (*upper, *reversed(lower))
            )
            yield f'<path d="M{outline}z" class="fig-band fig-band-{number}"/>'
        points = "L".join(f"{coordinate(x)} {coordinate(_error_place(content, m.value or 0))}" for x, m in where)
        yield f'<path d="M{points}" class="{kind}"/>'
        for (severity, metric), (x, _) in zip(piece, where, strict=True):
            yield _curve_mark(panel, curve, number, severity, metric, (x, _error_place(content, metric.value or 0)))


def _curve_mark(
    panel: CurvePanel, curve: Curve, number: int, severity: int, metric: Metric, at: tuple[float, float]
) -> str:
    shape = "circle" if curve.is_reference else LINE_STYLES[number].marker
    kind = "fig-reference-mark" if curve.is_reference else f"fig-mark-{number}"
    data = metric_attributes(metric, run=curve.name, corruption=panel.name or "mean", severity=severity)
    title = f"{curve.name}, {panel.name or 'mean'}, {severity_name(severity)}: {metric_words(metric)}"
    return marker(shape, *at, 2.2, f' class="{kind}"{data}', f"<title>{escaped(title)}</title>")


def _pieces(severities: Sequence[int], curve: Curve) -> Iterator[list[tuple[int, Metric]]]:
    """The parts of a curve between missing cells. A line over a gap would show what was not measured."""
    piece: list[tuple[int, Metric]] = []
    for severity in severities:
        metric = curve.errors.get(severity)
        if metric is not None and metric.value is not None:
            piece.append((severity, metric))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


_NAMES, _PLOT = 36.0, (38.0, 65.0)
"""Percent of the width: the end of the names, and the ends of the axis. The numbers have the rest."""
_ROW, _AXIS, _HEADING = 21.0, 24.0, 24.0
"""Heights in px."""


def forest_svg(content: Forest, key: str) -> str:
    """Draw a forest plot as wide as its place; its texts keep their size.

    Args:
        content: What to draw.
        key: Prefix of the ids, unique in the page.
    """
    key = checked_key(key)
    parts, words, y = [], [], 0.0
    for section in content.sections:
        parts.append(text_element("0", y + 15, section.heading, kind="fig-strong"))
        drawn = _section(section, y + _HEADING)
        parts += drawn
        y += _HEADING + _ROW * len(section.rows) + _AXIS
        words += [f"{row.name} {_row_words(row)}" for row in section.rows]
    better = "".join(f" (of {name}: right of 0)" for name in content.higher_is_better)
    # The one figure of a stream has no families and corruptions whose tests would add up.
    many = f", after the correction for many tests (Holm over families and over {content.what}s)"
    note = (
        f"Points left of 0{better}: {content.other} {content.fewer}. Lines: {percent(content.confidence)} "
        "intervals, each for its row alone. * and a filled point: a test finds the difference"
        f"{many if len(content.sections) > 1 else ''}."
    )
    return (
        f'<div class="fig fig-forest" id="{key}-forest">'
        f"{svg(key, (0, y), content.title, '. '.join(words), parts)}"
        f'<p class="fig-note">{escaped(note)}</p></div>'
    )


def _section(section: ForestSection, top: float) -> Iterator[str]:
    marks = section.ticks
    bottom = top + _ROW * len(section.rows)
    for tick in marks:
        x = _forest_place(marks, tick)
        kind = "fig-axis" if tick == 0 else "fig-grid"
        yield f'<line x1="{x}" x2="{x}" y1="{coordinate(top)}" y2="{coordinate(bottom + 3)}" class="{kind}"/>'
    # At 360 px there is room for three numbers.
    for tick in dict.fromkeys((marks[0], 0.0, marks[-1])):
        yield text_element(_forest_place(marks, tick), bottom + 15, tick_text(tick), anchor="middle", kind="fig-small")
    for number, row in enumerate(section.rows):
        yield from _forest_row(row, marks, top + _ROW * (number + 0.5))


def _forest_row(row: ForestRow, marks: Sequence[float], y: float) -> Iterator[str]:
    metric, is_family = row.metric, row.kind != "corruption"
    indent = "" if is_family else "\u2003"
    kind = "fig-strong" if is_family else ""
    yield text_element("0", y + 4, indent + shortened(row.name, 18), kind=kind, full=indent + row.name)
    data = metric_attributes(metric, group=row.difference.group, name=row.difference.name, verdict=row.verdict)
    if metric.value is None:
        yield f"<g{data}>{text_element('100%', y + 4, NOT_AVAILABLE, anchor='end', full=metric.reason)}</g>"
        return
    line = ""
    if metric.interval is not None:
        ends = [_forest_place(marks, end) for end in (metric.interval.low, metric.interval.high)]
        line = f'<line x1="{ends[0]}" x2="{ends[1]}" y1="{coordinate(y)}" y2="{coordinate(y)}" stroke-width="2"/>'
    x = _forest_place(marks, metric.value)
    yield (
        f'<g class="fig-{row.verdict}"{data}><title>{escaped(f"{row.name}: {_row_words(row)}")}</title>{line}'
        f'<circle cx="{x}" cy="{coordinate(y)}" r="{4.5 if is_family else 3.5}" stroke-width="1.6"/></g>'
    )
    numbers = f"{signed(metric.value)} {short_margin(metric)}{'*' if row.is_shown else ''}"
    yield text_element("100%", y + 4, numbers.strip(), anchor="end", kind=kind)


def _row_words(row: ForestRow) -> str:
    shown = " (shown)" if row.is_shown else ""
    return f"{metric_words(row.metric)}{shown}"


def _forest_place(marks: Sequence[float], value: float) -> str:
    share = (value - marks[0]) / (marks[-1] - marks[0])
    return f"{coordinate(_PLOT[0] + (_PLOT[1] - _PLOT[0]) * share)}%"
