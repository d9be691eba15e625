"""Tables for the terminal, drawn with Rich."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from string import ascii_uppercase

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ppbench.tables.curves import WIDE_ENOUGH, with_curves
from ppbench.tables.escapes import for_terminal
from ppbench.tables.sheet import NOT_AVAILABLE, Line, Sheet
from ppbench.tables.wrapping import GAP, ColumnBlock, lay_out, paragraph

STYLES = {"plain": "", "group": "bold", "total": "bold"}
MARGIN = 1

# Backgrounds from pale to strong orange, which no colour blindness confuses; the text stays black on all of them.
_HEAT = ((0.9, ""), (0.75, "#fee8c8"), (0.6, "#fdd49e"), (0.4, "#fdbb84"), (0.2, "#fc8d59"), (0.0, "#ef6548"))
"""Smallest share of the best value, and the background of cells from there on."""
_CHANGES = {"better": "green", "worse": "red"}

NARROWEST = 8
"""Characters that a table gets however narrow the terminal says it is: below it, no text could be wrapped."""

LINES_OF_NAME = 2
"""Lines that a name in a header may take. In more, its parts are hard to put together."""


def drawn(sheets: Iterable[Sheet]) -> RenderableType:
    """Sheets below each other, each drawn to the width of the console."""
    return Group(*map(Drawing, sheets))


@dataclass(frozen=True)
class Drawing:
    """A sheet, drawn to the width of the console: title, table and notes."""

    sheet: Sheet

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        sheet, width = printable(self.sheet), max(options.max_width - 2 * MARGIN, NARROWEST)
        if options.max_width >= WIDE_ENOUGH:
            wider = with_curves(sheet, ascii_only=options.ascii_only)
            # A table that has no room for its curves does without them.
            sheet = wider if len(lay_out(wider, width)) == len(lay_out(sheet, width)) else sheet
        sheet, legend = with_letters(sheet, width)
        # Rich would also break labels and tear numbers from their units, so texts come with their line breaks.
        yield Padding(Text(paragraph(sheet.title, width), "bold"), (1, MARGIN, 1, MARGIN))
        if legend:
            words = "\n".join(paragraph(line, width) for line in legend)
            yield Padding(Text(words), (0, MARGIN, 1, MARGIN))
        for number, block in enumerate(lay_out(sheet, width)):
            if number:
                words = paragraph(f"{sheet.title.partition(' · ')[0]} (continued)", width)
                yield Padding(Text(words, "bold"), (1, MARGIN, 1, MARGIN))
            yield Padding(_table(sheet, block), (0, MARGIN, 0, MARGIN))
        for number, note in enumerate((*sheet.notes, sheet.in_full) if sheet.in_full else sheet.notes):
            yield Padding(Text(paragraph(note, width), "dim"), (0 if number else 1, MARGIN, 0, MARGIN))


def printable(sheet: Sheet) -> Sheet:
    """Escape what a terminal would obey, before the texts of a sheet are measured."""
    lines = tuple(replace(line, cells=tuple(map(for_terminal, line.cells))) for line in sheet.lines)
    header, notes = tuple(map(for_terminal, sheet.header)), tuple(map(for_terminal, sheet.notes))
    labels = tuple(map(for_terminal, sheet.labels))
    return replace(sheet, title=for_terminal(sheet.title), header=header, lines=lines, notes=notes, labels=labels)


def with_letters(sheet: Sheet, width: int) -> tuple[Sheet, list[str]]:
    """Head the columns of models with A, B, … if their names would fold over more than `LINES_OF_NAME` lines.

    Returns:
        The sheet, and the lines of a legend; none if the names stay.
    """
    heads = [
        head
        for block in lay_out(sheet, width)
        for place, head in zip(block.columns, block.header, strict=True)
        if place in sheet.names
    ]
    folded = any(head.count("\n") >= LINES_OF_NAME for head in heads)
    if not folded or len(sheet.names) > len(ascii_uppercase):
        return sheet, []
    letters = dict(zip(sheet.names, ascii_uppercase, strict=False))
    header = tuple(letters.get(place, head) for place, head in enumerate(sheet.header))
    return replace(sheet, header=header), [f"{letter}: {sheet.header[place]}" for place, letter in letters.items()]


def _table(sheet: Sheet, block: ColumnBlock) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    for place, width, name in zip(block.columns, block.widths, block.header, strict=True):
        table.add_column(Text(name, "dim"), width=width, justify="left" if place in sheet.text_columns else "right")
    for line, cells in zip(sheet.lines, block.rows, strict=True):
        if line.kind == "total":
            table.add_section()
        texts = (Text(cell, _style(line, place)) for place, cell in zip(block.columns, cells, strict=True))
        table.add_row(*texts, style=STYLES[line.kind])
    return table


def _style(line: Line, place: int) -> str:
    tone = line.tones.get(place)
    if tone is None:
        return "yellow" if line.cells[place : place + 1] == (NOT_AVAILABLE,) else ""
    if isinstance(tone, str):
        return _CHANGES[tone]
    background = next(colour for share, colour in _HEAT if tone >= share or not share)
    mark = "bold underline " if place == line.worst else ""
    return f"{mark}black on {background}" if background else mark
