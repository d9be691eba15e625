"""Letters for long names in the header of a narrow table."""

from __future__ import annotations

from dataclasses import replace
from string import ascii_uppercase

from ppbench.tables.sheet import Sheet
from ppbench.tables.wrapping import lay_out

LINES_OF_NAME = 2
"""Lines that a name in a header may take. In more, its parts are hard to put together."""


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
