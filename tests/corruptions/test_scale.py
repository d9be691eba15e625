"""Laws of scaled corruptions: a doubled image at scale 2 is the doubled image of scale 1."""

from __future__ import annotations

import numpy as np
import pytest

import ppbench
from ppbench.corruptions.recipes import RECIPES
from ppbench.corruptions.scale import scale_for
from ppbench.errors import UsageError
from ppbench.vocabulary import C19, FAMILIES
from tests.trees import photographs

SMALL = photographs(96, 1)[0]
NOISE = (*FAMILIES["noise"], "speckle_noise")
SAME = ("zoom_blur", "fog", "elastic_transform", "brightness", "contrast", "saturate", "jpeg_compression")
SMOOTH = tuple(name for name in C19 if name not in (*NOISE, *SAME, "pixelate"))
RECIPE = "tiny-imagenet-c"


def doubled(image: np.ndarray) -> np.ndarray:
    return image.repeat(2, 0).repeat(2, 1)


def made(image: np.ndarray, name: str, severity: int = 5, **options: object) -> np.ndarray:
    return ppbench.corrupt(image[None], name, severity, recipe=RECIPE, ids=["a"], **options)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "severity"), [*((name, s) for name in NOISE for s in (1, 5)), ("pixelate", 5)])
def test_grain_and_blocks_are_as_large_as_the_recipes(name: str, severity: int) -> None:
    expected = doubled(made(SMALL, name, severity))
    assert np.array_equal(made(doubled(SMALL), name, severity, scale=2), expected)
    assert not np.array_equal(made(doubled(SMALL), name, severity), expected)


@pytest.mark.parametrize("name", SMOOTH)
def test_a_doubled_image_is_nearly_the_doubled_corruption(name: str) -> None:
    """Compared in cells of 4 x 4 pixels, with what it would be without the scale."""
    expected = means(doubled(made(SMALL, name)))
    near, far = (np.abs(means(made(doubled(SMALL), name, scale=scale)) - expected).mean() for scale in (2, 1))
    assert near < 8
    assert near < far / 1.5


def means(image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    return image.reshape(height // 4, 4, width // 4, 4, channels).mean((1, 3))


@pytest.mark.parametrize("name", SAME)
def test_what_has_no_length_in_pixels_stays(name: str) -> None:
    assert np.array_equal(made(SMALL, name, scale=2), made(SMALL, name))


@pytest.mark.parametrize("name", C19)
def test_scale_1_is_no_scale_and_odd_scales_and_shapes_work(name: str) -> None:
    assert np.array_equal(made(SMALL, name, scale=1), made(SMALL, name))
    part = SMALL[:71, :53]
    for image in (part, part[..., :1]):
        for severity in (1, 5):
            assert made(image, name, severity, scale=1.7).shape == image.shape


def test_the_automatic_scale_is_the_shorter_side_by_the_recipes_size() -> None:
    assert scale_for("auto", RECIPES["imagenet-c"], 3024, 4032) == pytest.approx(13.5)
    assert scale_for("auto", RECIPES["imagecorruptions"], 448, 4032) == 2
    assert scale_for("auto", RECIPES["imagenet-c"], 100, 100) == 1
    expected = made(doubled(SMALL), "gaussian_blur", scale=3)
    assert np.array_equal(made(doubled(SMALL), "gaussian_blur", scale="auto"), expected)


@pytest.mark.parametrize("scale", [0.5, 0, -1, 65, float("nan"), "big", True, None])
def test_wrong_scales_are_refused(scale: object) -> None:
    with pytest.raises(UsageError, match=r"scale .* is not allowed\nIt is a number from 1 to 64, or auto"):
        made(SMALL, "fog", scale=scale)


@pytest.mark.parametrize("name", C19)
@pytest.mark.parametrize("shape", [(8, 8), (9, 40)])
def test_an_image_smaller_than_the_scale_is_corrupted_or_refused_in_words(name: str, shape: tuple[int, int]) -> None:
    image = np.ascontiguousarray(SMALL[: shape[0], : shape[1]])
    if name == "glass_blur":
        with pytest.raises(UsageError, match="cannot work on images of"):
            made(image, name, scale=64)
    else:
        assert made(image, name, scale=64).shape == image.shape
