"""How far the engine is from the references' described behaviour, given the same draws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.recipes import RECIPES
from tests.oracles.corruptions import oracle, random_draws
from tests.oracles.package import by_the_package, the_packages_draws
from tests.trees import photographs

POINTWISE = {
    "gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "frost", "fog", "brightness", "contrast",
    "saturate", "pixelate", "jpeg_compression",
}  # fmt: skip
"""Corruptions of single values (or computed in integers); the others have sums of many, with ties at truncation."""


class Deviation(NamedTuple):
    """Of uint8 results, in grey levels."""

    largest: int
    fraction: float
    """Of the values that differ at all."""
    bias: float
    """Mean signed difference."""


def deviation(got: NDArray[np.uint8], expected: NDArray[np.uint8]) -> Deviation:
    """Compare two results of the same shape."""
    difference = got.astype(int) - expected
    return Deviation(int(abs(difference).max()), float((difference != 0).mean()), float(difference.mean()))


def images_for(recipe: str) -> list[NDArray[np.uint8]]:
    """Photographs at the recipe's own size, one of them with a white sky; not square where any size is its own."""
    size = RECIPES[recipe].native_size
    whole = [photo.copy() for photo in photographs(size or 224, 3)]
    whole[2][: len(whole[2]) // 3] = 255
    if size is None:
        return [whole[0][:160], whole[1][:, 31:144], whole[2][:96, :64]]
    return whole


def dark_image_for(recipe: str) -> NDArray[np.uint8]:
    """A dark photograph of 16 levels with many flat areas: the hardest case for sums that are truncated."""
    return images_for(recipe)[0] // 16


def measure(image: NDArray[np.uint8], corruption: str, severity: int, recipe: str, seed: int = 0) -> Deviation:
    """Engine against oracle on one image, both given the same draws of the right law."""
    height, width = image.shape[:2]
    drawn = random_draws(corruption, severity, recipe, height, width, np.random.default_rng(seed), image=image)
    expected = oracle(image, corruption, severity, recipe, drawn)
    given = {name: np.asarray(value)[None] for name, value in drawn.items()}
    return deviation(corrupt(image, corruption, severity, recipe=recipe, draws=given), expected)


def measure_package(image: NDArray[np.uint8], corruption: str, severity: int, seed: int) -> Deviation:
    """Engine with recipe ``imagecorruptions`` against the package, given the draws that the package makes."""
    expected = by_the_package(image, corruption, severity, seed)
    drawn = the_packages_draws(image, corruption, severity, seed)
    given = {name: np.asarray(value)[None] for name, value in drawn.items()}
    return deviation(corrupt(image, corruption, severity, recipe="imagecorruptions", draws=given), expected)
