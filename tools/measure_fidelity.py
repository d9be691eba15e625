"""Write the tables of docs/corruptions.md: how far the engine is from its references, corruption by corruption.

``python -m tools.measure_fidelity`` replaces what stands between the two markers of the page, and writes the figures to
docs/validation/corruptions.json, from which docs/validation.md has its table (``python -m tools.write_tables``). The
same measurement, on fewer images, is a test (tests/corruptions/test_fidelity.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.backends import ENGINE
from ppbench.corruptions.kernels import disabled
from ppbench.corruptions.recipes import RECIPES
from ppbench.files import atomic_write
from ppbench.vocabulary import C19
from tests.corruptions.fidelity import (
    Deviation,
    dark_image_for,
    deviation,
    images_for,
    measure,
    measure_package,
)

PAGE = Path(__file__).parents[1] / "docs" / "corruptions.md"
FIGURES = PAGE.parent / "validation" / "corruptions.json"
MARKERS = ("<!-- measured by python -m tools.measure_fidelity -->", "<!-- end of what was measured -->")
SEVERITIES = (1, 2, 3, 4, 5)


def worst(found: Iterable[tuple[Deviation, int]]) -> dict[str, float]:
    """Of some results with their numbers of values: how many there were, and the largest of each kind of deviation."""
    found = list(found)
    each = [deviation for deviation, _ in found]
    return {
        "images": len(found),
        "values": sum(values for _, values in found),
        "largest": max(one.largest for one in each),
        "fraction": float(f"{max(one.fraction for one in each):.6g}"),
        "bias": float(f"{max((one.bias for one in each), key=abs):.6g}"),
    }


def cell(found: dict[str, float]) -> str:
    """What `worst` found, in a table."""
    if found["largest"] == 0:
        return "equal"
    levels = f"{found['largest']} levels: " if found["largest"] > 1 else ""
    return f"{levels}{found['fraction'] * 100:.2g} %, {found['bias']:+.0e}"


def against_oracles(corruption: str, recipe: str) -> dict[str, float]:
    """All severities of the recipe's images, each with draws of its own."""
    return worst(
        (measure(image, corruption, severity, recipe, seed=10 * severity + number), image.size)
        for severity in SEVERITIES
        for number, image in enumerate([*images_for(recipe), dark_image_for(recipe)])
    )


def against_package(corruption: str) -> dict[str, float]:
    """Recipe ``imagecorruptions`` at 224 x 144 px, with the package's own draws."""
    images = [np.ascontiguousarray(image[:, :144]) for image in images_for("imagenet-c")]
    return worst(
        (measure_package(image, corruption, severity, seed=severity), image.size)
        for severity in SEVERITIES
        for image in images
    )


def kernels_against_tensors(corruption: str) -> dict[str, float]:
    """The CPU's kernels against the tensor code that runs on GPUs, here on the CPU."""
    found = []
    for severity in SEVERITIES:
        for image in images_for("imagenet-c"):
            fast = corrupt(image, corruption, severity)
            with disabled():
                found.append((deviation(corrupt(image, corruption, severity), fast), image.size))
    return worst(found)


def measurements() -> dict[str, dict[str, dict[str, float]]]:
    """What was found, by corruption and reference."""
    measured = {}
    for corruption in C19:
        row = {recipe: against_oracles(corruption, recipe) for recipe in RECIPES}
        row |= {"the package": against_package(corruption), "tensor code": kernels_against_tensors(corruption)}
        measured[corruption] = row
        print(corruption, *map(cell, row.values()), sep=" | ", flush=True)
    return measured


def table(measured: dict[str, dict[str, dict[str, float]]]) -> str:
    """The whole table as Markdown."""
    columns = list(next(iter(measured.values())))
    lines = ["| corruption | " + " | ".join(columns) + " |", "| --- " * (len(columns) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(map(cell, row.values())) + " |" for name, row in measured.items()]
    return "\n".join(lines)


def main() -> None:
    """Measure, keep the figures as JSON, and replace the table in the page."""
    torch.set_num_threads(1)
    measured = measurements()
    record = {"made_with": {"ppbench corruptions": ENGINE, "numpy": np.__version__}, "corruptions": measured}
    FIGURES.parent.mkdir(exist_ok=True)
    atomic_write(FIGURES, json.dumps(record, indent=1) + "\n")
    before, _, rest = PAGE.read_text().partition(MARKERS[0])
    after = rest.partition(MARKERS[1])[2]
    atomic_write(PAGE, f"{before}{MARKERS[0]}\n\n{table(measured)}\n\n{MARKERS[1]}{after}")


if __name__ == "__main__":
    main()
