"""The law of keyed draws, against draws of the published code's law: statistics of whole images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.bar.draws import table
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import recipe_for
from ppbench.errors import UsageError
from ppbench.vocabulary import ALL_FAMILIES
from tests.oracles.bar import TABLES, oracle, random_draws, strength
from tests.trees import photographs

COUNT = 60
"""Corrupted versions of one photograph from each side."""


def statistics(made: np.ndarray) -> dict[str, np.ndarray]:
    x = made.astype(float)
    rough = np.abs(np.diff(x, axis=2)).mean((1, 2, 3))
    return {
        "mean": x.mean((1, 2, 3)),
        "deviation": x.std((1, 2, 3)),
        "corner": x[:, :8, :8].mean((1, 2, 3)),
        "rough": rough,
    }


def p_values(recipe: str, side: int) -> list[float]:
    """Of every random corruption at severities 1 and 5."""
    image, found = photographs(side, 1)[0], []
    for name in TABLES[recipe]:
        if name == "circular_motion_blur":
            continue
        for severity in (1, 5):
            rng = np.random.RandomState(severity)
            s = strength(recipe, name, severity)
            drawn = [random_draws(name, s, side, rng) for _ in range(COUNT)]
            theirs = statistics(np.stack([oracle(image, name, severity, recipe, d) for d in drawn]))
            ids = [str(i) for i in range(COUNT)]
            made = corrupt(np.repeat(image[None], COUNT, axis=0), name, severity, recipe=recipe, ids=ids)
            ours = statistics(made)
            found += [float(stats.ks_2samp(ours[what], theirs[what], method="asymp").pvalue) for what in ours]
    return found


@pytest.mark.parametrize(("recipe", "side"), [("imagenet-c-bar", 40), ("cifar-c-bar", 32)])
def test_keyed_images_have_the_law_of_the_reference(recipe: str, side: int) -> None:
    p = np.array(p_values(recipe, side))
    assert len(p) >= 72
    assert (p < 0.01).mean() <= 0.05, np.sort(p)[:6]
    assert p.min() > 1e-6


def test_a_recipe_of_the_19_stands_for_the_nearer_one_of_c_bar() -> None:
    assert recipe_for("sparkles", "imagenet-c-299") == recipe_for("perlin_noise", "cifar-c") == "imagenet-c-bar"
    assert recipe_for("sparkles", "tiny-imagenet-c") == recipe_for("lines", "imagenet-c") == "cifar-c-bar"
    assert recipe_for("fog", "cifar-c") == recipe_for("mist", "cifar-c") == "cifar-c"
    for name, recipe in (("lines", "imagenet-c-bar"), ("fog", "cifar-c-bar")):
        with pytest.raises(UsageError, match=f"recipe {recipe} has no {name}"):
            recipe_for(name, recipe)
    made = {recipe_for(name, "imagenet-c") for name in ALL_FAMILIES["c-bar"]}
    assert made == set(TABLES)


def test_what_is_no_table_is_refused() -> None:
    draws = Draws([1], torch.device("cpu"), {"grid": torch.zeros(1, 4)})
    with pytest.raises(UsageError, match="draw 'grid' has shape"):
        table(draws, "grid", 3, 3)
    assert table(draws, "rays", 3) is None
