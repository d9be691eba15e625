"""The protocol of a result that every output format can write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ppbench.tables.sheet import Line, Sheet


class Rows(NamedTuple):
    """A table of raw values."""

    columns: Sequence[str]
    values: Iterable[Sequence[Any]]

    @classmethod
    def of_records(cls, records: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Rows:
        """Take these columns of each record."""
        return cls(columns, ([record[column] for column in columns] for record in records))


class Report(Protocol):
    """A result that can be printed in every format (`ppbench.cli.output.show`)."""

    def sheets(self) -> Sequence[Sheet]:
        """Tables of text, for the terminal, Markdown and LaTeX."""

    def as_dict(self) -> dict[str, Any]:
        """Lists, dicts, texts and numbers, for JSON."""

    def rows(self) -> Rows:
        """One tidy table, for CSV."""


@runtime_checkable
class TerminalReport(Report, Protocol):
    """A result that has other tables in a terminal than in Markdown and LaTeX."""

    def terminal_sheets(self) -> Sequence[Sheet]:
        """Tables of text, for the terminal."""


@runtime_checkable
class TextBelow(Report, Protocol):
    """A result that in a terminal has a text below its tables, which is never wrapped: its commands can be copied."""

    def text_below(self) -> str:
        """The text, with its line breaks."""


@dataclass(frozen=True)
class Facts:
    """A result of a few single facts, such as an estimate. In a terminal each is a line."""

    title: str
    lines: Sequence[tuple[str, str]]
    """Name and value, in words."""
    content: Mapping[str, Any]
    """The same for programs, by name."""

    def text(self) -> str:
        """The lines, with their values below each other."""
        return "\n".join(f"{name:<8}{value}" for name, value in self.lines)

    def sheets(self) -> list[Sheet]:
        """One table, with a line for each fact."""
        return [Sheet(self.title, ("what", "value"), tuple(map(Line, self.lines)), (0, 1))]

    def as_dict(self) -> dict[str, Any]:
        """The facts by name."""
        return dict(self.content)

    def rows(self) -> Rows:
        """One row, with a column for each fact."""
        return Rows(tuple(self.content), [tuple(self.content.values())])
