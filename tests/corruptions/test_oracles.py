"""The oracles against the package ``imagecorruptions``, both given the same random draws."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from ppbench.vocabulary import C19
from tests.oracles.corruptions import CORRUPTIONS, RECIPES, oracle, random_draws
from tests.oracles.corruptions.blur import disk
from tests.oracles.corruptions.elastic import affine, corners
from tests.oracles.corruptions.frost import texture
from tests.oracles.corruptions.tables import PARAMETERS
from tests.oracles.package import by_the_package, the_packages_draws

SEVERITIES = (1, 2, 3, 4, 5)


@cache
def decoded(name: str) -> Image.Image:
    return Image.fromarray(getattr(data, name)())


@cache
def photograph(name: str, height: int, width: int) -> np.ndarray:
    whole = decoded(name)
    return np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR))


PHOTOGRAPHS = {
    "astronaut": photograph("astronaut", 64, 64),
    "chelsea": photograph("chelsea", 48, 72),
}


def difference(a: np.ndarray, b: np.ndarray) -> tuple[int, float]:
    """The largest difference in grey levels, and the fraction of values that differ."""
    levels = np.abs(a.astype(int) - b.astype(int))
    return int(levels.max()), float((levels > 0).mean())


def largest_differences(
    image: np.ndarray, corruption: str, recipe: str, severities: tuple[int, ...] = SEVERITIES, seed: int = 1
) -> tuple[int, float]:
    """Between oracle and package, over these severities."""
    found = []
    for severity in severities:
        draws = the_packages_draws(image, corruption, severity, seed)
        by_the_oracle = oracle(image, corruption, severity, recipe, draws)
        found.append(difference(by_the_oracle, by_the_package(image, corruption, severity, seed)))
    return max(levels for levels, _ in found), max(fraction for _, fraction in found)


def assert_the_same(differences: tuple[int, float], fraction: float = 5e-4) -> None:
    """But for values that lie on an integer up to the last bit, and so are truncated to either side of it."""
    assert differences[0] <= 1
    assert differences[1] <= fraction


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("corruption", C19)
def test_the_oracle_gives_what_the_package_gives(corruption: str, name: str) -> None:
    assert_the_same(largest_differences(PHOTOGRAPHS[name], corruption, "imagecorruptions"))


@pytest.mark.parametrize("corruption", ["motion_blur", "snow"])
@pytest.mark.parametrize("seed", range(4))
def test_the_package_stops_a_trail_that_is_longer_than_the_image(corruption: str, seed: int) -> None:
    image = photograph("coffee", 32, 35)
    assert_the_same(largest_differences(image, corruption, "imagecorruptions", seed=seed), 2e-3)


IDENTICAL = (
    *("gaussian_noise", "shot_noise", "speckle_noise", "impulse_noise"),
    *("defocus_blur", "gaussian_blur", "zoom_blur"),
    *("brightness", "contrast", "saturate", "pixelate", "jpeg_compression"),
)
"""With the same draws, in squares of a power of two or 224 px, the scripts and the package give the same pixels."""


@pytest.mark.parametrize("side", [64, 224])
@pytest.mark.parametrize("corruption", IDENTICAL)
def test_imagenet_c_is_the_package_in_squares(corruption: str, side: int) -> None:
    image = photograph("coffee", side, side)
    assert_the_same(largest_differences(image, corruption, "imagenet-c", (1, 3, 5)), 2e-5 if side == 224 else 2e-4)


@pytest.mark.parametrize(("corruption", "fraction"), [("glass_blur", 0), ("fog", 2e-4), ("spatter", 2e-4)])
def test_imagenet_c_is_the_package_but_for_few_ties(corruption: str, fraction: float) -> None:
    assert_the_same(largest_differences(PHOTOGRAPHS["astronaut"], corruption, "imagenet-c"), fraction)


def test_imagemagicks_motion_blur_is_the_packages_but_for_its_16_bits() -> None:
    levels, fraction = largest_differences(photograph("coffee", 224, 224), "motion_blur", "imagenet-c")
    assert levels == 1
    assert 5e-4 < fraction < 5e-3  # floor(x + 1/514) and floor(x) differ in one value of 514


def test_imagenet_cs_snow_is_much_as_the_packages() -> None:
    """It truncates to 8 bits where the package rounds; flakes at the border are cut off elsewhere."""
    levels, fraction = largest_differences(photograph("coffee", 224, 224), "snow", "imagenet-c", (3,))
    assert levels <= 3
    assert 0.1 < fraction < 0.5


def test_the_affine_map_is_opencvs() -> None:
    """Up to OpenCV's precision: before version 5 it rounds places to 1/32 px."""
    image = photograph("coffee", 64, 48).astype(np.float32)
    jitter = np.random.default_rng(0).uniform(-5, 5, (3, 2))
    before = corners(64, 48).astype(np.float32)
    matrix = cv2.getAffineTransform(before, (before + jitter).astype(np.float32))
    theirs = cv2.warpAffine(image, matrix, (48, 64), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    assert np.abs(affine(image, jitter) - theirs).max() < (0.05 if int(cv2.__version__.split(".")[0]) >= 5 else 4)


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("severity", SEVERITIES)
def test_without_displacement_elastic_changes_nothing(recipe: str, severity: int) -> None:
    image = PHOTOGRAPHS["chelsea"]
    still = np.zeros(image.shape[:2])
    draws = {"dx": still, "dy": still, "jitter": np.zeros((3, 2))}
    assert np.abs(oracle(image, "elastic_transform", severity, recipe, draws).astype(int) - image).max() <= 1


def test_spatter_without_a_drop_changes_nothing() -> None:
    image = PHOTOGRAPHS["chelsea"]
    draws = {"layer": np.full(image.shape[:2], -9.0)}
    for severity in SEVERITIES:
        assert np.array_equal(oracle(image, "spatter", severity, "cifar-c", draws), image)


def test_glass_blur_needs_one_pixel_that_it_may_write() -> None:
    image = PHOTOGRAPHS["chelsea"][:8]
    with pytest.raises(ValueError, match="8 px is too small"):
        random_draws("glass_blur", 5, "imagenet-c", 8, 72, np.random.default_rng(0))
    with pytest.raises(ValueError, match="8 px is too small"):
        oracle(image, "glass_blur", 5, "imagenet-c", {"shift": np.zeros((2, 8, 72, 2), int)})
    with pytest.raises(ValueError, match="2 px is too small"):
        random_draws("glass_blur", 1, "cifar-c", 2, 2, np.random.default_rng(0))
    random_draws("glass_blur", 1, "cifar-c", 3, 3, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("radius", "alias_sigma", "total"),
    [(8, 0.5, 1.012975), (10, 0.5, 1.010786), (12, 0.5, 1.007753), (7, 0.5, 1.002859)],
)
def test_a_disk_that_touches_its_border_brightens(radius: int, alias_sigma: float, total: float) -> None:
    assert disk(radius, alias_sigma).sum() == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize(
    ("recipe", "sizes"),
    [
        ("imagenet-c", [(600, 900), (315, 560), (315, 560), (350, 527), (495, 660)]),
        ("tiny-imagenet-c", [(180, 270), (94, 168), (94, 168), (105, 158), (148, 198)]),
        ("cifar-c", [(120, 180), (63, 112), (63, 112), (70, 105), (99, 132)]),
        ("imagecorruptions", [(660, 991), (347, 616), (347, 616), (386, 580), (545, 727), (356, 534)]),
    ],
)
def test_frost_textures_have_the_sizes_of_the_references(recipe: str, sizes: list[tuple[int, int]]) -> None:
    assert [texture(index, 32, 32, recipe).shape[:2] for index in range(len(sizes))] == sizes


def test_frost_textures_grow_just_enough_for_larger_images() -> None:
    assert texture(1, 63, 80, "cifar-c").shape == (70, 124, 3)  # 63 rows do not exceed 63
    assert texture(1, 62, 80, "cifar-c").shape == (63, 112, 3)


def test_zoom_factors_are_those_that_arange_gives() -> None:
    for table in PARAMETERS.values():
        for c in table.get("zoom_blur", ()):
            assert np.array_equal(np.arange(c["start"], c["stop"], c["step"]), c["factors"])
            assert len(c["factors"]) == c["n_factors"]


def test_the_package_has_imagenet_cs_constants_but_for_elastic() -> None:
    theirs, imagenet = PARAMETERS["imagecorruptions"], PARAMETERS["imagenet-224"]
    assert set(theirs) == set(imagenet) == set(CORRUPTIONS) == set(C19)
    assert {name for name in C19 if theirs[name] != imagenet[name]} == {"elastic_transform"}


@pytest.mark.parametrize("corruption", C19)
@pytest.mark.parametrize("recipe", list(RECIPES))
def test_every_oracle_takes_odd_and_oblong_images(recipe: str, corruption: str) -> None:
    image = photograph("coffee", 32, 47)
    for severity in SEVERITIES:
        draws = random_draws(corruption, severity, recipe, 32, 47, np.random.default_rng(severity), image=image)
        corrupted = oracle(image, corruption, severity, recipe, draws)
        assert corrupted.shape == image.shape
        assert corrupted.dtype == np.uint8
        assert not np.array_equal(corrupted, image)
