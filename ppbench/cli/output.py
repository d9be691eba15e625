"""The sink of the command line: data go to stdout, messages and progress to stderr."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from ppbench.errors import PpbenchError
from ppbench.tables.escapes import for_terminal, to_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ppbench.tables.report import Report


class Format(StrEnum):
    """Format of printed data."""

    RICH = "rich"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


@cache
def _console(stderr: bool) -> Console:
    from rich.console import Console

    # Printed texts may come from strangers, so nothing in them counts as markup.
    console = Console(stderr=stderr, highlight=False, soft_wrap=stderr, markup=False, emoji=False)
    if console.width < 10:  # no terminal is so narrow: some programs set COLUMNS=0 or 1 if they do not know
        console.width = 80
    return console


def data(text: str) -> None:
    """Print a document (JSON, CSV, Markdown, LaTeX) to stdout as it is."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def text(lines: str) -> None:
    """Print lines for people to stdout."""
    data("\n".join(map(for_terminal, lines.split("\n"))))


def json(content: Any) -> None:
    """Print a JSON document to stdout."""
    data(to_json(content))


def show(report: Report, format: Format, indent: int = 2) -> None:
    """Print a result to stdout. Only this function and `written` know all formats.

    Args:
        report: The result of a command.
        format: The format that the user wants.
        indent: Indentation of JSON.
    """
    if format is not Format.RICH:
        data(written(report, format, indent))
        return
    from ppbench.tables.report import Facts, TerminalReport, TextBelow

    if isinstance(report, Facts):
        text(report.text())
        return
    from ppbench.tables.terminal import drawn

    render(drawn(report.terminal_sheets() if isinstance(report, TerminalReport) else report.sheets()))
    if isinstance(report, TextBelow):
        text(report.text_below())


def written(report: Report, format: Format, indent: int = 2) -> str:
    """Write a result as a document in any format but ``rich``, which depends on the terminal."""
    if format is Format.JSON:
        return to_json(report.as_dict(), indent)
    if format is Format.CSV:
        from ppbench.tables.rows import csv_of_rows

        return csv_of_rows(*report.rows())
    from ppbench.tables.text import to_latex, to_markdown

    write = {Format.MARKDOWN: to_markdown, Format.LATEX: to_latex}[format]
    return "\n\n".join(map(write, report.sheets()))


def render(*renderables: RenderableType) -> None:
    """Print what Rich can draw to stdout."""
    for renderable in renderables:
        _console(stderr=False).print(renderable)


def say(line: str) -> None:
    """Print a message to stderr."""
    for part in line.split("\n"):
        _console(stderr=True).print(for_terminal(part))


@contextmanager
def stdout_for_data() -> Iterator[None]:
    """Redirect stdout to stderr meanwhile, in Python and in compiled code, because a user's network may print."""
    sys.stdout.flush()
    kept = None
    # Compiled code bypasses sys.stdout, so the file descriptor is redirected too.
    with suppress(OSError):  # one of the two is closed
        kept = os.dup(1)
        os.dup2(2, 1)
    before = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        before.flush()
        if kept is not None:
            with suppress(OSError, AttributeError, TypeError):  # Windows has no such library
                ctypes.CDLL(None).fflush(None)  # what compiled code has buffered
            os.dup2(kept, 1)
            os.close(kept)


def fail(error: PpbenchError) -> None:
    """Print an error and its hint to stderr."""
    from rich.text import Text

    _console(stderr=True).print(Text.assemble(("error:", "bold red"), f" {for_terminal(error.message)}"))
    for line in error.hint.splitlines():
        say(f"  {line}")


def progress_console() -> Console:
    """The console for progress displays (stderr)."""
    return _console(stderr=True)
