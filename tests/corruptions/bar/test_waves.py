"""Waves, rings and plasma."""

from __future__ import annotations

import numpy as np
import pytest

from ppbench.corruptions.apply import corrupt
from ppbench.errors import UsageError
from tests.corruptions.bar.fidelity import check, photograph


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("single_frequency_greyscale", "imagenet-c-bar"),
        ("cocentric_sine_waves", "imagenet-c-bar"),
        ("plasma_noise", "imagenet-c-bar"),
    ],
)
def test_the_engine_does_what_the_reference_does(name: str, recipe: str) -> None:
    check(name, recipe)


def test_a_wave_has_its_direction_and_amplitude() -> None:
    grey = np.full((32, 40, 3), 128, np.uint8)
    draws = {"freq_1": [np.pi / 2], "freq_2": [0.0], "order": [0], "phase": [0.0]}
    made = corrupt(grey, "single_frequency_greyscale", 5, draws=draws, recipe="imagenet-c-bar")
    assert np.abs(made[0, :4, 0] - np.array([128, 128 + 98, 128, 128 - 98])).max() <= 1  # 19.6 * 5 levels, across
    assert (made == made[:1]).all()
    turned = corrupt(grey, "single_frequency_greyscale", 5, draws={**draws, "order": [1]}, recipe="imagenet-c-bar")
    assert np.array_equal(turned[:4, 0, 0], made[0, :4, 0])


def test_rings_of_no_width_are_refused_or_drawn_never_nan() -> None:
    grey = np.full((32, 32, 3), 128, np.uint8)
    draws = {"centre": [[16.0, 16.0]], "angular_freq": [0.0], "wobble_px": [0.0], "ring_px": [0.0]}
    assert corrupt(grey, "cocentric_sine_waves", 1, draws=draws).any()
    with pytest.raises(UsageError, match="'ring_px'"):
        corrupt(grey, "cocentric_sine_waves", 1, draws={**draws, "ring_px": [-1.0]})


def test_grey_plasma_is_the_luma_of_the_colours() -> None:
    grey = photograph(32)[..., :1]
    colour = corrupt(np.repeat(grey, 3, axis=2), "plasma_noise", 3, ids=["a"]).astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(corrupt(grey[..., 0], "plasma_noise", 3, ids=["a"]) - colour).max() <= 0.51
