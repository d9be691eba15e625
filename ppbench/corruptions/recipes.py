"""The recipes: which constants and which algorithms the names of corruptions stand for. Free of torch.

Sources: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR
2019; Michaelis et al., "Benchmarking Robustness in Object Detection", arXiv 1907.07484; Mintun et al., "On
Interaction Between Augmentations and Corruptions of Natural Images", NeurIPS 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

from ppbench.corruptions.strengths import STRENGTHS
from ppbench.errors import UsageError
from ppbench.lookup import NameTable
from ppbench.vocabulary import C_BAR, C_BAR_CIFAR


@dataclass(frozen=True)
class Recipe:
    """Constants and algorithms of the corruptions."""

    name: str
    description: str
    native_size: int | None
    """Side, in pixels, of the images it was made for; None: any size."""
    size: str
    """The sizes it was made for and works at, in words. All recipes need sides of at least 8 px."""
    source: str
    frost_scale: float = 1.0
    """Scale of the frost textures."""
    frost_textures: int = 5
    """How many of the six textures are used."""

    @property
    def is_package(self) -> bool:
        """Whether the algorithms are those of the package where they differ from the original scripts."""
        return self.native_size is None


_HENDRYCKS = "Hendrycks 2019"

_RECIPES = (
    Recipe("imagenet-c", "ImageNet-C, before its JPEG", 224, "224, any", _HENDRYCKS),
    Recipe("imagenet-c-299", "the same for Inception", 299, "299, any", _HENDRYCKS),
    Recipe("tiny-imagenet-c", "Tiny-ImageNet-C", 64, "64, any", _HENDRYCKS, frost_scale=0.3),
    Recipe("cifar-c", "CIFAR-10-C, CIFAR-100-C", 32, "32, any", _HENDRYCKS, frost_scale=0.2),
    Recipe("imagecorruptions", "the package's variant", None, "any", "Michaelis 2019", frost_textures=6),
)

_MINTUN = "Mintun 2021"

_BAR_RECIPES = (
    Recipe("imagenet-c-bar", "ImageNet-C-bar, before its JPEG", 224, "224, any", _MINTUN),
    Recipe("cifar-c-bar", "CIFAR-10-C-bar", 32, "32, any", _MINTUN),
)

_SEE = "ppbench list recipes"

RECIPES = NameTable({recipe.name: recipe for recipe in _RECIPES}, "recipe", _SEE)
"""The recipes of the 19 corruptions."""

KNOWN_RECIPES = NameTable({recipe.name: recipe for recipe in (*_RECIPES, *_BAR_RECIPES)}, "recipe", _SEE)
"""All recipes, those of C-bar too."""


def recipe_for_size(height: int, width: int) -> str:
    """Return the name of the recipe whose constants suit images of a size, by the shorter side in pixels.

    The borders are halfway, by ratio, between the sizes the recipes were made for: 32, 64, 224 px. The constants for
    299 px are used only for 299 x 299 px, since ImageNet-C proper is the set of 224 px.
    """
    side = min(height, width)
    if side < 45:
        return "cifar-c"
    if side < 120:
        return "tiny-imagenet-c"
    return "imagenet-c-299" if height == width == 299 else "imagenet-c"


def c_bar_for(recipe: str) -> tuple[str, ...]:
    """Return the C-bar set that belongs to a recipe: CIFAR-10's for those of small images, otherwise ImageNet's."""
    return C_BAR_CIFAR if recipe in _SMALL else C_BAR


_SMALL = ("cifar-c", "tiny-imagenet-c", "cifar-c-bar")


def recipe_for(corruption: str, wanted: str) -> str:
    """Return the recipe that makes a corruption where ``wanted`` is the recipe of a job.

    A recipe of the 19 corruptions stands for C-bar's of the nearer size too; where that lacks a corruption, the other
    has it.

    Raises:
        UsageError: If the recipe is unknown, or one of C-bar's that lacks the corruption.
    """
    recipe = KNOWN_RECIPES[wanted].name
    having = [name for name, table in STRENGTHS.items() if corruption in table]
    if recipe in having or (recipe not in STRENGTHS and not having):
        return recipe
    if recipe in STRENGTHS:
        others = " or ".join(having) or "the recipe of another set"
        raise UsageError(f"recipe {recipe} has no {corruption}", f"Leave the recipe out, or take {others}.")
    near = "cifar-c-bar" if recipe in _SMALL else "imagenet-c-bar"
    return near if near in having else having[0]
