"""Accuracy over a stream for pages, as SVG without script; see `ppbench.figures.svg`."""

from __future__ import annotations

from collections.abc import Iterator

from ppbench.figures.colours import LINE_STYLES
from ppbench.figures.markup import attributes, checked_key, coordinate, escaped, legend, marker, svg, text_element
from ppbench.figures.over_time import OverTime, TimeLine, TimeWindow
from ppbench.figures.scales import tick_text, ticks
from ppbench.tables.numbers import decimals, percent

_WIDTH, _HEIGHT = 640.0, 250.0
_LEFT, _RIGHT, _UPPER, _LOWER = 34.0, 630.0, 10.0, 222.0


def over_time_svg(content: OverTime, key: str) -> str:
    """Draw the accuracy of runs over the frames of a stream, with a band each.

    Args:
        content: What to draw.
        key: Prefix of the ids, unique in the page.
    """
    key = checked_key(key)
    marks = content.ticks
    parts = [*_axes(content, marks)]
    for number, line in enumerate(content.lines):
        parts += _line(content, line, number, marks[-1])
    words = ". ".join(
        f"{line.name}: mean {decimals(line.mean, 1)} %, from {decimals(line.windows[0].accuracy, 1)} % at the "
        f"beginning to {decimals(line.windows[-1].accuracy, 1)} % at the end"
        for line in content.lines
    )
    bands = f"; band: {percent(content.confidence)} interval of each window" if content.has_bands else ""
    note = f"accuracy, %, by frame{bands}"
    names = [line.name for line in content.lines]
    return (
        f'<div class="fig" id="{key}-stream">{legend(names, ["baseline of the calibration"], note=note)}'
        f"{svg(key, (_WIDTH, _HEIGHT), f'Accuracy over time: {content.title}', words, parts)}</div>"
    )


def _axes(content: OverTime, marks: list[float]) -> Iterator[str]:
    for tick in marks:
        y, kind = _up(tick, marks[-1]), "fig-grid" if tick else "fig-axis"
        yield f'<path d="M{coordinate(_LEFT)} {coordinate(y)}H{coordinate(_RIGHT)}" class="{kind}"/>'
        yield text_element(coordinate(_LEFT - 4), y + 4, tick_text(tick), anchor="end", kind="fig-small")
    for tick in ticks(0, content.last, 4):
        if tick <= content.last:
            x = coordinate(_across(content, tick))
            yield text_element(x, _LOWER + 16, f"{tick:,.0f}", anchor="middle", kind="fig-small")
    height = coordinate(_up(content.baseline, marks[-1]))
    yield f'<path d="M{coordinate(_LEFT)} {height}H{coordinate(_RIGHT)}" class="fig-reference"/>'


def _line(content: OverTime, line: TimeLine, number: int, top: float) -> Iterator[str]:
    where = [(_across(content, window.middle), window) for window in line.windows]
    ends = [(x, window.interval) for x, window in where if window.interval is not None]
    if len(ends) > 1:
        upper, lower = [(x, found.high) for x, found in ends], [(x, found.low) for x, found in reversed(ends)]
        outline = "L".join(f"{coordinate(x)} {coordinate(_up(value, top))}" for x, value in (*upper, *lower))
        yield f'<path d="M{outline}z" class="fig-band fig-band-{number}"/>'
    points = "L".join(f"{coordinate(x)} {coordinate(_up(window.accuracy, top))}" for x, window in where)
    yield f'<path d="M{points}" class="fig-line fig-line-{number}"/>'
    for x, window in where:
        yield _mark(line, window, number, (x, _up(window.accuracy, top)))


def _mark(line: TimeLine, window: TimeWindow, number: int, at: tuple[float, float]) -> str:
    found = window.interval
    data = attributes({
        "data-run": line.name, "data-first": window.first, "data-last": window.last, "data-value": window.accuracy,
        **({} if found is None else {"data-low": found.low, "data-high": found.high}),
    })  # fmt: skip
    ends = "" if found is None else f" [{decimals(found.low, 1)}, {decimals(found.high, 1)}]"
    title = f"{line.name}, frames {window.first:,} to {window.last:,}: {decimals(window.accuracy, 1)} %{ends}"
    shape = LINE_STYLES[number].marker
    return marker(shape, *at, 2.2, f' class="fig-mark-{number}"{data}', f"<title>{escaped(title)}</title>")


def _across(content: OverTime, frame: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * frame / max(1, content.last)


def _up(accuracy: float, top: float) -> float:
    return _LOWER - (_LOWER - _UPPER) * accuracy / top
