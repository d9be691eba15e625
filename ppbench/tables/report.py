"""What a result offers, so that every output format can write it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ppbench.tables.sheet import Sheet


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
