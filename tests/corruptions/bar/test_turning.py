"""Cubic splines."""

from __future__ import annotations

import numpy as np
import pytest

from ppbench.corruptions.apply import corrupt
from ppbench.errors import UsageError
from tests.corruptions.bar.fidelity import check, photograph


@pytest.mark.parametrize(
    ("name", "recipe"), [("circular_motion_blur", "cifar-c-bar"), ("transverse_chromatic_abberation", "cifar-c-bar")]
)
def test_the_engine_does_what_the_reference_does(name: str, recipe: str) -> None:
    check(name, recipe)


def test_the_middle_of_a_rotation_stays_and_the_corners_darken() -> None:
    white = np.full((33, 33, 3), 255, np.uint8)
    made = corrupt(white, "circular_motion_blur", 5)
    assert (made[16, 16] >= 254).all()
    assert (made[0, 0] < 200).all()


def test_each_channel_has_the_enlargement_of_its_number() -> None:
    image = np.repeat(photograph(32)[..., :1], 3, axis=2)
    made = corrupt(image, "transverse_chromatic_abberation", 5, draws={"order": [[2, 0, 1]]})
    other = corrupt(image, "transverse_chromatic_abberation", 5, draws={"order": [[0, 1, 2]]})
    assert all(np.array_equal(made[..., c], other[..., k]) for c, k in enumerate((2, 0, 1)))
    assert not np.array_equal(other[..., 0], image[..., 0])  # even a scale of 1 blurs
    with pytest.raises(UsageError, match="'order'"):
        corrupt(image, "transverse_chromatic_abberation", 5, draws={"order": [[0, 0, 1]]})


def test_grey_is_the_luma_of_the_colour_result() -> None:
    grey = photograph(32)[..., :1]
    colour = corrupt(np.repeat(grey, 3, axis=2), "transverse_chromatic_abberation", 3, ids=["a"])
    luma = colour.astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(corrupt(grey[..., 0], "transverse_chromatic_abberation", 3, ids=["a"]) - luma).max() <= 0.51
