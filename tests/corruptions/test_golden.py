"""The pixels of this version of the engine. A change here is a change of `ppbench.corruptions.backends.ENGINE`.

``PPBENCH_WRITE_GOLDEN=1 pytest tests/corruptions/test_golden.py`` writes the file anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.backends import ENGINE
from ppbench.corruptions.recipes import RECIPES
from ppbench.corruptions.strengths import STRENGTHS
from ppbench.vocabulary import ALL_FAMILIES, C19

BAR = {f"{name} {recipe}" for recipe, table in STRENGTHS.items() for name in table}
SMOOTHED = {"gaussian_blur", "glass_blur", "motion_blur", "snow", "elastic_transform", "spatter"}
SMOOTHED |= set(ALL_FAMILIES["c-bar"])
"""Their Gaussian weights come from the exponential of numpy or the C library, whose last bit is the processor's; C-bar
has sines and Fourier transforms of libraries."""

FILE = Path(__file__).with_name("golden.json")


def image() -> np.ndarray:
    """48 x 40 px of waves, an edge, a flat area and noise, made of integers alone."""
    y, x, c = np.mgrid[0:48, 0:40, 0:3]
    waves = (x * x + 3 * y * (c + 1)) % 256
    waves[:12] = 255
    waves[12:20] = (x * 7919 + y * 104729 + c * 1299709)[12:20] // 13 % 256
    return waves.astype(np.uint8)


def means(name: str, recipe: str) -> list[float]:
    """Mean of each severity: what changes with any change of the law, and not with single ties."""
    return [round(float(corrupt(image(), name, s, recipe=recipe, ids=["golden"]).mean()), 3) for s in range(1, 6)]


def digest(name: str, recipe: str) -> str:
    """Of all pixels of all severities."""
    made = [corrupt(image(), name, severity, recipe=recipe, ids=["golden"]) for severity in range(1, 6)]
    return hashlib.sha256(b"".join(pixels.tobytes() for pixels in made)).hexdigest()[:16]


def current() -> dict[str, object]:
    cells = {f"{name} {recipe}": [digest(name, recipe), means(name, recipe)] for name in C19 for recipe in RECIPES}
    cells |= {cell: [digest(*cell.split()), means(*cell.split())] for cell in sorted(BAR)}
    return {"engine": ENGINE, "cells": cells}


if os.environ.get("PPBENCH_WRITE_GOLDEN"):
    FILE.write_text(json.dumps(current(), indent=0) + "\n")

GOLDEN = json.loads(FILE.read_text())


@pytest.mark.parametrize("cell", GOLDEN["cells"])
def test_no_pixel_changes_without_a_new_version_of_the_engine(cell: str) -> None:
    name, recipe = cell.split()
    assert GOLDEN["engine"] == ENGINE
    pixels, levels = GOLDEN["cells"][cell]
    assert means(name, recipe) == pytest.approx(levels, abs=0.5 if name in SMOOTHED else 0.02)
    assert digest(name, recipe) == pixels or name in SMOOTHED
