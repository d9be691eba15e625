"""The recipes: which constants and which algorithm stand behind the corruptions' names. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from ppbench.registry import Registry


@dataclass(frozen=True)
class Recipe:
    """Constants and algorithm behind the corruptions."""

    name: str
    description: str
    size: str
    """Image sizes it works at."""
    source: str


RECIPES: Registry[Recipe] = Registry("recipe", "ppbench list recipes")
RECIPES.register(
    "imagecorruptions",
    Recipe(
        name="imagecorruptions",
        description="the package's own variant: ImageNet-C's 224 px constants at any size",
        size="any (below 32 px on a padded canvas)",
        source="Michaelis et al., arXiv 1907.07484",
    ),
)
