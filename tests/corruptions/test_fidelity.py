"""Every corruption x severity x recipe against the references' described behaviour, given the same draws."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ppbench.corruptions.recipes import RECIPES
from ppbench.vocabulary import C19
from tests.corruptions.fidelity import POINTWISE, dark_image_for, images_for, measure, measure_package

ROWS = 96
"""Of large images but one, which stays whole."""


def images_of(recipe: str, severity: int) -> list[tuple[int, NDArray[np.uint8]]]:
    """The lowest and the highest severity have all images, the first one whole; the others have one each."""
    first, *others = enumerate(images_for(recipe))
    images = [first, *((number, image[:ROWS]) for number, image in others)]
    return images if severity in (1, 5) else [images[severity - 2]]


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("corruption", C19)
def test_the_engine_does_what_the_references_do(corruption: str, recipe: str) -> None:
    allowed = 0.001 if corruption in POINTWISE else 0.01
    for severity in range(1, 6):
        for number, image in images_of(recipe, severity):
            found = measure(image, corruption, severity, recipe, seed=number)
            assert found.largest <= 1, (severity, number, found)
            assert found.fraction <= allowed, (severity, number, found)
            assert abs(found.bias) < 0.01, (severity, number, found)


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("corruption", C19)
def test_dark_flat_images_differ_by_one_level_in_few_values(corruption: str, recipe: str) -> None:
    allowed = 0.001 if corruption in POINTWISE else 0.02
    whole = dark_image_for(recipe)
    image = whole[64 : 64 + ROWS] if len(whole) > ROWS else whole  # as hard as the whole one
    for severity in range(1, 6):
        found = measure(image, corruption, severity, recipe, seed=severity)
        assert found.largest <= 1, (severity, found)
        assert found.fraction <= allowed, (severity, found)


@pytest.mark.parametrize("corruption", C19)
def test_the_recipe_imagecorruptions_is_the_package(corruption: str) -> None:
    """Directly, without the oracle between: the package's own draws after a seed are handed in."""
    # The package's glass_blur goes from pixel to pixel in Python.
    height, width = (56, 48) if corruption == "glass_blur" else (112, 96)
    image = np.ascontiguousarray(images_for("imagenet-c")[0][:height, :width])
    allowed = 0.001 if corruption in POINTWISE else 0.01
    for severity in range(1, 6):
        found = measure_package(image, corruption, severity, seed=severity)
        assert found.largest <= 1, (severity, found)
        assert found.fraction <= allowed, (severity, found)
        assert abs(found.bias) < 0.01, (severity, found)
