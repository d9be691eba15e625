"""Write the tables of docs/corruptions.md: how far the engine is from its references, corruption by corruption.

``python -m tools.measure_fidelity`` replaces what stands between the two markers of the page. The same measurement, on
fewer images, is a test (tests/corruptions/test_fidelity.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from ppbench.corruptions.apply import corrupt
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
MARKERS = ("<!-- measured by python -m tools.measure_fidelity -->", "<!-- end of what was measured -->")
SEVERITIES = (1, 2, 3, 4, 5)


def worst(found: Iterable[Deviation]) -> str:
    """Largest fraction of differing values and largest bias of some results, as a table's cell."""
    found = list(found)
    largest = max(each.largest for each in found)
    if largest == 0:
        return "equal"
    fraction = max(each.fraction for each in found)
    bias = max((each.bias for each in found), key=abs)
    return (f"{largest} levels: " if largest > 1 else "") + f"{fraction * 100:.2g} %, {bias:+.0e}"


def against_oracles(corruption: str, recipe: str) -> str:
    """All severities of the recipe's images, each with draws of its own."""
    return worst(
        measure(image, corruption, severity, recipe, seed=10 * severity + number)
        for severity in SEVERITIES
        for number, image in enumerate([*images_for(recipe), dark_image_for(recipe)])
    )


def against_package(corruption: str) -> str:
    """Recipe ``imagecorruptions`` at 224 x 144 px, with the package's own draws."""
    images = [np.ascontiguousarray(image[:, :144]) for image in images_for("imagenet-c")]
    return worst(
        measure_package(image, corruption, severity, seed=severity) for severity in SEVERITIES for image in images
    )


def kernels_against_tensors(corruption: str) -> str:
    """The CPU's kernels against the tensor code that runs on GPUs, here on the CPU."""
    found = []
    for severity in SEVERITIES:
        for image in images_for("imagenet-c"):
            fast = corrupt(image, corruption, severity)
            with disabled():
                found.append(deviation(corrupt(image, corruption, severity), fast))
    return worst(found)


def table() -> str:
    """The whole table as Markdown."""
    columns = [*RECIPES, "the package", "tensor code"]
    lines = ["| corruption | " + " | ".join(columns) + " |", "| --- " * (len(columns) + 1) + "|"]
    for corruption in C19:
        cells = [against_oracles(corruption, recipe) for recipe in RECIPES]
        cells += [against_package(corruption), kernels_against_tensors(corruption)]
        lines.append(f"| {corruption} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    """Measure, and replace the table in the page."""
    torch.set_num_threads(1)
    before, _, rest = PAGE.read_text().partition(MARKERS[0])
    after = rest.partition(MARKERS[1])[2]
    atomic_write(PAGE, f"{before}{MARKERS[0]}\n\n{table()}\n\n{MARKERS[1]}{after}")


if __name__ == "__main__":
    main()
