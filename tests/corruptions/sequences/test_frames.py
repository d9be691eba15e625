"""Each perturbation against its plain definition, given the draws, and the law of the keyed draws."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp
from skimage import data

from ppbench.corruptions.kernels import disabled
from ppbench.corruptions.sequences.apply import perturb
from ppbench.corruptions.sequences.frames import MAKERS
from ppbench.corruptions.sequences.recipes import NOISES, SEQUENCE_RECIPES
from ppbench.corruptions.views import resized
from tests.oracles.sequences import NOISE, P, frame, frames, value

SIZES = {"imagenet": "imagenet-p", "inception": "imagenet-p-299", "tiny": "tiny-imagenet-p", "cifar": "cifar-p"}
SHAPES = {"imagenet": (256, 290), "inception": (310, 350), "tiny": (64, 81), "cifar": (32, 32)}
FRAME_SIDES = {"imagenet": 224, "inception": 299, "tiny": 64, "cifar": 32}


@cache
def photograph(size: str) -> np.ndarray:
    height, width = SHAPES[size]
    return np.asarray(Image.fromarray(data.astronaut()).resize((width, height), Image.Resampling.BILINEAR))


@cache
def normals(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal((count, side, side, 3), np.float32)


def draws_for(name: str, size: str, difficulty: int) -> dict[str, Any]:
    rng, side = np.random.default_rng(7), FRAME_SIDES[size]
    if name == "shot_noise":
        photons = P["shot_noise"]["photons_per_unit"][size][difficulty - 1]
        return {"photons": rng.poisson(0.4 * photons, (frames(name, size) - 1, side, side, 3))}
    if name in NOISE:
        return {"noise": normals(frames(name, size) - 1, side)}
    return {"layer": rng.standard_normal((side, side))} if name in ("snow", "spatter") else {}


def differences(made: np.ndarray, wanted: np.ndarray) -> tuple[int, float]:
    apart = np.abs(made.astype(int) - wanted.astype(int))
    return int(apart.max()), float((apart > 0).mean())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MAKERS)
def test_frames_are_those_of_the_plain_definition(name: str, size: str) -> None:
    image, count = photograph(size), frames(name, size)
    # Frames at which angles are round numbers, the first and the last.
    wanted = [0, 1, 15, count - 1] if count > 16 else [0, 7, count - 1]
    difficulty = 2 if name in NOISE else 1
    draws = draws_for(name, size, difficulty)
    given = {what: values[None] for what, values in draws.items()}
    made = perturb(image[None], name, recipe=SIZES[size], difficulty=difficulty, draws=given, frames=wanted)[0]
    for number, found in zip(wanted, made, strict=True):
        worst, part = differences(found, frame(image, name, number, size, difficulty, draws))
        assert worst <= 1, number
        assert part <= 0.005, number


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in NOISE])
def test_definition_and_kernel_agree(name: str) -> None:
    image = photograph("tiny")[None, :, :66]
    image = np.ascontiguousarray(image)
    wanted = [0, 4, 15, 30]
    made = perturb(image, name, recipe="tiny-imagenet-p", frames=wanted)
    with disabled():
        worst, part = differences(perturb(image, name, recipe="tiny-imagenet-p", frames=wanted), made)
    assert worst <= 1
    assert part <= 1e-3


def test_constants_are_those_of_the_table() -> None:
    for size, name in SIZES.items():
        recipe = SEQUENCE_RECIPES[name]
        assert list(recipe.noise) == P["gaussian_noise"]["std"][size]
        assert list(recipe.photons) == P["shot_noise"]["photons_per_unit"][size]
        assert list(recipe.speckle) == P["speckle_noise"]["std"][size]
        assert recipe.motion == (P["motion_blur"][size]["radius"], P["motion_blur"][size]["sigma"])
        assert {f.name: getattr(recipe.flakes, f.name) for f in recipe.flakes.__dataclass_fields__.values()} == {
            key: P["snow"][size][key] for key in ("std", "zoom", "radius", "sigma")
        }
        assert [recipe.flow.mean, recipe.flow.std, recipe.flow.sigma, recipe.flow.threshold] == [
            P["spatter"][size][key] for key in ("mean", "std", "sigma", "threshold")
        ]
        assert recipe.cut_off == P["gaussian_blur"]["truncate"][size]
        for i in (0, 9, 30):
            formulas = {
                "motion_angle": P["motion_blur"][size]["angle"], "raised": P["brightness"]["hsv_value_added"][size],
                "tilt": P["tilt"]["angle"][size], "factor": P["scale"]["factor"][size],
                "blur": P["gaussian_blur"]["sigma"][size],
            }  # fmt: skip
            for field, formula in formulas.items():
                start, step = getattr(recipe, field)
                assert start + step * i == pytest.approx(value(formula, i), abs=1e-12), field
            assert i - recipe.shift == value(P["translate"]["dx_px"][size], i)
        for perturbation in MAKERS:
            assert recipe.count(perturbation) == frames(perturbation, size)


def cells() -> list[tuple[str, str, int, int]]:
    """60 cells: noises in four sizes and three difficulties, and the two layers at several frames."""
    noisy = [(name, size, difficulty, 1) for name in sorted(NOISES) for size in SIZES for difficulty in (1, 2, 3)]
    layers = [(name, size, 1, number) for name in ("snow", "spatter") for size in SIZES for number in (0, 4, 8)]
    return noisy + layers


def test_keyed_draws_have_the_law_of_drawn_ones() -> None:
    """Of 60 cells, at most 5 % have p below 0.01 in a Kolmogorov-Smirnov test of the spread within a frame."""
    rng, low, grey = np.random.default_rng(0), 0, np.full((32, 32, 3), 100, np.uint8)
    images = 25
    for name, size, difficulty, number in cells():
        recipe = SIZES[size] if size in ("cifar", "tiny") else "cifar-p"
        constants = "tiny" if recipe == "tiny-imagenet-p" else "cifar"
        image = grey if constants == "cifar" else np.full((64, 64, 3), 100, np.uint8)
        side = len(image)
        made = perturb(
            np.repeat(image[None], images, axis=0), name, recipe=recipe, difficulty=difficulty, frames=[number],
            seed=number, ids=[f"{size} {k}" for k in range(images)],
        )[:, 0]  # fmt: skip
        photons = P["shot_noise"]["photons_per_unit"][constants][difficulty - 1]
        drawn = []
        for _ in range(images):
            draws = (
                {"photons": rng.poisson(photons * 100 / 255, (number, side, side, 3))} if name == "shot_noise"
                else {"noise": rng.standard_normal((number, side, side, 3))} if name in NOISE
                else {"layer": rng.standard_normal((side, side))}
            )  # fmt: skip
            drawn.append(frame(image, name, number, constants, difficulty, draws))
        p = ks_2samp([x.std() for x in made], [x.std() for x in drawn]).pvalue
        low += p < 0.01
    assert len(cells()) == 60
    assert low <= 3


def test_frames_of_noise_are_independent_and_the_first_is_clean() -> None:
    image = np.full((1, 32, 32, 3), 128, np.uint8)
    for name in sorted(NOISES):
        made = perturb(image, name, recipe="cifar-p")[0].astype(float)
        assert (made[0] == 128).all()
        table = np.corrcoef(made[1:].reshape(30, -1))
        assert np.abs(table[~np.eye(30, dtype=bool)]).max() < 0.1


def test_a_frame_without_water_is_black_as_all_later_ones() -> None:
    image = np.full((1, 32, 32, 3), 200, np.uint8)
    layer = np.full((1, 32, 32), -2.0)
    assert not perturb(image, "spatter", recipe="cifar-p", draws={"layer": layer}).any()
    layer[0, 18:26, 14:22] = 3  # a drop that flows out
    made = perturb(image, "spatter", recipe="cifar-p", draws={"layer": layer})[0]
    black = ~made.reshape(31, -1).any(axis=1)
    assert not black[0]
    assert black[-1]
    assert (np.diff(black.astype(int)) >= 0).all()


def test_flat_areas_darken_in_zoom_blur_as_published() -> None:
    levels = np.tile(np.arange(256, dtype=np.uint8)[:, None, None, None], (1, 8, 8, 3))
    made = perturb(levels, "zoom_blur", recipe="cifar-p", frames=[2, 30])[:, :, 4, 4, 0].astype(int)
    # Of 256 levels, 11 are one lower with three addends, and 90 with 31.
    assert [(made[:, k] == np.arange(256) - 1).sum() for k in (0, 1)] == [11, 90]
    assert set((np.arange(256)[:, None] - made).ravel()) == {0, 1}


@pytest.mark.parametrize(("old", "new"), [((31, 47), (19, 20)), ((23, 18), (40, 18)), ((30, 30), (64, 7))])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_without_pillow_is_pillows(old: tuple[int, int], new: tuple[int, int], channels: int) -> None:
    """The definition, for GPUs: the same whole numbers."""
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, *old, channels), np.uint8))
    expected = resized(images, new)
    with disabled():
        assert torch.equal(resized(images, new), expected)
    assert expected.shape == (2, *new, channels)
