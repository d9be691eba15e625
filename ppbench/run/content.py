"""The JSON of run files: earlier versions, the short form of baselines, and the layout of the text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ppbench.run.schema import PROBABILITY_COUNTS, Provenance


def _from_version_1(content: dict[str, Any]) -> dict[str, Any]:
    """Version 2 only added fields. Their defaults describe version 1: all classes, one process, not compiled."""
    return {**content, "version": 2}


def _from_version_2(content: dict[str, Any]) -> dict[str, Any]:
    """Version 3 only added the predictions, which version 2 lacks."""
    return {**content, "version": 3}


_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _from_version_1,
    2: _from_version_2,
}
"""Functions by the version that they read. Each returns the content in the next version."""


def of_this_version(content: dict[str, Any]) -> dict[str, Any]:
    """Bring the content of a file to the present version and the long form. It is not yet validated."""
    while content["version"] in _MIGRATIONS:
        content = _MIGRATIONS[content["version"]](content)
    return _expanded(content) if content.pop("compact", False) else content


def compacted(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a baseline: sorted, and without when and where it was made."""
    model = {key: value for key, value in content["model"].items() if key != "card"}
    kept = {key: value for key, value in content.items() if key != "provenance"}
    # In one order, so that a baseline under version control changes where a number does.
    cells = [dict(sorted(cell.items())) for cell in content["cells"]]
    return _without_nulls({**kept, "cells": cells, "compact": True, "model": model})


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _expanded(content: dict[str, Any]) -> dict[str, Any]:
    """Fill in what `compacted` left out, as unknown. Malformed content is left to the validation."""
    unknown = Provenance(
        command="", git_commit=None, versions={}, platform="unknown", device="unknown", started="unknown", seconds=0
    )
    filled = {"provenance": unknown.model_dump(), **content}
    if isinstance(filled.get("model"), dict):
        filled["model"] = {"card": {}, **filled["model"]}
    if isinstance(filled.get("cells"), list):
        empty = dict.fromkeys(PROBABILITY_COUNTS)
        filled["cells"] = [{**empty, **cell} if isinstance(cell, dict) else cell for cell in filled["cells"]]
    return filled


def laid_out(content: dict[str, Any]) -> str:
    """Format JSON with one line per cell: it stays readable, and a diff shows which cell changed."""
    entries = (f"  {json.dumps(name)}: {_entry(name, content[name])}" for name in sorted(content))
    return "{\n" + ",\n".join(entries) + "\n}"


def _entry(name: str, value: Any) -> str:
    if name == "cells" and value:
        return "[\n" + ",\n".join(f"    {json.dumps(cell)}" for cell in value) + "\n  ]"
    # A thousand class names are one line, not a thousand.
    indent = None if name == "predictions" else 2
    return json.dumps(value, indent=indent, ensure_ascii=False, sort_keys=True).replace("\n", "\n  ")
