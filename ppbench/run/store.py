"""Reading and writing run files: earlier versions are read, each file appears whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ppbench.errors import DataError
from ppbench.files import atomic_write, read_text
from ppbench.parsing import parse_json
from ppbench.run.bits import bits_file
from ppbench.run.fields import as_utf8, first_problem
from ppbench.run.schema import PROBABILITY_COUNTS, VERSION, Bits, Provenance, Run
from ppbench.vocabulary import Cell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def write_run(
    path: Path,
    run: Run,
    bits: Mapping[Cell, NDArray[np.bool_]] | None = None,
    keys: NDArray[np.uint64] | None = None,
    *,
    compact: bool = False,
) -> Run:
    """Write ``run`` and, beside it, the correctness bits; each file appears whole or not at all.

    Args:
        path: The run file (``….json``).
        run: The record; its ``bits`` entry is filled in here.
        bits: ``(n,)`` booleans per cell of the run, in the order of the images.
        keys: ``(n,)``, keys of the images (`image_keys`) in the same order. Without them the run can be paired only
            with runs of exactly the same images.
        compact: Whether to write only what a baseline needs, so that runs with equal results have equal files: no
            provenance, no card and no nulls.

    Returns:
        The run as written.

    Raises:
        DataError: If the folder cannot be written.
    """
    if bits is not None:
        import numpy as np

        packed = np.stack([np.packbits(bits[cell.key]) for cell in run.cells])
        buffer = io.BytesIO()
        np.save(buffer, packed, allow_pickle=False)
        if keys is not None:
            np.save(buffer, keys.astype("<u8"), allow_pickle=False)
        # Before the run file, which then never names bits that are not there.
        beside, content = bits_file(path), buffer.getvalue()
        atomic_write(beside, content)
        run = run.model_copy(
            update={"bits": Bits(file=as_utf8(beside.name), sha256=hashlib.sha256(content).hexdigest())}
        )
    record = run.model_dump(mode="json")
    atomic_write(path, _pretty(_compacted(record) if compact else record) + "\n")
    return run


def read_run(path: Path | str) -> Run:
    """Read a run file of this or an earlier version.

    Raises:
        DataError: If the file is missing, is not a run file, is of a later version, or contradicts itself.
    """
    path = Path(path)
    try:
        content = parse_json(read_text(path))
    except OSError as error:
        raise DataError(f"cannot read the run {path}: {error.strerror}", "`ppbench eval` writes run files.") from error
    except ValueError as error:
        raise DataError(
            f"{path} is not a run file: it is not JSON ({error})", "`ppbench eval` writes run files."
        ) from error
    version = content.get("version") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise DataError(f"{path} is not a run file: it has no version", "`ppbench eval` writes run files.")
    if version > VERSION:
        raise DataError(
            f"{path} is a run file of version {version}; this ppbench reads up to {VERSION}",
            "Update ppbench: `git pull && uv sync` in its clone.",
        )
    while version in _MIGRATIONS:
        content = _MIGRATIONS[version](content)
        version = content["version"]
    if content.pop("compact", False):
        content = _expanded(content)
    try:
        return Run.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path} is damaged: {first_problem(error)}", "Evaluate again, or restore the file.") from error


def _from_version_1(content: dict[str, Any]) -> dict[str, Any]:
    """Version 2 only added fields. Their defaults describe version 1: all classes, one process, not compiled."""
    return {**content, "version": 2}


_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_version_1}
"""Functions by the version that they read. Each returns the content in the next version."""


def _compacted(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a baseline: sorted, and without when and where it was made."""
    model = {key: value for key, value in content["model"].items() if key != "card"}
    kept = {key: value for key, value in content.items() if key != "provenance"}
    cells = [dict(sorted(cell.items())) for cell in content["cells"]]
    return _without_nulls({**kept, "cells": cells, "compact": True, "model": model})


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _expanded(content: dict[str, Any]) -> dict[str, Any]:
    """Fill in what `_compacted` left out, as unknown. Malformed content is left to the validation."""
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


def _pretty(content: dict[str, Any]) -> str:
    """Format JSON with one line per cell: it stays readable, and a diff shows which cell changed."""
    rows = ",\n".join(f"    {json.dumps(cell)}" for cell in content["cells"])
    body = json.dumps({**content, "cells": "@"}, indent=2, ensure_ascii=False, sort_keys=True)
    # Of all texts, only the name of the bits file is written before the cells, and it never is "@".
    return body.replace('"@"', f"[\n{rows}\n  ]" if content["cells"] else "[]", 1)
