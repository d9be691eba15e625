"""Every corruption x severity x recipe against the references' described behaviour, given the same draws."""

from __future__ import annotations

import numpy as np
import pytest

from ppbench.corruptions.recipes import RECIPES
from ppbench.vocabulary import C19
from tests.corruptions.fidelity import POINTWISE, dark_image_for, images_for, measure, measure_package


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("corruption", C19)
def test_the_engine_does_what_the_references_do(corruption: str, recipe: str) -> None:
    allowed = 0.001 if corruption in POINTWISE else 0.01
    for severity in range(1, 6):
        for number, image in enumerate(images_for(recipe)):
            if severity in (2, 3, 4) and number != severity - 2:
                continue  # the lowest and the highest severity on all images, the others on one each
            found = measure(image, corruption, severity, recipe, seed=number)
            assert found.largest <= 1, (severity, number, found)
            assert found.fraction <= allowed, (severity, number, found)
            assert abs(found.bias) < 0.01, (severity, number, found)


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("corruption", C19)
def test_dark_flat_images_differ_by_one_level_in_few_values(corruption: str, recipe: str) -> None:
    allowed = 0.001 if corruption in POINTWISE else 0.02
    for severity in range(1, 6):
        found = measure(dark_image_for(recipe), corruption, severity, recipe, seed=severity)
        assert found.largest <= 1, (severity, found)
        assert found.fraction <= allowed, (severity, found)


@pytest.mark.parametrize("corruption", C19)
def test_the_recipe_imagecorruptions_is_the_package(corruption: str) -> None:
    """Directly, without the oracle between: the package's own draws after a seed are handed in."""
    image = np.ascontiguousarray(images_for("imagenet-c")[0][:112, :96])
    allowed = 0.001 if corruption in POINTWISE else 0.01
    for severity in range(1, 6):
        found = measure_package(image, corruption, severity, seed=severity)
        assert found.largest <= 1, (severity, found)
        assert found.fraction <= allowed, (severity, found)
        assert abs(found.bias) < 0.01, (severity, found)
