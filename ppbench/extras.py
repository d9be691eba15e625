"""Extras: libraries that only some commands need, and how users install them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ppbench.errors import UsageError


def how_to_install(extra: str) -> str:
    """Say how to install an extra of ``pyproject.toml``, in ppbench's environment or in one of the user's."""
    return f"In a clone of ppbench: `uv sync --extra {extra}`, or `pip install '.[{extra}]'`."


def import_extra(module: str, extra: str, what: str) -> Any:
    """Import a library that belongs to an extra.

    Args:
        module: Name of the library's module.
        extra: The extra of ``pyproject.toml`` that contains it.
        what: What needs it, as the subject of a sentence: "`ppbench train`".

    Raises:
        UsageError: If it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:  # the library is installed, but something that it needs is not
            raise
        raise UsageError(f"{what} needs {module}, which is not installed", how_to_install(extra)) from error
