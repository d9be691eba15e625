"""Images read at displaced places."""

from __future__ import annotations

import numpy as np
import pytest

from ppbench.corruptions.apply import corrupt
from tests.corruptions.bar.fidelity import check, photograph
from tests.oracles.bar import oracle, random_draws


@pytest.mark.parametrize(
    ("name", "recipe"),
    [("caustic_refraction", "imagenet-c-bar"), ("ripple", "cifar-c-bar"), ("pinch_and_twirl", "cifar-c-bar")],
)
def test_the_engine_does_what_the_reference_does(name: str, recipe: str) -> None:
    check(name, recipe)


def test_still_water_changes_nothing_and_taps_outside_are_black() -> None:
    image = photograph(32)
    still = {"wavelength_px": [[1e30, 1e30]], "phase": [[0.0, 0.0]]}
    assert np.array_equal(corrupt(image, "ripple", 5, draws=still), image)
    white = np.full((32, 32, 3), 255, np.uint8)
    moved = corrupt(white, "ripple", 5, draws={**still, "phase": [[np.pi / 2, 0.0]]})  # by 0.64 px
    assert (moved[:31] == 255).all()
    assert (moved[31] == int(255 * 0.36)).all()


def test_large_images_have_five_twirls_a_side_and_oblong_ones_more() -> None:
    check_shape = {(224, 224): (5, 5), (85, 90): (5, 5), (84, 84): (3, 3), (32, 64): (6, 3)}
    for (height, width), signs in check_shape.items():
        image = np.zeros((height, width, 3), np.uint8)
        corrupt(image, "pinch_and_twirl", 1, draws={"signs": np.ones((1, *signs))})


def test_five_twirls_a_side_do_as_the_oracle_too() -> None:
    image, drawn = photograph(224), random_draws("pinch_and_twirl", 6, 224, np.random.RandomState(0))
    made = corrupt(image, "pinch_and_twirl", 3, draws={"signs": drawn["signs"][None]}, recipe="cifar-c-bar")
    assert np.abs(made - oracle(image, "pinch_and_twirl", 3, "cifar-c-bar", drawn).astype(int)).max() <= 1
