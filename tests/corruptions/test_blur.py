"""The blurs' quirks: how ties fall, copies that are no swaps, one-sided trails."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from ppbench.corruptions import blur
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.blur import shuffle
from ppbench.corruptions.constants import constants
from ppbench.corruptions.kernels import disabled
from ppbench.corruptions.recipes import RECIPES
from ppbench.errors import UsageError
from tests.corruptions.fidelity import measure
from tests.corruptions.flat import FLAT, LEVELS, assert_flat_levels, cells
from tests.trees import photographs


def test_flat_areas_after_a_gaussian_are_as_scipy_rounds_them() -> None:
    for recipe, severity in cells("gaussian_blur"):
        sigma = constants(recipe, "gaussian_blur", severity).sigma
        flat = ndimage.gaussian_filter(FLAT / 255, (0, sigma, sigma, 0), mode="nearest")[:, 4, 4, 0]
        assert_flat_levels("gaussian_blur", recipe, severity, np.clip(flat, 0, 1) * 255)


@pytest.mark.parametrize("recipe", ["imagenet-c", "cifar-c"])
def test_flat_areas_with_something_at_the_end_of_the_filter_are_not_flat(recipe: str) -> None:
    """Vertical bars, as in drawings: what float32 cannot tell from flat would be lines, not single pixels."""
    rng = np.random.default_rng(0)
    bars = np.repeat(rng.integers(0, 256, (25, 3), np.uint8), rng.integers(3, 12, 25), axis=0)
    image = np.repeat(bars[None], 40, axis=0)
    for severity in range(1, 6):
        assert measure(image, "glass_blur", severity, recipe).fraction < 0.001
        assert measure(image, "gaussian_blur", severity, recipe).fraction < (0.001 if recipe == "cifar-c" else 0.01)
        assert measure(image, "motion_blur", severity, "imagecorruptions").fraction < 0.001


def sequential(image: NDArray[np.uint8], shift: NDArray[np.int64], reach: int) -> NDArray[np.uint8]:
    out = image.copy()
    for one in shift:
        for h in range(image.shape[0] - reach, reach, -1):
            for w in range(image.shape[1] - reach, reach, -1):
                dx, dy = one[h, w]
                out[h, w] = out[h + dy, w + dx]
    return out


@pytest.mark.parametrize("reach", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("height", "width"), [(11, 11), (12, 31), (40, 23)])
def test_pixels_are_copied_in_place_one_after_the_other(reach: int, height: int, width: int) -> None:
    rng = np.random.default_rng(reach)
    images = rng.integers(0, 256, (2, height, width, 3), np.uint8)
    shift = rng.integers(-reach, reach, (2, 3, height, width, 2))
    expected = np.stack([sequential(*pair, reach) for pair in zip(images, shift, strict=True)])
    words = blur._words_for(torch.from_numpy(shift), reach)
    for how in (nullcontext, disabled):
        with how():
            got = shuffle(torch.from_numpy(images), words, reach)
        assert np.array_equal(got.numpy(), expected)
    inside = slice(reach + 1, height - reach + 1), slice(reach + 1, width - reach + 1)
    changed = (expected != images).any(axis=(0, 3))
    assert changed[inside].any()
    changed[inside] = False
    assert not changed.any()


@pytest.mark.parametrize(("reach", "drift"), [(1, -0.50), (2, -0.73), (3, -0.82), (4, -0.86)])
def test_copies_drift_to_the_right_and_down(reach: int, drift: float) -> None:
    """Draws have the mean -1/2, and chains of copies more; the drift measured on the original is in the fact sheet."""
    side, n = 120, 8
    place = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=2).astype(np.uint8)
    image = torch.from_numpy(np.concatenate([place, place[..., :1]], axis=2)).expand(n, -1, -1, -1).contiguous()
    words = np.random.default_rng(0).integers(-(2**31), 2**31, (n, 1, side, side)).astype(np.int32)
    moved = shuffle(image, torch.from_numpy(words), reach).numpy()[..., :2].astype(int) - place
    inner = moved[:, 20:-20, 20:-20]
    assert np.abs(inner.mean(axis=(0, 1, 2)) - drift).max() < 0.03


def test_shifts_are_uniform_on_both_axes() -> None:
    """Read from the engine: a single pass over images that show the place, where sources are not yet written."""
    reach, n = 3, 4000
    image = np.zeros((n, 8, 8, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(8)[:, None], np.arange(8)
    words = np.random.default_rng(1).integers(-(2**31), 2**31, (n, 1, 8, 8)).astype(np.int32)
    got = shuffle(torch.from_numpy(image), torch.from_numpy(words), reach).numpy()[:, 5, 5, :2].astype(int) - 5
    for axis in range(2):
        counts = np.bincount(got[:, axis] + reach, minlength=2 * reach)
        assert len(counts) == 2 * reach
        assert np.abs(counts - n / 6).max() < 5 * np.sqrt(n / 6)
    assert abs(np.corrcoef(got.T)[0, 1]) < 0.06


def test_glass_blur_says_which_sizes_it_cannot_do() -> None:
    image = photographs(32, 1)[0]
    assert corrupt(image[:9, :9], "glass_blur", 5, recipe="imagenet-c").shape == (9, 9, 3)
    with pytest.raises(UsageError) as caught:
        corrupt(image[:8, :20], "glass_blur", 5, recipe="imagenet-c")
    assert "images of 8 x 20 pixels" in caught.value.message
    assert "9 pixels a side" in caught.value.hint
    assert "imagenet-c" in caught.value.hint


def test_motion_blur_of_16_bits_leaves_flat_areas_as_they_are() -> None:
    angle = np.linspace(-45, 45, 256)
    for recipe, severity in cells("motion_blur"):
        if not RECIPES[recipe].is_package:
            assert_flat_levels("motion_blur", recipe, severity, LEVELS, angle=angle)


@pytest.mark.parametrize("severity", [1, 2, 3])
def test_motion_blur_of_the_package_rounds_flat_areas_as_numpy_does(severity: int) -> None:
    k = constants("imagecorruptions", "motion_blur", severity)
    weights = np.exp(-(np.arange(2 * k.radius + 1) ** 2) / (2 * k.sigma**2)) / (np.sqrt(2 * np.pi) * k.sigma)
    flat = np.zeros(256)
    for weight in weights / weights.sum():
        flat = flat + weight * LEVELS
    wide = np.broadcast_to(LEVELS[:, None, None, None], (256, 8, 40, 1)).copy()
    for how in (nullcontext, disabled):
        with how():
            got = corrupt(wide, "motion_blur", severity, recipe="imagecorruptions", draws={"angle": np.zeros(256)})
        assert np.array_equal(got[:, 3, 3, 0], np.floor(np.minimum(flat, 255)))


def test_motion_blur_of_the_package_darkens_where_the_trail_is_longer_than_the_image() -> None:
    white = np.full((24, 24, 3), 255, np.uint8)
    level = corrupt(white, "motion_blur", 5, recipe="imagecorruptions", draws={"angle": [0.0]})
    k = constants("imagecorruptions", "motion_blur", 5)
    weights = np.exp(-(np.arange(2 * k.radius + 1) ** 2) / (2 * k.sigma**2))
    assert (level == int(255 * weights[:24].sum() / weights.sum())).all()
    assert (corrupt(white, "motion_blur", 5, recipe="imagenet-c", draws={"angle": [0.0]}) == 255).all()


def test_trails_are_on_one_side_and_of_all_directions_up_to_45_degrees() -> None:
    images = np.zeros((400, 61, 61, 1), np.uint8)
    images[:, 30, 30] = 255
    ids = [str(number) for number in range(400)]
    got = corrupt(images, "motion_blur", 1, recipe="imagenet-c", ids=ids)[..., 0].astype(float)
    assert not got[:, :, 31:].any()
    rows, columns = np.mgrid[:61, :61] - 30
    slopes = (got * rows).sum(axis=(1, 2)) / (got * columns).sum(axis=(1, 2))
    angles = np.degrees(np.arctan(slopes))
    assert abs(angles.mean()) < 6
    assert abs(angles.std() - 90 / np.sqrt(12)) < 2
    assert abs(angles).max() < 50


@pytest.mark.parametrize(("severity", "layers"), [(1, 12), (2, 16), (3, 11), (4, 13), (5, 11)])
def test_zooms_are_as_many_as_arange_gives(severity: int, layers: int) -> None:
    """A white pixel in the corner remains in the image itself and in its enlargement by 1, and nowhere else."""
    image = np.zeros((224, 224, 1), np.uint8)
    image[0, 0] = 255
    assert corrupt(image, "zoom_blur", severity)[0, 0, 0] == int(2 * 255 / (layers + 1))


def test_flat_areas_zoomed_are_as_float32_rounds_them() -> None:
    for recipe, severity in cells("zoom_blur"):
        factors = np.arange(*constants(recipe, "zoom_blur", severity))
        x = (LEVELS / 255).astype(np.float32)
        total = np.zeros_like(x)
        for _ in factors:
            total += x
        flat = np.clip((x + total) / (len(factors) + 1), 0, 1) * 255
        assert flat.dtype == np.float32
        assert_flat_levels("zoom_blur", recipe, severity, flat)


@pytest.mark.parametrize("side", [32, 50, 224])
def test_zoom_of_package_and_scripts_agree_on_squares(side: int) -> None:
    image = photographs(side, 1)[0]
    for severity in range(1, 6):
        package = corrupt(image, "zoom_blur", severity, recipe="imagecorruptions")
        assert np.array_equal(package, corrupt(image, "zoom_blur", severity, recipe="imagenet-c"))
