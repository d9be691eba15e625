"""The one sink of the command line: data to stdout, talk and progress to stderr."""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from ppbench.errors import PpbenchError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class Format(StrEnum):
    """How data is printed."""

    RICH = "rich"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


@cache
def _console(stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=stderr)


def data(text: str) -> None:
    """Print a document (JSON, CSV, Markdown, LaTeX) to stdout as it is."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def render(*renderables: RenderableType) -> None:
    """Print Rich tables and texts to stdout."""
    for renderable in renderables:
        _console(stderr=False).print(renderable)


def say(line: str) -> None:
    """Tell the user something, on stderr."""
    _console(stderr=True).print(line, markup=False)


def fail(error: PpbenchError) -> None:
    """Print an error and what mends it, on stderr."""
    console = _console(stderr=True)
    console.print(f"[bold red]error:[/] {_escape(error.message)}")
    for line in error.hint.splitlines():
        console.print(f"  {line}", markup=False)


def progress_console() -> Console:
    """The console for progress displays (stderr)."""
    return _console(stderr=True)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
