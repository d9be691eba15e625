"""The notebook of the docs runs, and shows what is stored in it."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.forks import python

nbformat = pytest.importorskip("nbformat", reason="the notebook needs nbformat")
pytest.importorskip("nbclient", reason="the notebook needs nbclient")
pytest.importorskip("ipykernel", reason="the notebook needs a kernel")
pytest.importorskip("matplotlib", reason="the notebook needs the extra plots")

ROOT = Path(__file__).parents[1]


def shown(notebook: Any) -> list[tuple[str, str]]:
    """What the cells show: kind and text; of a picture, its size."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                found.append(("text", output.text))
            for kind, content in sorted(output.get("data", {}).items()):
                if kind == "image/png":
                    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
                        content = f"{picture.size}"
                found.append((kind, content))
    return found


def test_it_runs_and_shows_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from run_notebook import NOTEBOOK, executed

    monkeypatch.setattr(sys, "executable", python())  # which the kernel is started with
    stored = nbformat.read(NOTEBOOK, as_version=4)
    assert shown(executed()) == shown(stored), "python tools/run_notebook.py stores it again"
    assert sum(kind == "image/png" for kind, _ in shown(stored)) == 3
