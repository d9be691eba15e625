"""The checkpoints that come with ppbench, by name. Free of torch."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

EMBEDDED_MODELS = {
    "fashion-mnist-resnet8": "resnet8.safetensors",
    "fashion-mnist-resnet8-pp3": "resnet8-pp3.safetensors",
}
"""Name to file: one plain and one push-pull network, trained with the same recipe and seed (docs/embedded.md)."""


def embedded_path(name: str) -> Path:
    """Return the file of an embedded checkpoint."""
    with as_file(files("ppbench") / "assets" / EMBEDDED_MODELS[name]) as path:
        return path
