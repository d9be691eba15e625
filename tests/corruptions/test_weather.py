"""Weather: the cloud of fog, the ice of frost, the flakes of snow."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ppbench.corruptions import textures, weather
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.constants import constants
from ppbench.corruptions.keys import key
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import RECIPES
from tests.oracles.corruptions import oracle, random_draws
from tests.oracles.corruptions.fog import cloud as cloud_by_definition
from tests.trees import photographs

Pixels = NDArray[np.uint8]

CPU = torch.device("cpu")
PHOTO = np.ascontiguousarray(photographs(72, 1)[0][:50])
GREYS = np.repeat(np.tile(np.arange(256, dtype=np.uint8), 16).reshape(64, 64, 1), 3, axis=2)


def pair(
    image: Pixels, name: str, severity: int, recipe: str, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What the engine and what the oracle make of the same draws."""
    drawn = random_draws(name, severity, recipe, *image.shape[:2], rng, image)
    given = {what: np.asarray(values)[None] for what, values in drawn.items()}
    made = corrupt(image, name, severity, recipe=recipe, draws=given)
    return made.astype(int), oracle(image, name, severity, recipe, drawn).astype(int)


# Fog


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize(("side", "decay"), [(8, 3.0), (16, 1.4), (64, 2.0)])
def test_the_cloud_is_the_one_of_diamonds_and_squares(side: int, decay: float) -> None:
    drawn = np.random.default_rng(side).uniform(-1, 1, (2, side, side)).astype(np.float32)
    made = weather.cloud(torch.from_numpy(drawn), weather._amplitudes(side, decay), side - 3, side).numpy()
    assert made.shape == (2, side - 3, side)
    for got, draws in zip(made, drawn, strict=True):
        np.testing.assert_allclose(got, cloud_by_definition(draws, decay, np.float64)[: side - 3], atol=1e-6)


@pytest.mark.parametrize(("height", "width", "side"), [(8, 8, 8), (9, 8, 16), (224, 224, 256), (299, 299, 512)])
def test_the_cloud_covers_the_image(height: int, width: int, side: int) -> None:
    assert weather.cloud_side(height, width) == side == weather.cloud_side(width, height)


@pytest.mark.parametrize("decay", [1.75, 3.0])
def test_keyed_clouds_have_the_law_of_the_definition(decay: float) -> None:
    """Roughness between neighbours, at the finest and at coarser scales, and the spread: means over many clouds."""
    side, rng = 32, np.random.default_rng(5)
    drawn = Draws(list(range(400)), CPU).between("map", -1, 1, side, side)
    keyed = weather.cloud(drawn, weather._amplitudes(side, decay), side, side).numpy()
    other = np.stack([cloud_by_definition(rng.uniform(-1, 1, (side, side)), decay, np.float64) for _ in range(100)])
    assert (keyed.min(axis=(1, 2)) == 0).all()
    assert (keyed.max(axis=(1, 2)) == 1).all()
    for lag in (1, 4, 16):
        rough = [abs(clouds - np.roll(clouds, lag, axis=2)).mean(axis=(1, 2)) for clouds in (keyed, other)]
        error = np.hypot(*(values.std() / len(values) ** 0.5 for values in rough))
        assert abs(rough[0].mean() - rough[1].mean()) < 4 * error, lag
    assert abs(keyed.mean() - 0.5) < 4 * keyed.mean(axis=(1, 2)).std() / len(keyed) ** 0.5


def test_fog_lies_on_all_channels_alike_and_keeps_the_brightest_as_the_limit() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    assert not corrupt(image, "fog", 3).any()  # nothing bright, nothing that lights the fog
    image[0, 0] = 100
    made = corrupt(image, "fog", 3)
    assert (made[1:] == made[1:, :, :1]).all()
    assert 50 < made[1:].max() <= 100


def test_each_image_has_its_own_brightest_value() -> None:
    images = np.stack([PHOTO // 4, PHOTO, PHOTO // 2])
    together = corrupt(images, "fog", 2, ids=["a", "b", "c"])
    for image, name, made in zip(images, "abc", together, strict=True):
        assert np.array_equal(corrupt(image, "fog", 2, ids=[name]), made)


# Frost


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize("recipe", list(RECIPES))
def test_frost_is_exact_although_its_sums_are_often_whole_numbers(recipe: str) -> None:
    rng = np.random.default_rng(1)
    for severity in range(1, 6):
        for image in (PHOTO, GREYS):
            made, expected = pair(image, "frost", severity, recipe, rng)
            assert np.array_equal(made, expected), severity


class Recording(Draws):
    """Draws that remember below what whole numbers were drawn."""

    def integers(self, name: str, high: int | torch.Tensor) -> torch.Tensor:
        drawn = super().integers(name, high)
        self.drawn = {**getattr(self, "drawn", {}), name: (high, drawn)}
        return drawn


@pytest.mark.parametrize(("recipe", "count"), [("imagenet-c", 5), ("cifar-c", 5), ("imagecorruptions", 6)])
def test_frost_is_drawn_from_all_textures_and_never_from_the_last_place(recipe: str, count: int) -> None:
    how, draws = RECIPES[recipe], Recording(list(range(200)), CPU)
    images = torch.zeros(200, 40, 30, 3, dtype=torch.uint8)
    weather.frost(images, constants(recipe, "frost", 3), how, draws)
    heights, widths = textures.frost_sizes(how, 40, 30)
    high, texture = draws.drawn["texture"]
    assert high == count
    assert set(texture.tolist()) == set(range(count))
    assert torch.equal(draws.drawn["row"][0], heights[texture] - 40)  # the last would be one more
    assert torch.equal(draws.drawn["column"][0], widths[texture] - 30)


def test_a_grey_image_gets_the_luma_of_the_ice() -> None:
    drawn = {"texture": np.array([0]), "row": np.array([3]), "column": np.array([5])}
    grey = corrupt(GREYS[..., 0], "frost", 2, draws=drawn)
    colour = corrupt(GREYS, "frost", 2, draws=drawn)
    assert abs(colour @ np.array([299, 587, 114]) - grey.astype(int) * 1000).max() <= 500


# Snow


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize("recipe", list(RECIPES))
def test_snow_is_the_references(recipe: str) -> None:
    """Grey pixels put a tenth of the levels on a tie; they are those of the references all the same."""
    rng = np.random.default_rng(2)
    for severity in range(1, 6):
        for image in (PHOTO, GREYS):
            made, expected = pair(image, "snow", severity, recipe, rng)
            assert abs(made - expected).max() <= 1
            assert (made != expected).mean() <= 0.001


@pytest.mark.usefixtures("_path")
def test_the_image_grows_lighter_as_opencv_computes_grey() -> None:
    for image in (GREYS, np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)):
        x = image.astype(np.float32) / np.float32(255)
        bright = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None] * np.float32(1.5) + np.float32(0.5)
        lighter = np.float32(0.8) * x + np.float32(1 - 0.8) * np.maximum(x, bright)
        expected = (np.clip(lighter.astype(np.float64), 0, 1) * 255).astype(np.uint8)
        made = weather.add_snow(torch.from_numpy(image)[None], torch.zeros(1, 64, 64), 0.8, False)[0].numpy()
        assert (made != expected).mean() <= 0.001


def test_on_one_colour_snow_is_its_own_rotation() -> None:
    made = corrupt(np.full((64, 80, 3), 60, np.uint8), "snow", 3)
    assert np.array_equal(made, made[::-1, ::-1])
    assert len(np.unique(made)) > 20


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize(("rounded", "expected"), [(False, [0, 0, 1, 2, 2, 3]), (True, [0, 1, 2, 2, 3, 3])])
def test_the_scripts_truncate_the_layer_and_the_package_rounds_it(rounded: bool, expected: list[int]) -> None:
    """ImageMagick rounds to 16 bits before: a level is reached from 1/514 below it. numpy rounds halves to even."""
    fallen = torch.zeros(1, 2, 6)
    fallen[0, 0] = torch.tensor([0.4, 0.6, 1.5, 2.5, 2.9979, 2.9982])
    snowed = weather.add_snow(torch.zeros(1, 2, 6, 3, dtype=torch.uint8), fallen, 1.0, rounded)
    assert snowed[0, 0, :, 0].tolist() == expected


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_only_the_middle_of_the_layer_counts_and_only_that_is_drawn(recipe: str) -> None:
    """A given layer of which the middle is the keyed draw gives the keyed snow."""
    draws = Draws([key(4, "snow", 3, "a")], CPU)
    height, width = (math.ceil(side / constants(recipe, "snow", 3).zoom) for side in PHOTO.shape[:2])
    top, left = (50 - height) // 2, (72 - width) // 2
    layer = np.random.default_rng(0).normal(size=(1, 50, 72)).astype(np.float32)
    layer[:, top : top + height, left : left + width] = draws.normal("layer", height, width).numpy()
    given = {"layer": layer, "angle": draws.between("angle", -135, -45).numpy()}
    keyed = corrupt(PHOTO, "snow", 3, recipe=recipe, seed=4, ids=["a"])
    assert np.array_equal(corrupt(PHOTO, "snow", 3, recipe=recipe, draws=given), keyed)


def test_keyed_snow_has_the_law_of_the_definition() -> None:
    """Mean and spread of the levels on black, over many images."""
    rng, black = np.random.default_rng(6), np.zeros((32, 32, 3), np.uint8)
    for severity in (1, 4):
        images, ids = np.repeat(black[None], 300, axis=0), [str(number) for number in range(300)]
        keyed = corrupt(images, "snow", severity, recipe="cifar-c", ids=ids).astype(float)
        other = np.stack([pair(black, "snow", severity, "cifar-c", rng)[1] for _ in range(150)]).astype(float)
        for statistic in (np.mean, np.std):
            values = [statistic(images, axis=(1, 2, 3)) for images in (keyed, other)]
            error = np.hypot(*(v.std() / len(v) ** 0.5 for v in values))
            assert abs(values[0].mean() - values[1].mean()) < 4 * error, severity


def test_snow_falls_downwards() -> None:
    """From 45 degrees left to 45 right of the vertical: streaks are longer down than across."""
    ids = [str(number) for number in range(40)]
    made = corrupt(np.zeros((40, 96, 96, 3), np.uint8), "snow", 5, recipe="imagenet-c", ids=ids)[..., 0].astype(float)
    down = abs(np.diff(made, axis=1)).mean()
    across = abs(np.diff(made, axis=2)).mean()
    assert down < 0.8 * across
