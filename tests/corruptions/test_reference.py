"""The package's corruptions, called with a seed per image and cell."""

from __future__ import annotations

import numpy as np
import pytest
from imagecorruptions import corrupt

from ppbench.corruptions.keys import key
from ppbench.corruptions.reference import corrupt_image
from ppbench.vocabulary import C19
from tests.trees import photographs

PHOTO = photographs(48, 1)[0]
GREY = PHOTO[:28, :28, :1]


@pytest.mark.parametrize("corruption", C19)
def test_a_large_image_gives_what_the_package_gives(corruption: str) -> None:
    got = corrupt_image(PHOTO, corruption, 3, seed=5, image_id="a")
    seed = key(5, corruption, 3, "a") % 2**32  # what numpy's seed can hold
    np.random.seed(seed)  # noqa: NPY002 - the package draws from it
    own = {"seed": seed} if corruption in ("impulse_noise", "glass_blur") else {}
    assert np.array_equal(got, corrupt(PHOTO, severity=3, corruption_name=corruption, **own))


@pytest.mark.parametrize("corruption", C19)
def test_small_grey_images_keep_their_shape_and_change(corruption: str) -> None:
    got = corrupt_image(GREY, corruption, 5, seed=0, image_id="a")
    assert got.shape == GREY.shape
    assert got.dtype == np.uint8
    assert not np.array_equal(got, GREY)


@pytest.mark.parametrize("corruption", C19)
def test_the_result_depends_on_the_key_alone(corruption: str) -> None:
    first = corrupt_image(GREY, corruption, 2, seed=1, image_id="x")
    np.random.seed(99)  # noqa: NPY002
    corrupt_image(PHOTO, "gaussian_noise", 1, seed=3, image_id="other")
    assert np.array_equal(first, corrupt_image(GREY, corruption, 2, seed=1, image_id="x"))


@pytest.mark.parametrize("corruption", ["gaussian_noise", "impulse_noise", "glass_blur", "snow", "elastic_transform"])
def test_draws_differ_between_images_seeds_and_severities(corruption: str) -> None:
    images = [
        corrupt_image(PHOTO, corruption, 3, seed=seed, image_id=name) for seed, name in ((0, "a"), (0, "b"), (1, "a"))
    ]
    assert not any(np.array_equal(images[i], images[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_numpys_global_generator_is_left_as_it_was() -> None:
    np.random.seed(7)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for corruption in C19:
        corrupt_image(GREY, corruption, 1, seed=0, image_id="a")
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_grey_noise_is_as_strong_as_colour_noise() -> None:
    flat = np.full((64, 64, 1), 128, np.uint8)
    std = corrupt_image(flat, "gaussian_noise", 1, seed=0, image_id="a").std()
    assert std == pytest.approx(0.08 * 255, rel=0.05)  # the recipe's constant; a mean of channels would give 0.67 of it


def test_a_small_image_is_treated_as_the_middle_of_a_larger_one() -> None:
    """Contrast uses the mean of the whole canvas, whose border repeats the image's: exact by hand."""
    canvas = np.pad(GREY, ((2, 2), (2, 2), (0, 0)), mode="edge")
    expected = corrupt(np.repeat(canvas, 3, 2), severity=2, corruption_name="contrast")[2:30, 2:30, :1]
    assert np.array_equal(corrupt_image(GREY, "contrast", 2, seed=0, image_id="a"), expected)
