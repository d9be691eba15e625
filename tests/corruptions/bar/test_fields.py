"""Noise by its spectrum, and Perlin's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.bar.fields import noise_from
from ppbench.corruptions.kernels import disabled
from ppbench.errors import UsageError
from tests.corruptions.bar.fidelity import check, photograph
from tests.oracles.bar import random_draws


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("blue_noise_sample", "imagenet-c-bar"),
        ("blue_noise_sample", "cifar-c-bar"),
        ("brownish_noise", "imagenet-c-bar"),
        ("brownish_noise", "cifar-c-bar"),
        ("perlin_noise", "imagenet-c-bar"),
    ],
)
def test_the_engine_does_what_the_reference_does(name: str, recipe: str) -> None:
    check(name, recipe)


def phases_for(height: int, width: int) -> torch.Tensor:
    half = torch.rand(2, height, (width + 1) // 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return half * 2 * torch.pi


@pytest.mark.parametrize(("height", "width"), [(32, 32), (31, 47), (40, 33), (8, 9), (64, 14), (16, 56), (49, 28)])
def test_the_kernels_transform_is_torchs(height: int, width: int) -> None:
    phases = phases_for(height, width)
    for power in (1, 2):
        made = noise_from(phases, height, width, power)
        with disabled():
            plain = noise_from(phases, height, width, power)
        assert torch.allclose(made, plain, rtol=0, atol=1e-13 * float(plain.abs().max()))
        assert torch.equal(made[1:], noise_from(phases[1:], height, width, power))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (31, 47), (40, 33), (8, 9)])
def test_noise_of_odd_and_oblong_images_is_blue_too(height: int, width: int) -> None:
    noise = noise_from(phases_for(height, width), height, width, 1)[0].numpy() / (height * width)
    power = np.abs(np.fft.fft2(noise)) ** 2
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    assert power[0, 0] < 1e-20  # no offset
    assert np.corrcoef(power.ravel(), frequency.ravel() ** 2)[0, 1] > 0.4


def test_a_gradient_of_no_length_is_level() -> None:
    grey = np.full((32, 32, 3), 128, np.uint8)
    flat = {"gradients": np.zeros((1, 256, 2)), "permutation": np.arange(256)[None]}
    made = corrupt(grey, "perlin_noise", 1, recipe="imagenet-c-bar", draws=flat)
    assert (made == int(0.77 * 128 + 0.23 * 255 * 0.5)).all()


def test_tables_may_be_longer_and_not_shorter() -> None:
    image, drawn = photograph(32), random_draws("perlin_noise", 1, 32, np.random.RandomState(0))
    whole = {name: value[None] for name, value in drawn.items()}
    short = {name: value[None, :256] for name, value in drawn.items()}
    assert np.array_equal(*(corrupt(image, "perlin_noise", 1, draws=draws) for draws in (whole, short)))
    with pytest.raises(UsageError, match="draw 'gradients' has shape"):
        corrupt(image, "perlin_noise", 1, draws={"gradients": drawn["gradients"][None, :200]})


def test_grey_brownish_noise_is_that_of_red() -> None:
    grey = photograph(32)[..., :1]
    red = corrupt(np.repeat(grey, 3, axis=2), "brownish_noise", 3, ids=["a"])[..., 0]
    assert np.array_equal(corrupt(grey[..., 0], "brownish_noise", 3, ids=["a"]), red)
