"""The shared filters against scipy and the oracles, as kernels and as tensor code."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ppbench.corruptions.axes import Mode, margins
from ppbench.corruptions.constants import constants
from ppbench.corruptions.filters import clipped_zoom, gaussian_filter, motion_filter
from ppbench.corruptions.kernels import disabled
from ppbench.corruptions.taps import gaussian_weights, trail_counts, trail_offsets, trail_weights
from tests.oracles.corruptions.filters import zoomed_into
from tests.oracles.corruptions.motion import trailed

SHAPES = [(2, 31, 47, 3), (3, 8, 8, 1), (1, 64, 40, 1), (2, 9, 70, 3)]


def levels(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Random grey levels, float32."""
    return torch.from_numpy(np.random.default_rng(seed).random(shape, dtype=np.float32) * 255)


def assert_both_are(function: Callable[[], Tensor], expected: NDArray[np.floating], within: float = 3e-4) -> None:
    """Kernel and tensor code give what is expected."""
    for how in (nullcontext, disabled):
        with how():
            got = function()
        assert got.dtype == torch.float32
        assert got.shape == expected.shape
        assert np.abs(got.numpy() - expected).max() <= within, how


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["nearest", "reflect", "mirror"])
@pytest.mark.parametrize(
    ("sigma", "truncate"),
    [((1, 1), 4), ((0.4, 2), 4), ((0.05, 3), 3), ((2.44, 2.44), 3), ((6, 3.3), 4), ((19.52, 19.52), 3), ((80, 200), 3)],
)
def test_gaussian_is_scipys(shape: tuple[int, ...], mode: Mode, sigma: tuple[float, float], truncate: float) -> None:
    x = levels(shape)
    wide = (*sigma, 0)
    expected = [ndimage.gaussian_filter(image.astype(float), wide, truncate=truncate, mode=mode) for image in x.numpy()]
    assert_both_are(lambda: gaussian_filter(x, sigma, truncate, mode), np.stack(expected))


def test_gaussian_too_narrow_for_a_second_pixel_is_the_identity() -> None:
    x = levels((1, 12, 12, 3))
    assert gaussian_weights(0.1, 4).tolist() == [1]
    assert torch.equal(gaussian_filter(x, (0.1, 0.1), 4, "nearest"), x)
    assert torch.equal(gaussian_filter(x, (0, 0), 4, "nearest"), x)


@given(st.integers(2, 30), st.integers(0, 100), st.sampled_from(["nearest", "reflect", "mirror"]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_margins_are_numpys(side: int, radius: int, mode: Mode) -> None:
    named = {"nearest": "edge", "reflect": "symmetric", "mirror": "reflect"}[mode]
    assert np.array_equal(margins(side, radius, mode), np.pad(np.arange(side), radius, mode=named))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stop_at_border", [False, True])
@pytest.mark.parametrize(("radius", "sigma"), [(6, 1), (12, 12), (20, 15)])
def test_motion_follows_the_line(shape: tuple[int, ...], stop_at_border: bool, radius: int, sigma: float) -> None:
    x = levels(shape)
    for first in (-135.0, -91.5, -45.0, -0.3, 12.0):
        angle = torch.linspace(first, first + 33, shape[0], dtype=torch.float64)
        recipe = "imagecorruptions" if stop_at_border else "imagenet-c"
        pairs = zip(x.double().numpy(), angle.tolist(), strict=True)
        expected = np.stack([trailed(image, radius, sigma, one, recipe) for image, one in pairs])
        assert_both_are(lambda: motion_filter(x, radius, sigma, angle, stop_at_border), expected)  # noqa: B023


def test_a_trail_is_one_sided_and_of_nearest_pixels() -> None:
    offsets = trail_offsets(torch.tensor([0.0, 45.0, -90.0]), 4)
    assert offsets[0].tolist() == [[0, 0], [0, 1], [0, 2], [0, 3]]
    assert offsets[1].tolist() == [[0, 0], [1, 1], [1, 1], [2, 2]]  # (down, right)
    assert offsets[2].tolist() == [[0, 0], [-1, 0], [-2, 0], [-3, 0]]
    weights = trail_weights(10, 3.0)
    assert len(weights) == 21
    assert weights.argmax() == 0
    assert abs(weights.sum() - 1) < 1e-15


def test_a_trail_ends_where_no_pixel_of_it_is_in_the_image() -> None:
    offsets = trail_offsets(torch.tensor([0.0, -45.0]), 31)
    assert trail_counts(offsets, 9, 20, False).tolist() == [31, 31]
    counts = trail_counts(offsets, 9, 20, True).tolist()
    assert counts[0] == 20
    assert offsets[1, counts[1] - 1].tolist() == [-8, 8]
    assert offsets[1, counts[1]].tolist() == [-9, 9]


FACTORS = sorted({float(f) for row in range(1, 6) for f in np.arange(*constants("imagenet-c", "zoom_blur", row))})


@pytest.mark.parametrize("side", [32, 64, 128])
@pytest.mark.parametrize("trim", [False, True])
def test_zoom_of_squares_is_scipys(side: int, trim: bool) -> None:
    """At sides where scipy's own coordinates do not leave the image by rounding."""
    x = levels((1, side, side, 3))
    for factor in [*FACTORS[::5], 1.75, 2.5, 4.5]:
        crop = int(np.ceil(side / factor))
        start = (side - crop) // 2
        middle = x[0, start : start + crop, start : start + crop].numpy()
        whole = ndimage.zoom(middle, (factor, factor, 1), order=1)
        cut = (len(whole) - side) // 2 if trim else 0
        expected = whole[cut : cut + side, cut : cut + side] if trim else whole
        assert_both_are(lambda: clipped_zoom(x, factor, trim), expected[None])  # noqa: B023


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("trim", [False, True])
def test_zoom_of_any_shape_treats_each_axis_alone(shape: tuple[int, ...], trim: bool) -> None:
    x = levels(shape)
    for factor in [1, 1.01, 1.3, 2.25, 4.5]:
        recipe = "imagenet-c" if trim else "imagecorruptions"
        expected = np.stack([zoomed_into(image, factor, recipe) for image in x.numpy()])
        assert expected.shape[1] >= shape[1]
        assert_both_are(lambda: clipped_zoom(x, factor, trim), expected)  # noqa: B023


def test_images_of_a_batch_do_not_touch() -> None:
    x = levels((7, 20, 24, 3))
    angle = torch.linspace(-45, 45, 7)
    for function in (
        lambda x, angle: gaussian_filter(x, (2, 2), 4, "nearest"),
        lambda x, angle: gaussian_filter(x, (30, 30), 3, "reflect"),
        lambda x, angle: motion_filter(x, 8, 3.0, angle, False),
        lambda x, angle: clipped_zoom(x, 1.2, True),
    ):
        whole = function(x, angle)
        for i in range(7):
            assert torch.equal(function(x[i : i + 1], angle[i : i + 1])[0], whole[i])
