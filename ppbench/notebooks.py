"""What a run can do in a notebook, offered by the package as a whole.

A run draws and shows itself, but its layer knows neither figures nor reports. So the package, which knows all layers,
says here where these functions are, and the run asks for them when it is drawn. Until then nothing is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_OFFERED: dict[str, str] = {}


def offer(**places: str) -> None:
    """Say where functions are: ``plot="package.module:function"``."""
    _OFFERED.update(places)


def offered(name: str) -> Any:
    """The function that was offered under a name."""
    module, _, function = _OFFERED[name].partition(":")
    return getattr(import_module(module), function)
