"""Small curves in a table: a line of block characters, one for each value. Only a wide terminal has room for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ppbench.tables.sheet import Sheet

WIDE_ENOUGH = 100
"""Columns of a terminal from which tables have curves."""

BLOCKS = "▁▂▃▄▅▆▇█"
"""One eighth of the scale each."""
ASCII_BLOCKS = "_.:=+*%#"
"""The same for an encoding without blocks, from light to dark."""
_GAPS = {BLOCKS: "·", ASCII_BLOCKS: "?"}
"""What stands for a missing value."""


def curve_text(values: Sequence[float | None], *, ascii_only: bool = False) -> str:
    """Draw fractions from 0 to 1, one character each: ``▁▂▄▆█``. The scale is the same for all curves."""
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    places = [None if value is None else min(int(value * len(blocks)), len(blocks) - 1) for value in values]
    return "".join(_GAPS[blocks] if place is None else blocks[place] for place in places)


def with_curves(sheet: Sheet, *, ascii_only: bool = False) -> Sheet:
    """Add the curves of a sheet's lines as its last column, and the meaning of the characters as its last note."""
    if sheet.curves is None:
        return sheet
    blocks, place = ASCII_BLOCKS if ascii_only else BLOCKS, len(sheet.header)
    lines = []
    for line in sheet.lines:
        cells = (*line.cells, *[""] * (place - len(line.cells)))
        lines.append(replace(line, cells=(*cells, curve_text(line.curve, ascii_only=ascii_only))))
    scale = f"from {blocks[0]} (below 12.5 %) to {blocks[-1]} (87.5 % and more)"
    return replace(
        sheet,
        header=(*sheet.header, sheet.curves.header),
        lines=tuple(lines),
        text_columns=(*sheet.text_columns, place),
        notes=(*sheet.notes, f"{sheet.curves.meaning}, {scale}."),
    )
