"""The backends that corrupt images: ppbench's engine, and the package it is compared with. Free of torch until used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ppbench.corruptions.own import OwnCorruption
from ppbench.corruptions.recipes import KNOWN_RECIPES, recipe_for, recipe_for_size
from ppbench.corruptions.reference import corrupt_images, engine_version
from ppbench.corruptions.types import Pixels
from ppbench.errors import UsageError
from ppbench.lookup import NameTable
from ppbench.vocabulary import C19, MADE

ENGINE = "ppbench corruptions 1"
"""Name and version of the engine, for records. The version increases whenever a pixel of any corruption changes."""

Maker = Callable[[Pixels, str | OwnCorruption, int, str, int, Sequence[str]], Pixels]
"""Images, corruption, severity, recipe, seed, ids -> corrupted images of the same shape.

Images are ``(n, H, W, C)`` uint8: an array, or a tensor if `Backend.on_device`. Only such a backend takes corruptions
of the user's own.
"""


@dataclass(frozen=True)
class Backend:
    """Something that corrupts images."""

    name: str
    version: Callable[[], str]
    """Name and version, for records."""
    only_recipe: str | None
    """The one recipe it has; None: all."""
    maker: Callable[[], Maker]
    """Returns the function that corrupts. Importing torch takes seconds, and choosing a backend needs none of it."""
    on_device: bool = False
    """Whether it computes with torch, on the images' device and at any scale of the recipe's lengths."""
    is_slow: bool = False
    """Whether it takes many times as long per image as a network, so that worker processes pay off."""

    @property
    def corrupt(self) -> Maker:
        """The function that corrupts images."""
        return self.maker()

    def recipe(self, wanted: str | None, height: int, width: int) -> str:
        """Return the name of the recipe to use: the wanted one, else the one that suits images of a size.

        Raises:
            UsageError: If there is no such recipe, or the backend does not have it.
        """
        name = KNOWN_RECIPES[wanted].name if wanted is not None else self.only_recipe or recipe_for_size(height, width)
        if self.only_recipe not in (None, name):
            raise UsageError(
                f"--recipe {name} is not what --backend {self.name} makes",
                f"Leave one of the two out, or take `--recipe {self.only_recipe}`.",
            )
        return name

    def check_has(self, corruptions: Sequence[str], recipe: str) -> None:
        """Raise `UsageError` for a corruption of ppbench's that the backend or the recipe lacks."""
        for name in corruptions:
            if name in MADE:
                recipe_for(name, recipe)
            if name in MADE and name not in C19 and not self.on_device:
                raise UsageError(f"--backend {self.name} does not make {name}", "Leave one of the two out.")

    def check_makes(self, own: Sequence[OwnCorruption]) -> None:
        """Raise `UsageError` if there are corruptions of the user's own, and the backend is a package with its own."""
        if own and not self.on_device:
            raise UsageError(f"{own[0].spec} is not what --backend {self.name} makes", "Leave one of the two out.")


def _engine() -> Maker:
    from ppbench.corruptions.apply import corrupt_batch

    return corrupt_batch


_BACKENDS = (
    Backend("ppbench", lambda: ENGINE, None, _engine, on_device=True),
    Backend("imagecorruptions", engine_version, "imagecorruptions", lambda: corrupt_images, is_slow=True),
)

BACKENDS = NameTable({backend.name: backend for backend in _BACKENDS}, "backend", "ppbench eval --help")
