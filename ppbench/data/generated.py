"""Corrupted images made on the fly from clean ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.backends import BACKENDS
from ppbench.data.source import Pixels, Source
from ppbench.vocabulary import CLEAN

SMALL = 16
"""Side in pixels from which on all corruptions work."""


class CleanImages(Protocol):
    """Labelled clean images, in memory or on disk."""

    ids: list[str]
    labels: NDArray[np.int64]
    num_classes: int
    channels: Literal[1, 3]
    size: int
    resizes: bool
    is_slow: bool

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the set."""
        ...

    def load(self, places: NDArray[np.int64]) -> Pixels:
        """The images at ``places``."""
        ...

    def take(self, places: NDArray[np.int64]) -> CleanImages:
        """The images at ``places`` as a set of their own."""
        ...


class GeneratedImages(Source):
    """Clean images and every corruption of them.

    A corrupted image depends on its pixels and on (seed, corruption, severity, id) alone.

    Args:
        dataset: Name, for the run file.
        clean: The clean images.
        recipe: Name of the recipe; None: the one that suits the images' size.
        seed: Key of all draws.
        backend: What makes them, one of `BACKENDS`.
    """

    kind: Literal["generated"] = "generated"
    has_clean = True

    def __init__(
        self, dataset: str, clean: CleanImages, recipe: str | None, seed: int, backend: str = "ppbench"
    ) -> None:
        maker = BACKENDS.get(backend)
        self.dataset, self.seed, self.backend = dataset, seed, maker.name
        self.recipe, self.engine = maker.recipe(recipe, clean.size, clean.size), maker.version()
        self.num_classes, self.channels, self.size = clean.num_classes, clean.channels, clean.size
        self.resizes, self.total = clean.resizes, len(clean.ids)
        self.is_slow = clean.is_slow or backend != "ppbench"
        self._fingerprint = clean.fingerprint()
        self._use(clean)

    def _use(self, clean: CleanImages) -> None:
        self.clean, self.ids, self.labels = clean, clean.ids, clean.labels

    def limit(self, places: NDArray[np.int64]) -> None:
        """Keep only the images at ``places``."""
        self._use(self.clean.take(places))

    def fingerprint(self) -> str:
        """Of the whole clean set."""
        return self._fingerprint

    def check(self, corruptions: Sequence[str], severities: Sequence[int]) -> None:
        """Make one blank image where a corruption cannot work at every size, which only glass_blur cannot."""
        blank = np.zeros((1, self.size, self.size, self.channels), np.uint8)
        for severity in severities if "glass_blur" in corruptions and self.size < SMALL else ():
            BACKENDS.get(self.backend).corrupt(blank, "glass_blur", severity, self.recipe, self.seed, [""])

    def load(self, corruption: str, severity: int, places: NDArray[np.int64]) -> Pixels:
        """The images at ``places`` in one cell."""
        images = self.clean.load(places)
        if corruption == CLEAN:
            return images
        ids = [self.ids[place] for place in places]
        return BACKENDS.get(self.backend).corrupt(images, corruption, severity, self.recipe, self.seed, ids)
