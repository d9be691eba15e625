"""The heat map for pages: an HTML table whose cells are coloured.

A table is what the figure is. Screen readers announce the headings of each cell, the text can be selected and wraps on
a phone, and it needs no second table for its numbers.
"""

from __future__ import annotations

from ppbench.figures.content import HeatColumn, HeatMap, HeatRow
from ppbench.figures.markup import attributes, checked_key, escaped, metric_attributes, metric_words, short_margin
from ppbench.figures.scales import tick_text
from ppbench.metrics.metric import Metric
from ppbench.tables.numbers import decimals, percent, signed
from ppbench.tables.rows import rounded
from ppbench.tables.sheet import MISSING, NOT_AVAILABLE


def heat_table(content: HeatMap, key: str) -> str:
    """Draw a heat map.

    Each cell has ``data-value``, ``data-low`` and ``data-high`` as JSON has them; errors by severity have
    ``data-accuracy`` too, the fraction in the JSON of `ppbench show`; flip rates have ``data-agreement``.

    Args:
        content: What to draw.
        key: Prefix of the ids, unique in the page.
    """
    key = checked_key(key)
    header = "".join(
        f'<th scope="col"{attributes({"data-column": column.key})}>{escaped(column.heading)}</th>'
        for column in content.columns
    )
    bodies, rows = [], list(content.rows)
    while rows:
        count = next((place for place, row in enumerate(rows[1:], 1) if row.kind != "corruption"), len(rows))
        bodies.append("".join(_row(content, row) for row in rows[:count]))
        rows = rows[count:]
    return (
        f'<div class="fig"><table class="fig-heat" id="{key}-heat" data-quantity="{content.quantity}">'
        f'<caption id="{key}-title">{escaped(content.title)}</caption>'
        f'<thead><tr><th scope="col">{content.what}</th>{header}</tr></thead>'
        f"{''.join(f'<tbody>{body}</tbody>' for body in bodies)}</table>{_steps(content)}</div>"
    )


def _row(content: HeatMap, row: HeatRow) -> str:
    cells = zip(content.columns, row.cells, row.shown, strict=True)
    drawn = "".join(_cell(content, row, column, cell, is_shown) for column, cell, is_shown in cells)
    # A name may break after an underscore, so that it fits on a phone.
    name = escaped(row.name).replace("_", "_<wbr/>")
    return f'<tr class="fig-{row.kind}"{attributes({"data-row": row.name})}><th scope="row">{name}</th>{drawn}</tr>'


def _cell(content: HeatMap, row: HeatRow, column: HeatColumn, cell: Metric | None, is_shown: bool) -> str:
    if cell is None:
        return "<td></td>"
    kept = {"error": "accuracy", "flip_rate": "agreement"}.get(content.quantity)
    share: dict[str, float | None] = {}
    if kept and _is_level(column) and cell.value is not None:
        share[kept] = rounded(1 - cell.value / 100)
    more = metric_attributes(cell, **share, shown="" if is_shown else None)
    title = attributes({"title": f"{row.name} {column.heading}: {metric_words(cell)}"})
    if cell.value is None:
        text = MISSING if _is_level(column) else NOT_AVAILABLE
        return f'<td class="fig-missing"{more}{title}>{text}</td>'
    number = signed(cell.value) if content.quantity == "difference" else decimals(cell.value, 1)
    mark = "*" if is_shown else ""
    margin = f'<span class="fig-margin">{short_margin(cell)}</span>' if cell.interval else ""
    letter = "h" if content.scale.centre is None else "d"
    colour = f' class="fig-{letter}{content.scale.step(cell.value)}"' if column.is_coloured else ""
    return f"<td{colour}{more}{title}>{number}{mark}{margin}</td>"


def _is_level(column: HeatColumn) -> bool:
    """Whether a column is of a severity, or of a difficulty."""
    return column.key[:1] in ("s", "d") and column.key[1:].isdigit()


def _steps(content: HeatMap) -> str:
    """The scale below the table, with the meaning of its ends."""
    scale = content.scale
    letter = "h" if scale.centre is None else "d"
    width = 160 / scale.steps
    boxes = "".join(
        f'<rect x="{width * step:.2f}" width="{width:.2f}" height="12" class="fig-{letter}{step}"/>'
        for step in range(scale.steps)
    )
    low, high = (f"{tick_text(end)} {content.unit}" for end in scale.ends)
    words = {
        "error": ("", ""),
        "flip_rate": ("", ""),
        "flip_probability": ("", ""),
        "CE": (f" (fewer {content.made})", f" (more {content.made})"),
        "difference": (" (better)", " (worse)"),
    }[content.quantity]
    note = (
        "The colour is the size of a difference, the star is its proof, so a pale cell can have one. "
        f"*: a test finds this difference (Holm, by family, {content.what} and cell)."
        if content.quantity == "difference"
        else ""
    )
    margins = f"±: half of the {percent(content.confidence)} interval; [ ]: its ends." if content.confidence else ""
    return (
        f'<p class="fig-steps"><span>{low}{words[0]}</span>'
        f'<svg viewBox="0 0 160 12" aria-hidden="true" preserveAspectRatio="none">{boxes}</svg>'
        f"<span>{high}{words[1]}</span><span>{' '.join(filter(None, [margins, note]))}</span></p>"
    )
