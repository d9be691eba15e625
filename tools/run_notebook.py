"""Run docs/notebook.ipynb again and store what it shows, small and free of what differs from machine to machine.

uv run python tools/run_notebook.py
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"
COLOURS = 64
"""Colours of a stored picture: enough for flat figures, and a quarter of the size."""


def executed(path: Path = NOTEBOOK) -> nbformat.NotebookNode:
    """Run the notebook in a fresh kernel, and return it with outputs that are worth storing."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [_stored(output) for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def _stored(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    if "execution_count" in output:
        output.execution_count = None
    data = output.get("data", {})
    # The plain text of a run names the command and the machine, and beside a table or a picture nobody reads it.
    if len(data) > 1:
        data.pop("text/plain", None)
    if "image/png" in data:
        data["image/png"] = _small(data["image/png"])
    return output


def _small(png: str) -> str:
    with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
        buffer = io.BytesIO()
        picture.convert("RGB").quantize(COLOURS).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
