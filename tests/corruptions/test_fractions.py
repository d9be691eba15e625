"""Severities between the five: against constants worked out by hand, and against `corrupt` at whole severities."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ppbench.corruptions import photons
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.fractions import check_quarter, constants_at, corrupt_at
from ppbench.corruptions.photons import poisson
from ppbench.errors import UsageError
from ppbench.vocabulary import C15
from tests.trees import photographs

IMAGES = np.stack(photographs(32, 3))
IDS = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "severity", "expected"),
    [
        ("gaussian_noise", 2.5, (0.15,)),
        ("gaussian_noise", 0.25, (0.02,)),
        ("shot_noise", 0.25, (240,)),
        ("shot_noise", 1.5, (2 / (1 / 60 + 1 / 25),)),
        ("impulse_noise", 4.75, (0.17 + 0.75 * 0.1,)),
        ("defocus_blur", 0.25, (1, 0.025)),
        ("defocus_blur", 2.25, (5, 0.5)),
        ("glass_blur", 0.25, (0.175, 1, 1)),
        ("glass_blur", 1.5, (0.8, 2, 2)),
        ("motion_blur", 1.25, (11, 3.5)),
        ("zoom_blur", 0.5, (1, 1.055, 0.01)),
        ("snow", 0.5, (0.05, 0.15, 3, 0.25, 5, 2, 0.9)),
        ("frost", 0.5, (1, 0.2)),
        ("fog", 0.5, (0.75, 2)),
        ("contrast", 0.5, (0.7,)),
        ("elastic_transform", 2.5, (250.1, 10.98, 26.84)),
        ("pixelate", 0.25, (0.9,)),
        ("jpeg_compression", 0.25, (81,)),
        ("jpeg_compression", 3.5, (13,)),
    ],
)
def test_constants_lie_on_the_line_between_their_neighbours(
    name: str, severity: float, expected: tuple[float, ...]
) -> None:
    assert tuple(constants_at("imagenet-c", name, severity)) == pytest.approx(expected)


def test_lengths_that_are_no_whole_pixels_stay_so() -> None:
    assert constants_at("cifar-c", "defocus_blur", 3.5).radius == pytest.approx(0.75)


@pytest.mark.parametrize("name", C15)
def test_whole_severities_are_those_of_corrupt(name: str) -> None:
    for severity in (1, 4):
        whole = corrupt(IMAGES, name, severity, recipe="cifar-c", seed=3, ids=IDS)
        assert (corrupt_at(IMAGES, name, float(severity), recipe="cifar-c", seed=3, ids=IDS) == whole).all()


@pytest.mark.parametrize("name", C15)
def test_a_quarter_harms_less_than_a_whole_and_nothing_is_severity_0(name: str) -> None:
    # Of CIFAR's glass_blur even a quarter moves each pixel by one, once, as severity 1 does.
    recipe = "imagenet-c" if name == "glass_blur" else "cifar-c"

    def harm(severity: float) -> float:
        made = corrupt_at(IMAGES, name, severity, recipe=recipe, ids=IDS)
        return float(np.abs(made.astype(int) - IMAGES).mean())

    assert harm(0) == 0
    assert harm(0.25) < harm(1)
    assert harm(4.75) > 0


def test_each_image_has_its_own_draws_and_batches_change_nothing() -> None:
    whole = corrupt_at(IMAGES, "shot_noise", 2.25, recipe="imagenet-c", seed=1, ids=IDS)
    one = corrupt_at(IMAGES[1:2], "shot_noise", 2.25, recipe="imagenet-c", seed=1, ids=IDS[1:2])
    assert (whole[1] == one[0]).all()
    other = corrupt_at(IMAGES[1:2], "shot_noise", 2.25, recipe="imagenet-c", seed=1, ids=["d"])
    assert (one != other).any()
    tensor = corrupt_at(torch.from_numpy(IMAGES), "shot_noise", 2.25, recipe="imagenet-c", seed=1, ids=IDS)
    assert (tensor.numpy() == whole).all()


def test_jpeg_is_that_of_pillow_at_the_rounded_quality() -> None:
    file = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(file, "JPEG", quality=81)  # 100 - 0.25 * (100 - 25) = 81.25
    made = corrupt_at(IMAGES[:1], "jpeg_compression", 0.25, recipe="imagenet-c", ids=["a"])
    assert (made[0] == np.asarray(Image.open(file))).all()


@pytest.mark.parametrize("white", [44.5, 2000.0])
def test_counts_have_poissons_law_for_any_number_of_photons(white: float) -> None:
    thresholds, _, levels = poisson(white)
    # The probability of each count, from the distribution function; rates well below white are never cut off.
    probabilities = np.diff(np.concatenate([[0], thresholds[100] / 2**32, [1]]))
    counts = np.arange(len(probabilities))
    rate = 100 / 255 * white
    mean = float(probabilities @ counts)
    assert mean == pytest.approx(rate, rel=1e-6)
    assert float(probabilities @ (counts - mean) ** 2) == pytest.approx(rate, rel=1e-5)
    assert levels[-1] == 255
    assert levels[10] == int(10 / white * 255)


def test_both_ways_to_poissons_law_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    one = poisson.__wrapped__(60.0)
    monkeypatch.setattr(photons, "_MOST_STEPS", 1)
    other = poisson.__wrapped__(60.0)
    assert np.abs(one.thresholds.astype(float) - other.thresholds).max() <= 2


@pytest.mark.parametrize("severity", [-0.25, 5.25, 0.1, True, "1"])
def test_other_severities_are_refused(severity: object) -> None:
    with pytest.raises(UsageError, match="is not allowed"):
        check_quarter(severity)


def test_only_the_15_are_in_streams() -> None:
    with pytest.raises(UsageError, match="corruption of a stream"):
        corrupt_at(IMAGES, "spatter", 1.5, ids=IDS)
