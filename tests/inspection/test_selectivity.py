"""The measure against its plain definition, on filters whose selectivity is known, and its laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ppbench.inspection.layer import FirstLayer, Norm
from ppbench.inspection.selectivity import INDICES, Selectivity, measure_selectivity
from ppbench.inspection.stimuli import FREQUENCIES, ORIENTATIONS, PHASES, Stimuli
from tests.inspection.layers import card, gabor, plain, push_pull
from tests.oracles import selectivity as oracle

RANDOM = torch.randn(3, 1, 3, 3, generator=torch.Generator().manual_seed(3))
IDENTITY = torch.zeros(1, 1, 3, 3)
IDENTITY[0, 0, 1, 1] = 1.0


@pytest.mark.parametrize(("inhibition", "mean_filter"), [(0.0, 0), (1.0, 3), (2.5, 1)])
def test_it_is_that_of_the_definition(inhibition: float, mean_filter: int) -> None:
    layer = plain(RANDOM) if mean_filter == 0 else push_pull(RANDOM, inhibition, mean_filter)
    found = measure_selectivity(layer, card(), draws=16)["layer"]
    _, side = layer.without_padding().place_and_side()
    stimuli = Stimuli(card(), side)
    noise = [draw.double().numpy() for draw in stimuli.noise(16, seed=0)]
    gratings = {
        (o, f, p * 360 / PHASES): stimuli.amplitude
        * oracle.grating(side[0], o, f, p * 360 / PHASES, np.ones(1), np.array([0.3]))
        for o in ORIENTATIONS
        for f in FREQUENCIES
        for p in range(PHASES)
    }
    for number, kernel in enumerate(RANDOM.double().numpy()):
        unit = oracle.Unit(kernel, inhibition, mean_filter)
        assert unit.side == side[0]
        expected = oracle.selectivity(unit, gratings, noise)
        assert (found.gratings[number].orientation_deg, found.gratings[number].frequency_cpp) == (
            expected.orientation,
            expected.frequency,
        )
        assert found.gratings[number].phase_deg == expected.phase
        for name in INDICES:
            assert found.index(name)[number] == pytest.approx(getattr(expected, name), abs=1e-4)


def test_a_gabor_filter_is_selective_and_one_pixel_is_not() -> None:
    narrow = measure_selectivity(plain(gabor(60, 0.25, side=13, width=2.5)), card())["layer"]
    pixel = measure_selectivity(plain(IDENTITY), card())["layer"]
    assert narrow.index("noise")[0] > pixel.index("noise")[0] + 0.15
    assert narrow.orientation_selectivity[0] > 0.8
    assert pixel.orientation_selectivity[0] < 1e-6
    assert (narrow.gratings[0].orientation_deg, narrow.gratings[0].frequency_cpp) == (60, 0.25)
    # of one pixel: a sine's peak, and the mean of the positive half of uniform noise of the same RMS
    mean = np.sqrt(1.5) / 4
    assert pixel.index("noise")[0] == pytest.approx((1 - mean) / (1 + mean), abs=0.02)


@pytest.mark.parametrize(("phase", "expected"), [(0, {0}), (90, {90}), (180, {180}), (270, {270})])
def test_the_preferred_phase_is_that_of_the_filter(phase: int, expected: set[int]) -> None:
    found = measure_selectivity(plain(gabor(90, 0.25, phase)), card())["layer"]
    assert found.gratings[0].orientation_deg == 90
    assert {grating.phase_deg for grating in found.gratings} == expected


def test_inhibition_sharpens_a_gabor_filter() -> None:
    found = measure_selectivity(push_pull(gabor(0, 0.25), 1.0), card())
    assert set(found) == {"push", "layer"}
    assert found["layer"].index("noise")[0] > found["push"].index("noise")[0]
    assert (found["layer"].index("antiphase"), found["push"].index("antiphase")) == (1.0, 1.0)


def test_without_inhibition_push_pull_is_its_push_and_the_plain_convolution() -> None:
    with_pull, without = measure_selectivity(push_pull(RANDOM, 0.0), card()), measure_selectivity(plain(RANDOM), card())
    np.testing.assert_array_equal(with_pull["push"].tuning, with_pull["layer"].tuning)
    np.testing.assert_allclose(with_pull["push"].preferred, without["layer"].preferred, rtol=1e-5)


@settings(deadline=None, max_examples=8)
@given(st.floats(0.05, 4.0), st.floats(0.1, 10.0))
def test_neither_contrast_nor_the_size_of_weights_changes_an_index_of_the_layer(std: float, gain: float) -> None:
    expected = measure_selectivity(push_pull(RANDOM), card(), draws=16)["layer"]
    found = measure_selectivity(push_pull(RANDOM * gain), card(std=std), draws=16)["layer"]
    for name in INDICES:
        np.testing.assert_allclose(found.index(name), expected.index(name), atol=2e-4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.floats(0, 6), st.sampled_from([0, 3]))
def test_indices_lie_within_1_and_tuning_below_the_preferred_response(seed: int, inhibition: float, k: int) -> None:
    kernels = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(seed))
    for found in measure_selectivity(push_pull(kernels, inhibition, k), card(), seed=seed, draws=16).values():
        for name in INDICES:
            values = found.index(name)[~found.silent]
            assert ((values >= -1) & (values <= 1)).all()
        np.testing.assert_array_equal(found.tuning.max((1, 2)), found.preferred)


def test_batch_norm_moves_the_threshold() -> None:
    layer = FirstLayer(
        "conv1", plain(RANDOM).module, Norm("bn1", torch.tensor([1.0, 1, -2]), torch.tensor([9.0, -9, 0]))
    )
    bare, normed = measure_selectivity(layer, card())["layer"], measure_selectivity(layer, card())["norm"]
    assert normed.silent.tolist() == [False, True, False]
    np.testing.assert_allclose(normed.preferred[0], bare.preferred[0] + 9, rtol=1e-5)
    assert normed.background.tolist() == [9.0, 0.0, 0.0]
    assert normed.index("antiphase")[0] < 0.5
    assert np.isnan(normed.index("noise")[1])
    # a negative scale prefers the opposite contrast
    assert (normed.gratings[2].phase_deg - bare.gratings[2].phase_deg) % 360 == 180


def test_a_silent_filter_is_left_out_and_has_no_index() -> None:
    kernels = torch.cat((gabor(0, 0.25, side=3, width=1), torch.zeros(1, 1, 3, 3)))
    found = measure_selectivity(plain(kernels), card())["layer"]
    assert found.silent.tolist() == [False, True]
    assert found.mean_index("noise").n == 1
    assert [np.isnan(found.index(name)).tolist() for name in INDICES] == [[False, True]] * 3


def test_filters_of_colour_prefer_their_colour() -> None:
    kernels = torch.zeros(2, 3, 5, 5)
    kernels[0, 0], kernels[0, 1] = gabor(90, 0.2, side=5)[0, 0], -gabor(90, 0.2, side=5)[0, 0]
    kernels[1] = gabor(0, 0.2, side=5)[0, 0]
    found = measure_selectivity(plain(kernels), card(3))["layer"]
    assert [grating.colour for grating in found.gratings] == ["red-green", "achromatic"]


def means(found: Selectivity) -> list[float | None]:
    return [found.mean_index(name).value for name in INDICES]


def test_the_same_seed_gives_the_same_numbers_and_another_is_within_its_interval() -> None:
    layer = push_pull(RANDOM)
    first, again, other = (measure_selectivity(layer, card(), seed=seed)["layer"] for seed in (0, 0, 1))
    assert means(first) == means(again)
    assert means(first) != means(other)
    for name in ("noise", "grating_in_noise"):
        interval, value = first.noise_interval(name), other.mean_index(name).value
        width = (interval.high or 0) - (interval.low or 0)
        assert 0 < width < 0.1
        assert abs((value or 0) - (interval.value or 0)) < 1.5 * width


def test_curves_are_aligned_at_the_preferred_orientation() -> None:
    found = measure_selectivity(plain(gabor(165, 0.25)), card())["layer"]
    assert found.aligned_orientation()[0].argmax() == len(ORIENTATIONS) // 2
    assert found.aligned_orientation().max() == 1
    assert FREQUENCIES[int(found.over_frequency()[0].argmax())] == 0.25
