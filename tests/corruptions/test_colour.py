"""Colour: bit for bit scikit-image's HSV, the quirks of grey, and the mean that contrast turns about."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.colour import luma, scale_around_mean
from ppbench.corruptions.kernels import disabled
from ppbench.corruptions.recipes import RECIPES
from tests.oracles.corruptions import oracle

Pixels = NDArray[np.uint8]

RNG = np.random.default_rng(0)

COLOURS: dict[str, Pixels] = {
    "any": RNG.integers(0, 256, (61, 67, 3), dtype=np.uint8),
    "greys": np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3),
    "round": RNG.choice(np.array([0, 1, 51, 102, 128, 153, 204, 254, 255], np.uint8), (64, 64, 3)),
    "near grey": (RNG.integers(1, 255, (40, 40, 1)) + RNG.integers(-1, 2, (40, 40, 3))).astype(np.uint8),
}
"""Where ties are common: a whole number but for the last digit of a float64, truncated."""


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("name", ["brightness", "saturate"])
def test_hsv_is_exact_wherever_there_are_ties(name: str, recipe: str) -> None:
    for severity in range(1, 6):
        for kind, image in COLOURS.items():
            expected = oracle(image, name, severity, recipe, {})
            assert np.array_equal(corrupt(image, name, severity, recipe=recipe), expected), (severity, kind)


def test_saturating_makes_grey_reddish() -> None:
    red, green, blue = corrupt(np.full((8, 8, 3), 100, np.uint8), "saturate", 5, recipe="imagenet-c").reshape(-1, 3)[0]
    assert red == 100  # the value V stays
    assert green == blue == 80  # S = 0.2


def test_a_grey_image_gets_the_luma_of_reddish() -> None:
    grey = np.full((8, 8), 100, np.uint8)
    assert (corrupt(grey, "saturate", 5, recipe="imagenet-c") == round(0.299 * 100 + 0.701 * 80)).all()
    assert (corrupt(grey, "saturate", 3, recipe="imagenet-c") == 100).all()
    assert (corrupt(grey, "brightness", 2, recipe="imagenet-c") == 151).all()


def test_luma_is_rounded_and_keeps_grey() -> None:
    greys = torch.from_numpy(COLOURS["greys"])[None]
    assert torch.equal(luma(greys), greys[..., :1])
    colours = COLOURS["any"]
    thousandths = colours @ np.array([299, 587, 114])
    assert abs(luma(torch.from_numpy(colours)[None])[0, ..., 0].numpy().astype(int) * 1000 - thousandths).max() <= 500


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize("recipe", list(RECIPES))
def test_contrast_is_exact_even_where_the_mean_makes_ties(recipe: str) -> None:
    """A mean of 127.5 puts every fifth level on a tie at a factor of 0.2: numpy's order of summation decides them."""
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None], (16, 1, 3))
    board = np.repeat((np.indices((40, 40)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    for severity in range(1, 6):
        for image in (ramp, board, *COLOURS.values()):
            expected = oracle(image, "contrast", severity, recipe, {})
            assert np.array_equal(corrupt(image, "contrast", severity, recipe=recipe), expected), severity


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize(("height", "width"), [(24, 25), (70, 71)])
def test_contrast_of_one_colour_is_the_references(height: int, width: int) -> None:
    """Here the mean's last digit decides all pixels at once."""
    changed = 0
    for level in range(1, 255):
        image = np.empty((height, width, 3), np.uint8)
        image[:] = level, 255 - level, 7
        got = corrupt(image, "contrast", 3)
        assert np.array_equal(got, oracle(image, "contrast", 3, "imagenet-c", {}))
        changed += (got != image).any()
    assert changed > 0  # there is something to get wrong


def test_each_image_and_each_channel_has_its_own_mean() -> None:
    images = torch.tensor([[[10, 200, 0]], [[90, 200, 255]]], dtype=torch.uint8).repeat(1, 64, 1)[:, None]
    images[:, :, ::2] += torch.tensor([20, 40, 0], dtype=torch.uint8)
    made = scale_around_mean(images, 0.5).double().mean((1, 2))
    assert torch.allclose(made, images.double().mean((1, 2)), atol=1)
    spread = scale_around_mean(images, 0.5).double().std((1, 2))
    assert torch.allclose(spread, images.double().std((1, 2)) / 2, atol=0.6)


def test_kernel_and_tensors_agree_on_contrast() -> None:
    images = torch.from_numpy(np.stack([np.roll(COLOURS["any"], 7 * i, axis=2) // (i + 1) for i in range(4)]))
    fast = scale_around_mean(images, 0.3)
    with disabled():
        assert torch.equal(fast, scale_around_mean(images, 0.3))
