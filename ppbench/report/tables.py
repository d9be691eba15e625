"""Tables for the terminal, drawn with Rich."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ppbench.report.document import Document
from ppbench.report.sheets import NOT_AVAILABLE, Line, Sheet, sheets

STYLES = {"plain": "", "group": "bold", "total": "bold"}


def tables(documents: Sequence[Document], *, formulas: bool = False) -> RenderableType:
    """The tables of one run, or several runs side by side with one column each."""
    return Group(*(Padding(_draw(sheet), (1, 0, 0, 0)) for sheet in sheets(documents, formulas=formulas)))


def _draw(sheet: Sheet) -> RenderableType:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title=Text(sheet.title, "bold"), title_justify="left")
    for index in range(len(sheet.header)):
        _add_column(table, sheet, index)
    for line in sheet.lines:
        if line.kind == "total":
            table.add_section()
        table.add_row(*_texts(line), style=STYLES[line.kind])
    notes = (Text(note, "dim") for note in sheet.notes)
    return Group(table, *(Padding(note, (0, 0, 0, 1)) for note in notes))


def _add_column(table: Table, sheet: Sheet, index: int) -> None:
    """Add a column; definitions wrap where the terminal is narrow, but never a name or a number."""
    name = sheet.header[index]
    if index > 0 and index in sheet.text_columns:
        table.add_column(Text(name, "dim"), overflow="fold")
        return
    widest = max((len(line.cells[index]) for line in sheet.lines if index < len(line.cells)), default=0)
    word = max(map(len, name.split()))
    justify: JustifyMethod = "left" if index in sheet.text_columns else "right"
    table.add_column(Text(name, "dim"), justify=justify, min_width=widest, max_width=max(widest, word), overflow="fold")


def _texts(line: Line) -> list[Text]:
    return [Text(cell, _style(line, index)) for index, cell in enumerate(line.cells)]


def _style(line: Line, index: int) -> str:
    if index == line.worst:
        return "bold red"
    return "yellow" if line.cells[index] == NOT_AVAILABLE else ""
