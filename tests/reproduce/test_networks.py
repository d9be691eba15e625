"""With which settings a row is trained."""

from __future__ import annotations

import pytest

from ppbench.reproduce.networks import wanted_recipe
from ppbench.reproduce.table import load_table, table_names
from ppbench.train.augment import AUGMENTATIONS


@pytest.mark.parametrize("name", table_names())
def test_every_row_has_a_recipe_that_can_be_trained(name: str) -> None:
    table = load_table(name)
    assert table.name == name
    for row in table.rows:
        recipe = wanted_recipe(table, row, 1)
        assert recipe.augment in AUGMENTATIONS
        assert recipe.augment == (row.augment or "none")
        assert (recipe.model, recipe.seed, recipe.dataset) == (row.model, 1, table.training.dataset)


def test_the_recipe_of_the_small_table_is_short_enough() -> None:
    recipe = wanted_recipe(load_table("fashion-mnist"), load_table("fashion-mnist").row("pp3"), 0)
    assert (recipe.epochs, recipe.batch_size, recipe.lr) == (6, 128, 0.2)
    assert (recipe.weight_decay, recipe.crop_padding) == (2e-4, 2)
