"""Disks are OpenCV's, which are not normalised, and so are the levels that they make."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ppbench.corruptions import constants as c
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.constants import constants
from ppbench.corruptions.disks import disk_kernel
from tests.corruptions.flat import assert_flat_levels, cells


def opencv_disk(k: c.Defocus) -> NDArray[np.float32]:
    half = 8 if k.radius <= 8 else int(k.radius)
    x, y = np.meshgrid(np.arange(-half, half + 1), np.arange(-half, half + 1))
    disk = (x**2 + y**2 <= k.radius**2).astype(np.float32)
    side = 3 if k.radius <= 8 else 5
    return cv2.GaussianBlur(disk / disk.sum(), (side, side), k.alias_sigma)


def test_the_disk_is_opencvs_to_the_last_bit() -> None:
    """To a few last bits where its sum is far from 1, so that none of them decides what flat areas become."""
    for recipe, severity in cells("defocus_blur"):
        k = constants(recipe, "defocus_blur", severity)
        got, expected = disk_kernel(k.radius, k.alias_sigma), opencv_disk(k)
        if k.radius <= 8:
            assert np.array_equal(got, expected), k
        else:
            assert np.abs(got - expected).max() < 1e-9, k


@pytest.mark.parametrize(("radius", "total"), [(7, 1.002859), (8, 1.012975), (10, 1.010786), (12, 1.007753)])
def test_a_disk_that_touches_its_border_brightens(radius: float, total: float) -> None:
    assert abs(disk_kernel(radius, 0.5).sum(dtype=float) - total) < 1e-6


def test_flat_areas_out_of_focus_are_as_opencv_rounds_them() -> None:
    for recipe, severity in cells("defocus_blur"):
        kernel = opencv_disk(constants(recipe, "defocus_blur", severity))
        flat = [cv2.filter2D(np.full((30, 30), level / 255), -1, kernel)[15, 15] for level in range(256)]
        assert_flat_levels("defocus_blur", recipe, severity, np.clip(flat, 0, 1) * 255)


def test_defocus_is_opencvs_filter_where_a_third_of_a_percent_and_more_are_ties() -> None:
    """Disks without a rim, or with a faint one: sums are multiples of 1 / n of a level."""
    image = np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8)
    for recipe, severity in cells("defocus_blur"):
        k = constants(recipe, "defocus_blur", severity)
        if k.alias_sigma < 0.3:
            expected = cv2.filter2D(image / 255, -1, opencv_disk(k))
            got = corrupt(image, "defocus_blur", severity, recipe=recipe)
            assert (got != np.floor(np.clip(expected, 0, 1) * 255)).mean() < 2e-4, k
