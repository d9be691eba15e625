"""Arguments of ``perturb``, and the laws that all perturbations obey."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import ppbench
from ppbench.corruptions.sequences.apply import perturb
from ppbench.corruptions.sequences.frames import MAKERS
from ppbench.corruptions.sequences.recipes import EXTRA_PERTURBATIONS, TEST_PERTURBATIONS
from ppbench.errors import UsageError

RNG = np.random.default_rng(3)
IMAGES = np.kron(RNG.integers(0, 256, (3, 8, 8, 3)), np.ones((1, 4, 4, 1))).astype(np.uint8)
ALL = [*TEST_PERTURBATIONS, *EXTRA_PERTURBATIONS]


def test_all_perturbations_are_there() -> None:
    assert sorted(ALL) == sorted(MAKERS)
    assert ppbench.perturb is perturb


@pytest.mark.parametrize("name", ALL)
def test_frames_do_not_depend_on_batch_order_or_which_are_made(name: str) -> None:
    ids = ["a", "b", "c"]
    whole = perturb(IMAGES, name, recipe="cifar-p", ids=ids)
    assert whole.dtype == np.uint8
    assert whole.shape[0] == 3
    assert whole.shape[2:] == (32, 32, 3)
    some = perturb(IMAGES[::-1].copy(), name, recipe="cifar-p", ids=ids[::-1], frames=[3, 11])
    assert (some[::-1] == whole[:, [3, 11]]).all()
    assert (perturb(IMAGES[1:2], name, recipe="cifar-p", ids=["b"], frames=[15]) == whole[1:2, 15:16]).all()


@pytest.mark.parametrize("name", ALL)
def test_torch_and_single_images_give_the_same(name: str) -> None:
    kind: dict[str, Any] = {"recipe": "cifar-p", "ids": ["a"], "frames": [0, 5]}
    made = perturb(IMAGES[:1], name, **kind)
    by_torch = perturb(torch.from_numpy(IMAGES[:1]).permute(0, 3, 1, 2), name, **kind)
    assert (by_torch.permute(0, 1, 3, 4, 2).numpy() == made).all()
    assert (perturb(IMAGES[0], name, **kind) == made[0]).all()


@pytest.mark.parametrize("name", ALL)
def test_grey_images_stay_grey(name: str) -> None:
    grey = np.ascontiguousarray(IMAGES[:1, :, :, :1])
    made = perturb(grey, name, recipe="cifar-p", frames=[2, 9])
    assert made.shape == (1, 2, 32, 32, 1)
    if name not in ("gaussian_noise", "shot_noise", "speckle_noise", "spatter"):
        colours = perturb(np.repeat(grey, 3, axis=3), name, recipe="cifar-p", frames=[2, 9], ids=["a"])
        again = perturb(grey, name, recipe="cifar-p", frames=[2, 9], ids=["a"])
        assert (colours == again).all()


def test_only_noise_changes_with_the_difficulty() -> None:
    for name in ALL:
        one, two = (perturb(IMAGES, name, recipe="cifar-p", difficulty=d, frames=[4]) for d in (1, 2))
        assert (one != two).any() == (name in ("gaussian_noise", "shot_noise", "speckle_noise")), name


def test_the_seed_changes_what_is_random() -> None:
    for name in ALL:
        one, two = (perturb(IMAGES, name, recipe="cifar-p", seed=s, frames=[4]) for s in (0, 1))
        assert (one != two).any() == ("noise" in name or name in ("snow", "spatter")), name


def test_no_images_give_no_sequences() -> None:
    assert perturb(IMAGES[:0], "rotate", recipe="cifar-p").shape == (0, 31, 32, 32, 3)


def test_draws_for_all_frames_are_allowed_and_the_first_is_not_used() -> None:
    noise = RNG.standard_normal((3, 31, 32, 32, 3)).astype(np.float32)
    one = perturb(IMAGES, "gaussian_noise", recipe="cifar-p", draws={"noise": noise})
    assert (one == perturb(IMAGES, "gaussian_noise", recipe="cifar-p", draws={"noise": noise[:, 1:]})).all()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("fog", {}, "unknown perturbation 'fog'"),
        ("rotate", {"recipe": "imagenet-c"}, "unknown recipe 'imagenet-c'"),
        ("rotate", {"recipe": "imagenet-p"}, "images of 32 x 32 pixels"),
        ("rotate", {"difficulty": 4}, "difficulty 4 is not allowed"),
        ("rotate", {"difficulty": True}, "difficulty True is not allowed"),
        ("rotate", {"frames": [31]}, r"frames \[31\] are not allowed"),
        ("rotate", {"frames": [2, 1]}, "ascending"),
        ("rotate", {"frames": []}, "not allowed"),
        ("rotate", {"seed": "x"}, "seed 'x' is not allowed"),
        ("rotate", {"ids": ["a"]}, "1 ids for 3 images"),
        ("rotate", {"draws": {"noise": np.zeros((3, 2))}}, "rotate takes no draw 'noise'"),
        ("snow", {"draws": {"angle": np.zeros(3)}}, "snow takes no draw 'angle'"),
        ("snow", {"draws": {"layer": np.zeros((3, 4, 4))}}, "shape"),
        ("shot_noise", {"draws": {"photons": np.zeros((3, 5, 32, 32, 3))}}, "one for each noisy frame"),
        ("shot_noise", {"draws": {"photons": np.full((3, 30, 32, 32, 3), -1)}}, "not allowed"),
    ],
)
def test_bad_arguments_are_one_line(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        perturb(IMAGES, name, **{"recipe": "cifar-p", **options})


def test_floats_are_refused() -> None:
    with pytest.raises(UsageError, match="uint8"):
        perturb(IMAGES.astype(np.float32), "rotate", recipe="cifar-p")
