"""JPEG: bit for bit what Pillow saves and loads."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.constants import constants
from ppbench.corruptions.jpeg import DCT, compress, steps
from ppbench.corruptions.recipes import RECIPES
from tests.trees import photographs

Pixels = NDArray[np.uint8]

PHOTO = photographs(224, 1)[0]


def by_pillow(image: Pixels, quality: int) -> Pixels:
    file = BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape)


def assert_as_by_pillow(images: Pixels, quality: int) -> None:
    made = compress(torch.from_numpy(images), *steps(quality)).numpy()
    for ours, image in zip(made, images, strict=True):
        assert np.array_equal(ours, by_pillow(image, quality)), (image.shape, quality)


def kinds(height: int, width: int, rng: np.random.Generator) -> Pixels:
    """Images that a codec finds easy and hard: a photograph, noise, black and white, red and cyan, one colour."""
    top, left = rng.integers(0, 224 - height, endpoint=True), rng.integers(0, 224 - width, endpoint=True)
    checks = rng.integers(0, 2, (height, width, 1), dtype=np.uint8) * 255
    return np.stack(
        [
            PHOTO[top : top + height, left : left + width],
            rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
            rng.integers(0, 2, (height, width, 3), dtype=np.uint8) * 255,
            np.concatenate([checks, 255 - checks, 255 - checks], axis=2),
            np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8),
        ]
    )


@pytest.mark.usefixtures("_path")
def test_every_size_is_as_pillow_makes_it() -> None:
    """Odd sides have a chroma pixel more than half; blocks and their pairs end beyond the image."""
    rng = np.random.default_rng(0)
    for number, height in enumerate(range(8, 41)):
        for width in range(8 + number % 3, 41, 3):
            quality = int(rng.integers(5, 96))
            assert_as_by_pillow(kinds(height, width, rng), quality)


@pytest.mark.usefixtures("_path")
def test_every_quality_is_as_pillow_makes_it() -> None:
    rng = np.random.default_rng(1)
    for quality in range(1, 101):
        images = kinds(49, 62, rng)
        assert_as_by_pillow(images, quality)
        assert_as_by_pillow(images[..., :1].copy(), quality)


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize("recipe", list(RECIPES))
def test_all_severities_are_as_pillow_makes_them(recipe: str) -> None:
    for severity in range(1, 6):
        quality = constants(recipe, "jpeg_compression", severity).quality
        made = corrupt(PHOTO, "jpeg_compression", severity, recipe=recipe)
        assert np.array_equal(made, by_pillow(PHOTO, quality))


def test_the_steps_are_those_in_pillows_files() -> None:
    for quality in range(1, 101):
        file = BytesIO()
        Image.fromarray(PHOTO[:16, :16]).save(file, "JPEG", quality=quality)
        tables = Image.open(file).quantization  # type: ignore[attr-defined]
        for number, table in enumerate(steps(quality)):
            assert np.array_equal(table.flatten(), tables[number]), quality


def test_the_integer_dct_is_a_dct() -> None:
    frequency, place = np.indices((8, 8))
    cosines = np.cos(np.pi * frequency * (2 * place + 1) / 16) * np.where(frequency, 2**0.5, 1)
    assert abs(DCT / 2**13 - cosines).max() < 2e-4
    assert abs(DCT @ DCT.T / 2**29 - np.eye(8)).max() < 2e-4


def test_the_kernels_division_is_exact() -> None:
    """It multiplies by 2^19 / step; no size, in steps of 1, exceeds 1024 + 255 / 2."""
    step = np.arange(1, 256)
    size = np.arange(2**11)[:, None]
    assert np.array_equal(size * -(-(2**19) // step) >> 19, size // step)
