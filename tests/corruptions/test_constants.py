"""The table of constants against a separately kept one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ppbench.corruptions.constants import constants
from ppbench.corruptions.recipes import RECIPES, recipe_for_size
from ppbench.vocabulary import C19

TRUTH = json.loads((Path(__file__).parents[1] / "oracles" / "severity_parameters.json").read_text())
TABLES = {
    "imagenet-c": "imagenet-224",
    "imagenet-c-299": "inception-299",
    "tiny-imagenet-c": "tiny-64",
    "cifar-c": "cifar-32",
    "imagecorruptions": "imagecorruptions",
}


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("corruption", C19)
def test_every_constant_is_the_references(recipe: str, corruption: str) -> None:
    table = TRUTH[TABLES[recipe]][corruption]
    for severity, expected in enumerate(table, 1):
        got = list(constants(recipe, corruption, severity))
        if corruption == "zoom_blur":
            assert np.arange(*got).tolist() == pytest.approx(expected["factors"])
            continue
        values = list(expected.values())
        if (recipe, corruption) == ("imagecorruptions", "elastic_transform"):
            values = [values[0], values[1], 0]  # the half-width of the draws is a rule, not a constant
        assert got == pytest.approx(values)


@pytest.mark.parametrize(
    ("size", "recipe"),
    [
        ((28, 28), "cifar-c"), ((32, 32), "cifar-c"), ((64, 64), "tiny-imagenet-c"), ((96, 200), "tiny-imagenet-c"),
        ((224, 224), "imagenet-c"), ((299, 299), "imagenet-c-299"), ((299, 400), "imagenet-c"),
        ((1080, 1920), "imagenet-c"),
    ],
)  # fmt: skip
def test_a_size_has_the_recipe_whose_own_size_is_nearest(size: tuple[int, int], recipe: str) -> None:
    assert recipe_for_size(*size) == recipe
