"""Fit a table into a given width without truncating text: wrapped texts, column widths, blocks of columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from ppbench.tables.sheet import Sheet

GAP = 2
"""Blanks between columns."""
LONGEST_PIECE = 32
"""Longer pieces of text may be cut to make columns fit."""

# Labels may break after "[" and ",", but "500 of 2000" and "200 classes masked" stay together. Names in headers may
# break after "-" and similar characters. The short name of a metric counts as one word.
_TOGETHER = r"\d+ of \d+(?: classes)?|\d+ classes(?: masked)?|\d+ corruptions"
_PIECES = re.compile(rf"(?:{_TOGETHER}|(?:clean|mean) error|relative m?CE|[^ ,\[])+[ ,\[]*|[ ,\[]+")
_SENTENCE_PIECES = re.compile(rf"(?:{_TOGETHER}|[\d.]+ (?:%|nats)|[^ ])+ *")
_NAME_PIECES = re.compile(r"[^ _./-]*[ _./-]+|[^ _./-]+")


@dataclass(frozen=True)
class _Text:
    """A text that may wrap."""

    pieces: tuple[str, ...]
    """The text may break between these."""
    first: str = ""
    """Indentation of its first line."""
    rest: str = ""
    """Indentation of its further lines."""

    @property
    def is_label(self) -> bool:
        """Whether it is a metric's label. Names in labels are not broken."""
        return any("[" in piece for piece in self.pieces)

    @property
    def longest(self) -> int:
        """Width of the whole text in one line."""
        return len((self.first + "".join(self.pieces)).rstrip())

    @property
    def shortest(self) -> int:
        """Width below which a piece has to be cut."""
        indents = [len(self.first), *[len(self.rest)] * len(self.pieces)]
        widths = [indent + len(piece.rstrip()) for indent, piece in zip(indents, self.pieces, strict=False)]
        return max(widths, default=0)

    def with_names_broken(self) -> _Text:
        """Allow breaks inside names too, after underscores and similar characters."""
        return replace(self, pieces=tuple(part for piece in self.pieces for part in _NAME_PIECES.findall(piece)))

    def wrap(self, width: int) -> list[str]:
        """Split into lines of at most ``width``. A piece is cut only if it is too wide for a line of its own."""
        whole = self.first + "".join(self.pieces)
        if len(whole) <= width:
            return [whole.rstrip()]
        lines, line, empty = [], self.first, True
        for piece in self.pieces:
            if not empty and len(line + piece.rstrip()) > width:
                lines.append(line)
                line, empty = self.rest, True
            line, empty = line + piece, False
            while len(line.rstrip()) > width:
                # A narrow column has no room for the indentation.
                indent = self.rest if len(self.rest) < width // 2 else ""
                lines.append(line[:width])
                line = indent + line[width:]
        return [text.rstrip() for text in (*lines, line)]


@dataclass(frozen=True)
class ColumnBlock:
    """Neighbouring columns of a sheet, with their texts wrapped."""

    columns: tuple[int, ...]
    """Their places in the sheet; the first column is in every block."""
    widths: tuple[int, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Texts with line breaks, by line of the sheet."""


def lay_out(sheet: Sheet, width: int) -> list[ColumnBlock]:
    """Lay out a sheet in one block if its columns fit in ``width``, else in several below each other.

    Labels and words are wrapped so that a block has as few lines as possible; numbers are never wrapped. Names of
    corruptions are wrapped only if that saves a second block.
    """
    columns = [_column(sheet, index) for index in range(len(sheet.header))]
    broken = [[text if text.is_label else text.with_names_broken() for text in columns[0]], *columns[1:]]
    wordy, available = [index in sheet.text_columns for index in range(len(columns))], width - GAP * (len(columns) - 1)
    if _widths(columns, wordy, available) is None and _widths(broken, wordy, available) is not None:
        columns = broken
    return _blocks(columns, list(range(len(columns))), sheet.text_columns, width)


def paragraph(text: str, width: int) -> str:
    """Wrap a title or a note. Numbers stay with their units, and labels break only if they must."""
    pieces = list(_SENTENCE_PIECES.findall(text))
    for finer in (_PIECES, _NAME_PIECES):
        pieces = [part for piece in pieces for part in (finer.findall(piece) if len(piece) > width else [piece])]
    return "\n".join(_Text(tuple(pieces)).wrap(width))


def _column(sheet: Sheet, index: int) -> list[_Text]:
    """The texts of a column, its header first."""
    cells = [line.cells[index] if index < len(line.cells) else "" for line in sheet.lines]
    head = sheet.header[index]
    # A label does not break inside ``s1-5``; any other header is a name.
    header = _words(head, "") if "[" in head else _Text(tuple(_NAME_PIECES.findall(head)))
    if index not in sheet.text_columns:
        return [header, *(_Text((cell,)) for cell in cells)]
    return [header, *(_words(cell, "  " if index == 0 else "") for cell in cells)]


def _words(text: str, hanging: str) -> _Text:
    indent = text[: len(text) - len(text.lstrip())]
    pieces = _PIECES.findall(text.lstrip())
    # A long piece that would be cut anywhere is broken between the parts of a name instead.
    parts = [_NAME_PIECES.findall(piece) if len(piece) > LONGEST_PIECE else [piece] for piece in pieces]
    return _Text(tuple(chain.from_iterable(parts)), indent, indent + hanging)


def _blocks(columns: list[list[_Text]], places: list[int], wordy: Sequence[int], width: int) -> list[ColumnBlock]:
    texts = [columns[place] for place in places]
    available = width - GAP * (len(places) - 1)
    widths = _widths(texts, [place in wordy for place in places], available)
    if widths is None and len(places) > 2:
        # Each block repeats the first column. This one takes as many others as fit; the rest goes to the next.
        needed = [_shortest(columns[place], place in wordy) for place in places]
        sums = [sum(needed[:count]) + GAP * (count - 1) for count in range(len(places))]
        fitting = max(2, *(count for count, total in enumerate(sums) if total <= width))
        parts = places[:fitting], [0, *places[fitting:]]
        return [block for part in parts for block in _blocks(columns, part, wordy, width)]
    if widths is None:
        share = max(1, available // len(places))
        widths = [min(_longest(column), share) for column in texts]
    wrapped = [[text.wrap(size) for text in column] for column, size in zip(texts, widths, strict=True)]
    header, *rows = zip(*(["\n".join(lines) for lines in column] for column in wrapped), strict=True)
    return [ColumnBlock(tuple(places), tuple(widths), header, tuple(rows))]


def _widths(columns: list[list[_Text]], wordy: list[bool], available: int) -> list[int] | None:
    """Widths with the fewest lines in all, then in the header; None if the columns do not fit.

    All columns but the first share one maximal width, which is tried from narrow to wide. The first column gets the
    remaining width, if it needs that much.
    """
    bounds = [(_shortest(column, words), _longest(column)) for column, words in zip(columns, wordy, strict=True)]
    (first_low, first_high), others = bounds[0], bounds[1:]
    known: dict[tuple[int, int], list[int]] = {}

    def lines_of(place: int, width: int) -> list[int]:
        if (place, width) not in known:
            known[place, width] = [len(text.wrap(width)) for text in columns[place]]
        return known[place, width]

    best: tuple[tuple[int, int], list[int]] | None = None
    for cap in range(max((high for _, high in others), default=0) + 1):
        widths = [min(high, max(low, cap)) for low, high in others]
        left = available - sum(widths)
        if left < first_low:
            break
        widths = [min(first_high, left), *widths]
        if best is None or best[1] != widths:
            lines = _height([lines_of(place, width) for place, width in enumerate(widths)])
            best = (lines, widths) if best is None or lines < best[0] else best
    return best and best[1]


def _height(columns: list[list[int]]) -> tuple[int, int]:
    """The number of lines of the block and of its header, from those of each text."""
    rows = [max(row) for row in zip(*columns, strict=True)]
    return sum(rows), rows[0]


def _shortest(column: list[_Text], words: bool) -> int:
    """The smallest width of a column: that of its widest number or word, unless a word is very long."""
    header, *cells = column
    numbers = [] if words else [text.longest for text in cells]
    pieces = [text.shortest for text in ([header, *cells] if words else [header])]
    return max(min(max(pieces), LONGEST_PIECE), *numbers, 0)


def _longest(column: list[_Text]) -> int:
    return max(text.longest for text in column)
