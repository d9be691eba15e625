"""Pixelate, bit for bit Pillow's; elastic_transform: its borders, its quirks and the law of its displacements."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from ppbench.corruptions import digital
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.constants import constants
from ppbench.corruptions.recipes import RECIPES
from tests.trees import photographs

Pixels = NDArray[np.uint8]

PHOTO = photographs(224, 1)[0]
FRACTIONS = sorted({constants(name, "pixelate", s).fraction for name in RECIPES for s in range(1, 6)})


# Pixelate


def pixelated_by_pillow(image: Pixels, fraction: float, up: Image.Resampling) -> Pixels:
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((int(width * fraction), int(height * fraction)), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), up))


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize(
    ("height", "width"), [(8, 8), (31, 47), (32, 32), (64, 64), (160, 240), (224, 224), (299, 299)]
)
@pytest.mark.parametrize(
    ("recipe", "up"),
    [(name, Image.Resampling.NEAREST if name == "imagecorruptions" else Image.Resampling.BOX) for name in RECIPES],
)
def test_pixelate_is_pillows(height: int, width: int, recipe: str, up: Image.Resampling) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for severity in range(1, 6):
        expected = pixelated_by_pillow(image, constants(recipe, "pixelate", severity).fraction, up)
        assert np.array_equal(corrupt(image, "pixelate", severity, recipe=recipe), expected)
        grey = corrupt(image[..., 1].copy(), "pixelate", severity, recipe=recipe)
        assert np.array_equal(grey, expected[..., 1])


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_boxes_are_pillows_at_every_size(fraction: float) -> None:
    rng = np.random.default_rng(0)
    for size in [*range(8, 400), 512, 640, 1080, 1920]:
        line = rng.integers(0, 256, (1, size), dtype=np.uint8)
        shorter = int(size * fraction)
        small = np.asarray(Image.fromarray(line).resize((shorter, 1), Image.Resampling.BOX))
        image = torch.from_numpy(line)[None, :, :, None]
        still = digital._boxes(1, 1)
        assert np.array_equal(digital.shrink(image, still, digital._boxes(size, shorter))[0, :, :, 0], small), size
        for up, accumulated in ((Image.Resampling.BOX, False), (Image.Resampling.NEAREST, True)):
            enlarged = np.asarray(Image.fromarray(small).resize((size, 1), up))
            assert np.array_equal(small[:, digital._nearest(shorter, size, accumulated)], enlarged), size


def test_the_package_breaks_ties_otherwise() -> None:
    """Where two pixels are equally near, a rounding error decides; at 224 px there is no such place."""
    image = np.random.default_rng(0).integers(0, 256, (160, 240, 3), dtype=np.uint8)
    for severity in range(1, 6):
        theirs = corrupt(PHOTO, "pixelate", severity, recipe="imagecorruptions")
        assert np.array_equal(corrupt(PHOTO, "pixelate", severity), theirs)
        differ = corrupt(image, "pixelate", severity) != corrupt(image, "pixelate", severity, recipe="imagecorruptions")
        assert differ.mean() == pytest.approx(0.24 if severity == 3 else 0, abs=0.01)


# Elastic transform


def moved(image: Pixels, down: int, right: int, border: str) -> Pixels:
    """What lies ``down`` and ``right`` of each pixel."""
    margin = 3 * max(image.shape)
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode=border)  # type: ignore[call-overload]
    height, width = image.shape[:2]
    return padded[margin + down :, margin + right :][:height, :width]


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 0), (0, -1), (-9, 4), (30, -45), (-61, 100)])
def test_displacements_mirror_the_image_with_its_edge(down: int, right: int) -> None:
    image = PHOTO[40:71, 80:127].copy()
    whole = torch.ones(1, *image.shape[:2])
    made = digital.displace(torch.from_numpy(image)[None], whole * right / 4, whole * down / 4, 4.0)
    assert np.array_equal(made[0], moved(image, down, right, "symmetric"))


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 0), (0, -1), (-9, 4), (30, -45), (-61, 100)])
def test_affine_maps_mirror_the_image_without_its_edge(down: int, right: int) -> None:
    image = PHOTO[40:71, 80:127].copy()
    maps = torch.tensor([[[1.0, 0, right], [0, 1, down]]])
    made = digital.affine(torch.from_numpy(image)[None], maps)
    assert np.array_equal(made[0], moved(image, down, right, "reflect"))


@pytest.mark.parametrize(("height", "width"), [(224, 224), (31, 47), (1080, 1920)])
def test_the_three_points_come_from_where_they_were(height: int, width: int) -> None:
    before = digital._corners(height, width)
    moves = torch.rand(16, 3, 2, generator=torch.Generator().manual_seed(0)) * 9
    maps = digital._maps_back(before, moves)
    after = torch.cat([before + moves, torch.ones(16, 3, 1)], dim=2)
    assert (after @ maps.mT - before).abs().max() < 1e-3


@pytest.mark.usefixtures("_path")
def test_an_image_that_collapses_to_a_line_is_still_an_image() -> None:
    """At 8 px the points may be moved onto each other."""
    before = digital._corners(8, 8)
    maps = digital._maps_back(before, (4.0 - before)[None])
    made = digital.affine(torch.from_numpy(PHOTO[:8, :8].copy())[None], maps)
    assert made.isfinite().all()
    assert ((made >= 0) & (made <= 255)).all()


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize("recipe", list(RECIPES))
def test_elastic_keeps_flat_areas_and_still_images(recipe: str) -> None:
    flat = np.repeat(np.arange(256, dtype=np.uint8), 16 * 16).reshape(256, 16, 16)
    flat = np.repeat(flat[..., None], 3, axis=3)[::9].copy()
    photo = PHOTO[:64, :96].copy()
    still = {"dx": np.zeros((1, 64, 96)), "dy": np.zeros((1, 64, 96))}
    if recipe != "imagecorruptions":
        still["jitter"] = np.zeros((1, 3, 2))
    for severity in range(1, 6):
        assert np.array_equal(corrupt(flat, "elastic_transform", severity, recipe=recipe), flat)
        made = corrupt(photo[None], "elastic_transform", severity, recipe=recipe, draws=still)[0]
        assert np.array_equal(made, photo)


def test_grey_is_warped_as_colour_is() -> None:
    for recipe in ("imagenet-c", "imagecorruptions"):
        whole = corrupt(PHOTO, "elastic_transform", 4, recipe=recipe, ids=["a"])
        blue = corrupt(PHOTO[..., 2].copy(), "elastic_transform", 4, recipe=recipe, ids=["a"])
        assert np.array_equal(blue, whole[..., 2])


def test_displacements_have_the_width_of_smoothed_uniform_noise() -> None:
    """Read from what becomes of ramps: the package's severity 5 moves pixels by 2.4 px, right and down alike."""
    side = 224
    ramp = np.tile(np.arange(side, dtype=np.uint8), (12, side, 1))
    images = np.stack([ramp, ramp.transpose(0, 2, 1)], axis=3)  # columns, rows
    images = np.concatenate([images, np.zeros_like(images[..., :1])], axis=3)
    ids = [str(number) for number in range(len(images))]
    made = corrupt(images, "elastic_transform", 5, recipe="imagecorruptions", ids=ids).astype(float)[..., :2]
    moves = (made - images[..., :2] + 0.5)[:, 20:-20, 20:-20]  # a level is a pixel; on average half of one is cut off
    expected = 30 * 0.005 * side / 3**0.5 / (2 * math.pi**0.5 * 0.01 * side)
    assert abs(moves.std(axis=(0, 1, 2)) / math.hypot(expected, 12**-0.5) - 1).max() < 0.03
    assert abs(moves.mean(axis=(0, 1, 2))).max() < 0.1
    assert abs(np.corrcoef(moves.reshape(-1, 2).T)[0, 1]) < 0.05


def test_cifars_first_severity_is_an_affine_map() -> None:
    """Its alpha is 0: rows and columns of a ramp stay straight."""
    ramp = np.tile(np.arange(64, 96, dtype=np.uint8), (6, 32, 1))[..., None]
    ids = [str(number) for number in range(6)]
    made = corrupt(ramp, "elastic_transform", 1, recipe="cifar-c", ids=ids).astype(float)[:, 12:20, 12:20, 0]
    second = np.diff(made, 2, axis=1), np.diff(made, 2, axis=2)
    assert max(abs(part).max() for part in second) <= 1  # of truncation
    assert len({image.tobytes() for image in made}) == 6
