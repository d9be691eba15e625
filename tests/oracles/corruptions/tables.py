"""The constants of every corruption, from ``severity_parameters.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Draws = dict[str, Any]
"""The random draws of one image, by name."""

TABLE_OF_RECIPE = {
    "imagenet-c": "imagenet-224",
    "imagenet-c-299": "inception-299",
    "tiny-imagenet-c": "tiny-64",
    "cifar-c": "cifar-32",
    "imagecorruptions": "imagecorruptions",
}
RECIPES = tuple(TABLE_OF_RECIPE)
PACKAGE = "imagecorruptions"
"""The recipe that is a package for any size; the others were scripts for one size."""

PARAMETERS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "severity_parameters.json").read_text())
FIXED: dict[str, Any] = PARAMETERS["fixed"]["all"]
"""Constants that neither the severity nor the recipe changes."""


def constants(corruption: str, severity: int, recipe: str) -> dict[str, Any]:
    """The constants of one severity, 1 to 5, by name."""
    if severity not in (1, 2, 3, 4, 5):
        raise ValueError(f"no severity {severity}")
    return PARAMETERS[TABLE_OF_RECIPE[recipe]][corruption][severity - 1]


def native_size(recipe: str) -> int:
    """The side that the recipe's constants in pixels are for; not for ``PACKAGE``."""
    return PARAMETERS["fixed"][TABLE_OF_RECIPE[recipe]]["size"]


def frost_scale(recipe: str) -> float:
    """What the recipe's script scales the frost textures by; not for ``PACKAGE``."""
    return PARAMETERS["fixed"][TABLE_OF_RECIPE[recipe]]["frost_rescale"]
