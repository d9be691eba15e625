"""Every corruption x severity x recipe against the references' described behaviour, given the same draws."""

from __future__ import annotations

import pytest

from ppbench.corruptions.recipes import RECIPES
from ppbench.vocabulary import C19
from tests.corruptions.fidelity import POINTWISE, images_for, measure


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("corruption", C19)
def test_the_engine_does_what_the_references_do(corruption: str, recipe: str) -> None:
    allowed = 0.001 if corruption in POINTWISE else 0.01
    for severity in range(1, 6):
        for number, image in enumerate(images_for(recipe)[severity % 2 :: 2]):
            found = measure(image, corruption, severity, recipe, seed=number)
            assert found.largest <= 1, (severity, number, found)
            assert found.fraction <= allowed, (severity, number, found)
            assert abs(found.bias) < 0.01, (severity, number, found)
