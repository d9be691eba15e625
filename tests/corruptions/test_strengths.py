"""The table of strengths against a separately kept one."""

from __future__ import annotations

import pytest

from ppbench.corruptions.constants import constants
from ppbench.corruptions.strengths import STRENGTHS
from ppbench.vocabulary import C_BAR, C_BAR_CIFAR
from tests.oracles.bar import TABLES


def test_every_strength_is_the_references() -> None:
    assert {recipe: {name: list(row) for name, row in table.items()} for recipe, table in STRENGTHS.items()} == TABLES


@pytest.mark.parametrize(("recipe", "names"), [("imagenet-c-bar", C_BAR), ("cifar-c-bar", C_BAR_CIFAR)])
def test_a_recipe_has_its_set(recipe: str, names: tuple[str, ...]) -> None:
    assert set(STRENGTHS[recipe]) == set(names)
    assert constants(recipe, "sparkles", 5).value == STRENGTHS[recipe]["sparkles"][4]
