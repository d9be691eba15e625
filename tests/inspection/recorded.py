"""An inspection read from a file: the same numbers on every machine, unlike those that a convolution computes.

The file holds three filters of each of the networks of `COMMAND`. To record it again::

    python -m tests.inspection.recorded
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ppbench.inspection.api import Inspection, inspect_model
from ppbench.inspection.images import ImageResponses, example_images
from ppbench.inspection.layer import FirstLayer, Norm, Responses
from ppbench.inspection.report import InspectionReport
from ppbench.inspection.selectivity import Grating, Selectivity
from ppbench.models.card import Card
from ppbench.models.load import resolve_model
from tests.inspection.layers import plain, push_pull

FILE = Path(__file__).parents[1] / "golden" / "runs" / "inspection.json"
COMMAND = "ppbench inspect fashion-mnist-resnet8-pp3 --against fashion-mnist-resnet8 --draws 16"
FILTERS = [5, 7, 12]
"""After batch norm the first two respond and the last is silent."""

ARRAYS = {"tuning": 0, "background": 0, "preferred": 0, "antiphase": 0, "noise": 1, "grating_in_noise": 1}
"""Fields of `Selectivity`, and which of their axes is that of the filters."""


def recorded() -> InspectionReport:
    """The report of the recorded inspections."""
    return InspectionReport(*map(_inspection, json.loads(FILE.read_text())))


def computed() -> list[dict[str, Any]]:
    """What `COMMAND` finds, in the form of the file."""
    one, other = (resolve_model(name) for name in ("fashion-mnist-resnet8-pp3", "fashion-mnist-resnet8"))
    first = inspect_model(one.name, one.model, one.card, example_images(one.card), draws=16)
    return [_content(first), _content(inspect_model(other.name, other.model, other.card, draws=16))]


def _content(inspection: Inspection) -> dict[str, Any]:
    required = {name for name, field in Card.model_fields.items() if field.is_required()}
    return {
        "model": inspection.name,
        "card": inspection.card.model_dump(mode="json", include=required | {"in_channels"}),
        "kernels": _rounded(inspection.layer.push_kernels()[FILTERS].tolist()),
        "selectivity": {
            point: {
                **{name: _of_filters(getattr(found, name), axis) for name, axis in ARRAYS.items()},
                "gratings": [found.gratings[number] for number in FILTERS],
            }
            for point, found in inspection.selectivity.items()
        },
        "images": [
            {
                "name": image.name,
                "corruption": image.corruption,
                "severity": image.severity,
                "recipe": image.recipe,
                "change": image.change(),
            }
            for image in inspection.images
        ],
    }


def _of_filters(values: NDArray[np.float64], axis: int) -> Any:
    return _rounded(values.take(FILTERS, axis).tolist())


def _rounded(value: Any) -> Any:
    return [_rounded(part) for part in value] if isinstance(value, list) else float(f"{value:.7g}")


def _inspection(content: dict[str, Any]) -> Inspection:
    kernels = torch.tensor(content["kernels"])
    layer = (push_pull if "push" in content["selectivity"] else plain)(kernels)
    norm = Norm("bn1", torch.ones(len(kernels)), torch.zeros(len(kernels)))
    return Inspection(
        content["model"],
        Card.model_validate(content["card"]),
        FirstLayer(layer.name, layer.module, norm),
        tuple(range(len(kernels))),
        {point: _selectivity(found) for point, found in content["selectivity"].items()},
        tuple(map(_image, content["images"])),
        seed=0,
    )


def _selectivity(found: dict[str, Any]) -> Selectivity:
    arrays = {name: np.array(found[name]) for name in ARRAYS}
    return Selectivity(gratings=tuple(Grating(*grating) for grating in found["gratings"]), **arrays)


def _image(content: dict[str, Any]) -> ImageResponses:
    """Responses of one value, which change as the recorded ones did."""
    change = content.pop("change")
    responses = Responses(*(torch.tensor([1.0, 1 + change[part]], dtype=torch.float64) for part in Responses._fields))
    blank = np.zeros((1, 1, 1), np.uint8)
    return ImageResponses(**content, clean=blank, corrupted=blank, responses=responses)


if __name__ == "__main__":
    FILE.write_text(json.dumps(computed()) + "\n")
