"""The responses of the first layer to images, clean and corrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.recipes import recipe_for, recipe_for_size
from ppbench.data.arrays import embedded_images
from ppbench.data.decode import decode_rgb
from ppbench.data.source import Geometry
from ppbench.errors import DataError
from ppbench.files import check_regular
from ppbench.inspection.layer import FirstLayer, Responses
from ppbench.models.card import Card
from ppbench.models.normalise import mean_and_std, normalise

EXAMPLES = ("Ankle boot", "Shirt")
"""Classes of the embedded images; a network trained on such images is shown the first image of each class."""


@dataclass(frozen=True)
class ImageResponses:
    """One image as the network sees it, clean and corrupted, and the responses of the first layer to both."""

    name: str
    corruption: str
    severity: int
    recipe: str
    clean: NDArray[np.uint8]
    """``(H, W, C)``, with as many channels as the network takes."""
    corrupted: NDArray[np.uint8]
    responses: Responses
    """Each ``(2, filters, H', W')``: clean, corrupted."""

    def change(self) -> dict[str, float | None]:
        """How far corruption moves the responses: ``|corrupted - clean| / |clean|``, Euclidean norms over all filters.

        None if the clean response is 0 everywhere.
        """
        parts = {"push": self.responses.push, "pull": self.responses.pull, "output": self.responses.output}
        return {name: _relative(both) for name, both in parts.items() if both is not None}


def load_images(paths: Sequence[Path], card: Card) -> list[tuple[str, NDArray[np.uint8]]]:
    """Read images and cut them for a network: resize the shorter side, then take a square from the middle.

    Returns:
        Name and pixels ``(size, size, C)`` of each.

    Raises:
        DataError: If a file is missing, or is not an image.
    """
    cut = Geometry.of(card.model_copy(update={"resize": card.resize or card.input_size}))
    for path in paths:
        check_regular(path)
        if not path.is_file():
            raise DataError(f"there is no image {path}", "Name image files after the model, or none.")
    images = ((str(path), decode_rgb(path, cut)) for path in paths)
    if card.in_channels == 3:
        return list(images)
    return [(name, np.asarray(Image.fromarray(pixels).convert("L"))[..., None]) for name, pixels in images]


def example_images(card: Card) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return some of the embedded images for a network that was trained on such images, else none."""
    if card.trained_on != "fashion-mnist" or card.in_channels != 1:
        return []
    source = embedded_images()
    classes = [source.class_names.index(name) for name in EXAMPLES]
    places = [int(np.flatnonzero(source.labels == number)[0]) for number in classes]
    return [(source.ids[place], source.images[place]) for place in places]


def look_at(
    layer: FirstLayer, card: Card, name: str, image: NDArray[np.uint8], *, corruption: str, severity: int, seed: int = 0
) -> ImageResponses:
    """Corrupt an image and compute the layer's responses to the clean and to the corrupted image.

    Args:
        layer: The first layer, on the CPU.
        card: The card of its network.
        name: Name of the image, which is also its id in the corruption's draws.
        image: ``(H, W, C)`` uint8.
        corruption: One of the 19 names.
        severity: 1 to 5.
        seed: Seed of the corruption.

    Raises:
        UsageError: If there is no such corruption or severity.
    """
    recipe = recipe_for(corruption, recipe_for_size(*image.shape[:2]))
    corrupted = corrupt(image[None], corruption, severity, recipe=recipe, seed=seed, ids=[name])[0]
    both = torch.from_numpy(np.stack((image, corrupted))).permute(0, 3, 1, 2)
    responses = layer.responses(normalise(both, *mean_and_std(card)))
    return ImageResponses(name, corruption, severity, recipe, image, corrupted, responses)


def _relative(both: Tensor) -> float | None:
    clean, corrupted = both.double()
    size = float(clean.norm())
    return float((corrupted - clean).norm()) / size if size else None
