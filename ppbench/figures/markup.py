"""The parts of SVG and HTML drawings: escaped names, shortened names, exact numbers as attributes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from markupsafe import escape

from ppbench.figures.colours import LINE_STYLES
from ppbench.metrics.metric import Metric
from ppbench.tables.escapes import for_xml
from ppbench.tables.numbers import margin, metric_text
from ppbench.tables.rows import low_and_high, rounded
from ppbench.tables.sheet import NOT_AVAILABLE

ELLIPSIS = "…"


def escaped(text: str) -> str:
    """Escape a text for SVG and HTML, also within quotes. Line breaks and what reorders a line become visible."""
    return str(escape(for_xml(text.replace("\n", " "))))


def checked_key(key: str) -> str:
    """Check the prefix of the ids of a drawing, which the caller chooses once for each drawing of a page.

    Raises:
        ValueError: If it could not be a part of an id.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", key):
        raise ValueError(f"{key!r} cannot begin an id: letters, digits, - and _ are allowed, a letter first")
    return key


def shortened(name: str, most: int) -> str:
    """Take the middle out of a name that is too wide, because models often differ only at the end of their names.

    Args:
        name: The name.
        most: The largest width, at least 3: the number of letters of usual width. W is wider, and East Asian wide
            characters are twice as wide.
    """
    shown = for_xml(name)
    if _width(shown) <= most:
        return shown
    head = _within(shown, (most - 1) * 0.6)
    tail = _within(shown[::-1], most - 1 - _width(head))[::-1]
    return f"{head}{ELLIPSIS}{tail}"


def _width(text: str) -> float:
    """The width in usual letters, at least as large as in common fonts without serifs."""
    return sum(
        2.0
        if unicodedata.east_asian_width(character) in "WF"
        else 1.6
        if character in "WM@%mw"
        else 1.2
        if character.isupper()
        else 1.0
        for character in text
    )


def _within(text: str, most: float) -> str:
    """The longest beginning that is not too wide."""
    end = 0
    while end < len(text) and _width(text[: end + 1]) <= most:
        end += 1
    return text[:end]


def attributes(values: Mapping[str, str | float | None]) -> str:
    """Attributes with a blank before each. None is left out; numbers are as in JSON; texts are escaped."""
    found = {
        name: escaped(value) if isinstance(value, str) else repr(rounded(value)).removesuffix(".0")
        for name, value in values.items()
        if value is not None
    }
    return "".join(f' {name}="{value}"' for name, value in found.items())


def metric_attributes(metric: Metric | None, /, **more: str | float | None) -> str:
    """``data-…`` attributes: the number and the ends of its interval exactly as JSON has them, and its definition."""
    values: dict[str, str | float | None] = {f"data-{name.replace('_', '-')}": value for name, value in more.items()}
    if metric is not None:
        ends = low_and_high(metric.interval)
        values |= {
            "data-metric": metric.name,
            "data-value": metric.value,
            "data-low": ends["low"],
            "data-high": ends["high"],
            "data-unit": metric.unit,
            "data-label": metric.label,
            "data-reason": metric.reason,
        }
    return attributes(values)


def metric_words(metric: Metric | None) -> str:
    """``41.20 ± 0.86 %``, or ``n/a: `` and the reason."""
    if metric is None or metric.value is None:
        return f"{NOT_AVAILABLE}: {metric.reason}" if metric and metric.reason else NOT_AVAILABLE
    return f"{metric_text(metric)} {metric.unit}"


def short_margin(metric: Metric) -> str:
    """``±0.9`` or ``[2.0, 43.5]``; empty without an interval."""
    return "" if metric.interval is None else margin(metric.interval, 1, "±")


def coordinate(number: float) -> str:
    """A coordinate, to a hundredth of a unit, without zeros at its end."""
    return f"{round(number, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def svg(
    key: str, box: tuple[float, float], title: str, description: str, parts: Sequence[str], *, more: str = ""
) -> str:
    """An SVG element that assistive technology reads as one picture with a name and a description.

    Args:
        key: Prefix of its ids.
        box: Width and height of the view box. A width of 0 stands for places in percent: then only the height is fixed.
        title: Its name.
        description: What it shows, with its numbers.
        parts: Elements, already escaped.
        more: Further attributes.
    """
    width, height = box
    size = (
        f'viewBox="0 0 {coordinate(width)} {coordinate(height)}"'
        if width
        else f'width="100%" height="{coordinate(height)}" style="height:{coordinate(height)}px"'
    )
    return (
        f'<svg role="img" {size} aria-labelledby="{key}-title {key}-desc"{more}>'
        f'<title id="{key}-title">{escaped(title)}</title><desc id="{key}-desc">{escaped(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def text_element(
    x: str, y: float, content: str, *, anchor: str = "start", kind: str = "", full: str | None = None
) -> str:
    """A text; ``x`` is a place with or without a percent sign. A name that was shortened has the full one as title."""
    title = f"<title>{escaped(full)}</title>" if full is not None and full != content else ""
    styled = f' class="{kind}"' if kind else ""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x}" y="{coordinate(y)}"{where}{styled}>{title}{escaped(content)}</text>'


def marker(shape: str, x: float, y: float, size: float, more: str, inner: str = "") -> str:
    """A marker of `LINE_STYLES` around a point.

    Args:
        shape: Its shape.
        x: Place of its centre.
        y: Place of its centre.
        size: Half its width.
        more: Attributes.
        inner: Elements within it, such as a title.
    """
    if shape == "circle":
        return f'<circle cx="{coordinate(x)}" cy="{coordinate(y)}" r="{coordinate(size)}"{more}>{inner}</circle>'
    # Each begins at the centre and moves from there.
    steps = {
        "square": ((-1, -1), "l", (2, 0), (0, 2), (-2, 0), "z"),
        "triangle": ((-1, 1), "l", (2, 0), (-1, -2), "z"),
        "diamond": ((0, -1.3), "l", (1.3, 1.3), (-1.3, 1.3), (-1.3, -1.3), "z"),
        "cross": ((-1, -1), "l", (2, 2), "m", (-2, 0), "l", (2, -2)),
        "plus": ((-1, 0), "l", (2, 0), "m", (-1, -1), "l", (0, 2)),
    }[shape]
    moves = " ".join(
        step if isinstance(step, str) else f"{coordinate(size * step[0])} {coordinate(size * step[1])}"
        for step in steps
    )
    return f'<path d="M{coordinate(x)} {coordinate(y)}m{moves}"{more}>{inner}</path>'


def legend(
    runs: Sequence[str],
    references: Sequence[str],
    *,
    styles: Sequence[tuple[int, str]] | None = None,
    note: str = "",
) -> str:
    """A list of the runs with their lines and markers, and of references in grey.

    Args:
        runs: Names of runs.
        references: Names of what is grey.
        styles: Number of the colour, and marker, by run; None for those of lines.
        note: A last item.
    """
    items = []
    for number, name in enumerate(runs):
        line = "" if styles else f'<path d="M1 7h34" class="fig-line fig-line-{number}"/>'
        colour, shape = styles[number] if styles else (number, LINE_STYLES[number].marker)
        mark = marker(shape, 18, 7, 3.2, f' class="fig-mark-{colour}"')
        items.append((line + mark, name))
    for name in references:
        line = "" if styles else '<path d="M1 7h34" class="fig-reference"/>'
        items.append((line + marker("circle", 18, 7, 2.6, ' class="fig-reference-mark"'), name))
    shown = "".join(
        f'<li><svg viewBox="0 0 36 14" aria-hidden="true">{sample}</svg><bdi>{escaped(name)}</bdi></li>'
        for sample, name in items
    )
    return f'<ul class="fig-legend">{shown}{f"<li>{escaped(note)}</li>" if note else ""}</ul>'
