"""Check the header of a safetensors file: a length, then JSON with tensors and metadata. Free of torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ppbench.models.limits import MAX_DIMENSIONS, MAX_TENSORS

MAX_HEADER = 4 << 20
"""Largest header in bytes. One tensor takes about 100; a card a few thousand."""


def check_header(path: Path) -> None:
    """Raise `ValueError` for a header that would exhaust the memory, or that has two tensors of the same name."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MAX_HEADER, path.stat().st_size - 8):
            raise ValueError(f"its header claims {length:,} bytes, more than {MAX_HEADER:,} or the file's size")
        header = json.loads(file.read(length), object_pairs_hook=_without_repeats)
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise ValueError(f"its header is not an object, or lists more than {MAX_TENSORS:,} tensors")
    shapes = [entry.get("shape", []) for entry in header.values() if isinstance(entry, dict)]
    if not all(isinstance(shape, list) and len(shape) <= MAX_DIMENSIONS for shape in shapes):
        raise ValueError(f"it has a tensor of more than {MAX_DIMENSIONS} dimensions, or without a list of them")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("its header has a name twice")
    return made
