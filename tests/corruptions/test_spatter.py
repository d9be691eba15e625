"""Spatter: OpenCV's edges and histograms in whole numbers, distances, colours, and what comes where."""

from __future__ import annotations

import math
from statistics import NormalDist

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ppbench.corruptions import spatter
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.constants import constants
from ppbench.corruptions.kernels import disabled
from ppbench.corruptions.recipes import RECIPES
from tests.oracles.corruptions import oracle
from tests.trees import photographs

Pixels = NDArray[np.uint8]

PHOTO = photographs(96, 1)[0]


def drops(seed: int, height: int, width: int, sigma: float = 2, threshold: float = 0.68) -> Pixels:
    """Levels as water has them: 0 outside drops, where they are much the same."""
    noise = 0.65 + 0.3 * np.random.default_rng(seed).standard_normal((height, width))
    liquid = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.where(liquid > threshold, liquid * 255, 0).astype(np.uint8)


LEVELS = {
    "drops": drops(0, 96, 130),
    "small drops": drops(1, 64, 64, sigma=0.7),
    "large drops": drops(2, 200, 90, sigma=4, threshold=0.66),
    "photo": PHOTO[..., 0].copy(),
    "noise": np.random.default_rng(0).integers(0, 256, (61, 43), dtype=np.uint8),
    "steps": np.kron(np.random.default_rng(3).integers(0, 5, (12, 9)), np.ones((5, 6))).astype(np.uint8) * 20,
    "nothing": np.zeros((20, 33), np.uint8),
    "everything": np.full((20, 33), 180, np.uint8),
    "a dot": np.pad(np.full((1, 1), 200, np.uint8), ((3, 4), (0, 8))),
}


def on(levels: NDArray) -> torch.Tensor:
    return torch.from_numpy(levels)[None]


@pytest.mark.parametrize("kind", LEVELS)
def test_edges_are_opencvs(kind: str) -> None:
    assert np.array_equal(spatter.edges(on(LEVELS[kind]))[0], cv2.Canny(LEVELS[kind], 50, 150) > 0)


@pytest.mark.parametrize("kind", LEVELS)
def test_distances_are_opencvs_but_for_its_rounding(kind: str) -> None:
    edges = spatter.edges(on(LEVELS[kind]))
    theirs = cv2.distanceTransform(np.where(edges[0], 0, 255).astype(np.uint8), cv2.DIST_L2, 5)
    ours = spatter.distances(edges)[0].numpy() / 10000
    assert abs(ours - np.minimum(theirs, 20)).max() < 2e-4


@pytest.mark.parametrize("spread", [0.5, 3, 40])
def test_the_histogram_is_spread_as_by_opencv(spread: float) -> None:
    rng = np.random.default_rng(0)
    levels = np.clip(rng.normal(9, spread, (40, 50, 51)), 0, 20).astype(np.uint8)
    levels[0] = 7
    made = spatter.equalised(torch.from_numpy(levels).int())
    assert np.array_equal(made, [cv2.equalizeHist(image) for image in levels])


@pytest.mark.parametrize("kind", LEVELS)
def test_the_water_shines_alike_on_both_paths(kind: str) -> None:
    """The kernel leaves to OpenCV what is exact in it; the distances it finds in two passes."""
    levels = on(LEVELS[kind])
    kernel = spatter.shine(levels)
    with disabled():
        assert torch.equal(spatter.shine(levels), kernel)


def test_in_long_chains_weak_edges_hang_on_strong_ones() -> None:
    """A ridge that winds through the image, strong at its one end only."""
    slope = np.where(np.arange(200) < 3, 200, 60)
    levels = np.tile(np.linspace(0, 1, 2).round()[None, :], (200, 4)).astype(float) * slope[:, None]
    levels = np.repeat(levels, 6, axis=1).astype(np.uint8)
    edges = spatter.edges(on(levels))[0].numpy()
    assert np.array_equal(edges, cv2.Canny(levels, 50, 150) > 0)
    assert edges[100:180].any()


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize("recipe", list(RECIPES))
def test_where_there_is_no_drop_nothing_changes(recipe: str) -> None:
    layer = np.full((1, *PHOTO.shape[:2]), -9.0)
    for severity in range(1, 6):
        made = corrupt(PHOTO[None], "spatter", severity, recipe=recipe, draws={"layer": layer})
        assert np.array_equal(made[0], PHOTO)


@pytest.mark.usefixtures("_path")
def test_a_whole_cover_of_mud_has_its_colour() -> None:
    layer = {"layer": np.full((1, *PHOTO.shape[:2]), 9.0)}
    assert (corrupt(PHOTO[None], "spatter", 5, recipe="imagenet-c", draws=layer) == [63, 42, 20]).all()
    grey = PHOTO[None, ..., :1].copy()
    assert (corrupt(grey, "spatter", 5, recipe="imagenet-c", draws=layer) == 46).all()  # the luma of that


@pytest.mark.usefixtures("_path")
def test_a_whole_cover_of_water_adds_its_colour() -> None:
    black = np.zeros((1, 40, 50, 3), np.uint8)
    made = corrupt(black, "spatter", 1, recipe="imagenet-c", draws={"layer": np.ones((1, 40, 50))})
    assert (abs(made.astype(int) - np.array([105, 142, 142])) <= 1).all()  # 0.6 of (175, 238, 238)


@pytest.mark.usefixtures("_path")
def test_levels_of_water_wrap_around() -> None:
    """Liquid of 256.1 levels is as none, as in the references, which cast it to 8 bits."""
    images = PHOTO[None]
    for levels, changes in ((254.0, True), (255.9, True), (256.1, False), (258.0, True)):
        layer = np.full((1, *PHOTO.shape[:2]), (levels / 255 - 0.65) / 0.3)
        made = corrupt(images, "spatter", 1, recipe="imagenet-c", draws={"layer": layer})
        assert (made != images).any() == changes


@pytest.mark.usefixtures("_path")
def test_dark_pixels_of_muds_own_colour_stay_as_the_references_have_them() -> None:
    """There the mixture is a whole level but for rounding."""
    image = np.full((64, 64, 3), [63, 42, 20], np.uint8)
    layer = np.random.default_rng(0).standard_normal((64, 64))
    expected = oracle(image, "spatter", 5, "imagenet-c", {"layer": layer}).astype(int)
    made = corrupt(image[None], "spatter", 5, recipe="imagenet-c", draws={"layer": layer[None]})[0].astype(int)
    assert (made != expected).mean() < 0.02
    assert abs((made - expected).mean()) < 0.01


def test_grey_gets_the_luma() -> None:
    grey = np.repeat(PHOTO[..., :1], 3, axis=2)
    for severity in (1, 5):
        colours = corrupt(grey, "spatter", severity, ids=["a"]).astype(float)
        luma = corrupt(PHOTO[..., 0].copy(), "spatter", severity, ids=["a"])
        assert abs(colours @ [0.299, 0.587, 0.114] - luma).max() <= 0.51


def test_as_much_is_covered_as_the_law_says() -> None:
    """The liquid is normal noise smoothed; of its drops only the darkest spots do not shine."""
    k = constants("imagenet-c", "spatter", 3)
    black = np.zeros((12, 128, 128, 3), np.uint8)
    covered = NormalDist(k.mean, k.std / (2 * math.pi**0.5 * k.sigma)).cdf(k.threshold)
    ids = [str(number) for number in range(12)]
    wet = (corrupt(black, "spatter", 3, recipe="imagenet-c", ids=ids)[..., 1] > 0).mean()
    assert 0.5 * (1 - covered) < wet < 1.05 * (1 - covered)
