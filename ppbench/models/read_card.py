"""Read the card of a checkpoint without its weights. Free of torch for files that ppbench wrote."""

from __future__ import annotations

from pathlib import Path

import safetensors

from ppbench.models.card import Card, stored_card
from ppbench.models.header import check_header


def read_card(path: Path) -> Card:
    """Read the card of a checkpoint, as `load_checkpoint` returns it.

    For a file that ppbench wrote, only the header is read; whether the weights fit the card is not checked. Any other
    file, readable or not, goes to `load_checkpoint`, which makes the card or says what is wrong.

    Raises:
        DataError: If the file is missing, damaged or of another kind, or its card is not valid.
        UsageError: If the file has no card, and its tensors alone do not determine one.
    """
    metadata: dict[str, str] = {}
    try:
        if path.is_file():
            check_header(path)
            with safetensors.safe_open(path, framework="np") as file:
                metadata = file.metadata() or {}
    # Whatever is wrong with it, `load_checkpoint` says so.
    except (OSError, ValueError, RecursionError, safetensors.SafetensorError):
        pass
    card = stored_card(path, metadata)
    if card is None:
        from ppbench.models.checkpoint import load_checkpoint

        card = load_checkpoint(path).card
    return card
