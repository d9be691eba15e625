"""Grey squares and lines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.draw import line_aa

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.bar.cutout import covered
from ppbench.corruptions.kernels.bar_cutout import line_coverage
from tests.corruptions.bar.fidelity import check, photograph


@pytest.mark.parametrize(
    ("name", "recipe"),
    [("checkerboard_cutout", "imagenet-c-bar"), ("checkerboard_cutout", "cifar-c-bar"), ("lines", "cifar-c-bar")],
)
def test_the_engine_does_what_the_reference_does(name: str, recipe: str) -> None:
    check(name, recipe)


def test_squares_are_grey_and_the_rest_is_the_image() -> None:
    image = photograph(48)
    made = corrupt(image, "checkerboard_cutout", 5, ids=["a"])
    cut = (made != image).any(axis=2)
    assert (made[cut] == 128).all()
    assert 0.02 < cut.mean() < 0.5


@pytest.mark.parametrize(
    "ends", [(3, 2, 28, 25), (28, 25, 3, 2), (5, -4, 9, 40), (0, 0, 0, 31), (40, 3, -7, 3), (4, 4, 4, 4)]
)
def test_lines_cover_what_scikit_image_says(ends: tuple[int, int, int, int]) -> None:
    expected = np.zeros((32, 32))
    rows, columns, coverage = line_aa(*ends)
    for y, x, part in zip(rows, columns, coverage, strict=True):
        if 0 <= y < 32 and 0 <= x < 32:
            expected[y, x] = part
    assert np.allclose(line_coverage(np.array([ends]), 32, 32)[0], expected, rtol=0, atol=1e-12)


def test_small_images_may_have_no_line() -> None:
    image = photograph(32)[:8, :8]
    assert np.array_equal(corrupt(image, "lines", 1), image)


def test_each_pixel_knows_whether_a_line_comes_by() -> None:
    """The definition, for GPUs, against the kernel that goes along the line; square roots may differ in a last bit."""
    ends = np.random.default_rng(0).integers(-20, 52, (300, 4))
    ends[:100, 2:] = ends[:100, :2] + np.random.default_rng(1).integers(-4, 5, (100, 2))  # short ones
    ends[100:110, 0], ends[110:120, 1] = ends[100:110, 2], ends[110:120, 3]
    ends[120:130, 2:] = ends[120:130, :2] + ends[120:130, 3:] % 9  # diagonals
    found, expected = covered(torch.from_numpy(ends), 32, 29).numpy(), line_coverage(ends, 32, 29)
    assert np.array_equal(found > 0, expected > 0)
    assert np.allclose(found, expected, rtol=0, atol=1e-14)
