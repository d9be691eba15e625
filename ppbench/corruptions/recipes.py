"""The recipes: which constants and which algorithm stand behind the corruptions' names. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from ppbench.registry import unknown_name


@dataclass(frozen=True)
class Recipe:
    """Constants and algorithm behind the corruptions."""

    name: str
    description: str
    size: str
    """Image sizes it works at."""
    source: str


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "imagecorruptions",
            "the package's own variant: ImageNet-C's 224 px constants at any size",
            "any (below 32 px on a padded canvas)",
            "Michaelis et al., arXiv 1907.07484",
        ),
    )
}


def get_recipe(name: str) -> Recipe:
    """Return the recipe called ``name``.

    Raises:
        UsageError: If there is none.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, list(RECIPES), "ppbench list recipes")
    return RECIPES[name]
