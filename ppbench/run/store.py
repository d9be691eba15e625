"""Reading and writing run files: earlier versions are read, each file appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ppbench.errors import DataError
from ppbench.files import atomic_write, read_text
from ppbench.parsing import parse_json
from ppbench.run.attached import is_page, run_in_page
from ppbench.run.bits import bits_content, bits_file
from ppbench.run.fields import as_utf8, first_problem
from ppbench.run.predictions import Predictions, predictions_content, predictions_file
from ppbench.run.schema import PROBABILITY_COUNTS, VERSION, Bits, PredictionsFile, Provenance, Run
from ppbench.vocabulary import Cell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def write_run(
    path: Path,
    run: Run,
    bits: Mapping[Cell, NDArray[np.bool_]] | None = None,
    keys: NDArray[np.uint64] | None = None,
    predictions: Predictions | None = None,
    *,
    compact: bool = False,
) -> Run:
    """Write ``run`` and, beside it, the results image by image; each file appears whole or not at all.

    Args:
        path: The run file (``….json``).
        run: The record; its ``bits`` and ``predictions`` entries are filled in here.
        bits: ``(n,)`` booleans per cell of the run, in the order of the images.
        keys: ``(n,)``, keys of the images (`image_keys`) in the same order. Without them the run can be paired only
            with runs of exactly the same images.
        predictions: The predictions in the same order, if they are kept. A baseline never keeps them.
        compact: Whether to write only what a baseline needs, so that runs with equal results have equal files: no
            provenance, no card, no predictions and no nulls.

    Returns:
        The run as written.

    Raises:
        DataError: If the folder cannot be written.
    """
    run, files = with_files(path, run, bits, keys, None if compact else predictions)
    # Before the run file, which then never names a file that is not there.
    for name, content in files.items():
        atomic_write(path.with_name(name), content)
    record = run.model_dump(mode="json")
    atomic_write(path, _pretty(_compacted(record) if compact else record) + "\n")
    return _of_file(run, path)


def with_files(
    path: Path,
    run: Run,
    bits: Mapping[Cell, NDArray[np.bool_]] | None = None,
    keys: NDArray[np.uint64] | None = None,
    predictions: Predictions | None = None,
) -> tuple[Run, dict[str, bytes]]:
    """Return a run that names the files beside it, and these files by name; see `write_run` for the arguments."""
    files: dict[str, bytes] = {}
    entries: dict[str, Any] = {"predictions": None}
    if bits is not None:
        name, content = bits_file(path).name, bits_content(run, bits, keys)
        files[name] = content
        entries["bits"] = Bits(file=as_utf8(name), sha256=hashlib.sha256(content).hexdigest())
    if predictions is not None and run.cells:
        name, content = predictions_file(path).name, predictions_content(run, predictions)
        files[name] = content
        entries["predictions"] = PredictionsFile(
            file=as_utf8(name), sha256=hashlib.sha256(content).hexdigest(), class_names=predictions.class_names
        )
    return run.model_copy(update=entries), files


def read_run(path: Path | str) -> Run:
    """Read a run file of this or an earlier version, or the run inside a page of ``ppbench report``.

    Raises:
        DataError: If the file is missing, is not a run file, is of a later version, or contradicts itself.
    """
    path = Path(path)
    try:
        content = run_in_page(path) if is_page(path) else parse_json(read_text(path))
    except OSError as error:
        raise DataError(f"cannot read the run {path}: {error.strerror}", "`ppbench eval` writes run files.") from error
    except ValueError as error:
        fault = error if is_page(path) else f"it is not JSON ({error})"
        raise DataError(f"{path} is not a run file: {fault}", "`ppbench eval` writes run files.") from error
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
        return _of_file(Run.model_validate(content), path)
    except ValidationError as error:
        raise DataError(f"{path} is damaged: {first_problem(error)}", "Evaluate again, or restore the file.") from error


def _of_file(run: Run, path: Path) -> Run:
    """The run, which now knows its file. It stays equal to the same run from elsewhere."""
    vars(run)["path"] = path.absolute()
    return run


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
    entries = (f"  {json.dumps(name)}: {_entry(name, content[name])}" for name in sorted(content))
    return "{\n" + ",\n".join(entries) + "\n}"


def _entry(name: str, value: Any) -> str:
    if name == "cells" and value:
        return "[\n" + ",\n".join(f"    {json.dumps(cell)}" for cell in value) + "\n  ]"
    # A thousand class names are one line, not a thousand.
    indent = None if name == "predictions" else 2
    return json.dumps(value, indent=indent, ensure_ascii=False, sort_keys=True).replace("\n", "\n  ")
