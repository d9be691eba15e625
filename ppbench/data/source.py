"""Where images come from: what all sources offer, and how a subset of them is chosen. Free of torch."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""Images ``(N, H, W, C)``, C = 1 (grey) or 3 (RGB)."""


@dataclass(frozen=True)
class Geometry:
    """How a model wants its images cut: resize of the shorter side (None: none), then a square centre crop.

    All in pixels.
    """

    size: int
    resize: int | None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"


class Source(ABC):
    """Labelled images, clean and corrupted. Sources are pickled to worker processes, so they hold no open files."""

    dataset: str
    kind: Literal["published", "generated-jpeg85", "generated"]
    recipe: str
    engine: str
    has_clean: bool
    """Whether the uncorrupted images are at hand."""
    num_classes: int
    channels: Literal[1, 3]
    size: int
    """Side of the square images it gives, in pixels."""
    is_slow: bool
    """Whether making an image takes longer than handing it over to another process."""
    resizes: bool
    """Whether images are resized and cropped as the model's card says; else they come as they are."""
    ids: list[str]
    """One per image, the same in every cell."""
    labels: NDArray[np.int64]
    """``(N,)`` class numbers."""
    total: int
    """Images in the dataset; more than ``len(ids)`` if a subset was taken."""

    @abstractmethod
    def limit(self, places: NDArray[np.int64]) -> None:
        """Keep only the images at ``places``."""

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 (hex) that tells this dataset from any other, before a subset is taken."""

    @abstractmethod
    def check(self, corruptions: Sequence[str], severities: Sequence[int]) -> None:
        """Raise `DataError`, before any inference, if a cell cannot be had."""

    @abstractmethod
    def load(self, corruption: str, severity: int, places: NDArray[np.int64]) -> Pixels:
        """The images at ``places`` in one cell; ("clean", 0) is the uncorrupted ones.

        Raises:
            DataError: If a file is missing, truncated or no image.
        """


def ids_hash(ids: Sequence[str]) -> str:
    """SHA-256 (hex) of the ids in order."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def stratified_subset(ids: Sequence[str], labels: NDArray[np.int64], limit: int, seed: int) -> NDArray[np.int64]:
    """Choose ``limit`` images with equal shares of all classes; smaller subsets lie inside larger ones.

    Every class is put into an order that depends on the seed and the ids alone; the subset takes from each class, in
    turns, in proportion to its size.

    Args:
        ids: One per image, unique.
        labels: ``(N,)`` class numbers.
        limit: How many, at least 1; more than N means all.
        seed: Another seed, another subset.

    Returns:
        ``(limit,)`` indices, ascending.
    """
    draw = np.array([hashlib.sha256(f"subset/{seed}/{name}".encode()).digest()[:8] for name in ids], "S8")
    order = np.lexsort((draw, labels))
    counts = np.bincount(labels)
    rank = np.concatenate([np.arange(count) for count in counts])
    share = (rank + 0.5) / counts[labels[order]]
    # Ties between classes of equal size are broken by the draw, so that no class is favoured.
    by_turn = order[np.lexsort((draw[order], share))]
    return np.sort(by_turn[:limit]).astype(np.int64)
