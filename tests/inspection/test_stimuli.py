"""Gratings and noise: their range, contrast, direction and keys."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppbench.inspection.stimuli import FREQUENCIES, ORIENTATIONS, PHASES, Stimuli, angle_of, colour_names
from ppbench.models.card import Card
from tests.inspection.layers import card
from tests.oracles import selectivity as oracle

IMAGENET = Card(
    architecture="resnet18", num_classes=10, input_size=64, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
CARDS = [card(), card(mean=0.286, std=0.353), IMAGENET, card(3, mean=0.0, std=1.0)]


def pixels(stimuli: Stimuli, values: torch.Tensor) -> torch.Tensor:
    """Back from the units of the network's input to [0, 1]."""
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (stimuli.card.mean, stimuli.card.std))
    return values * std + mean


@pytest.mark.parametrize("of", CARDS, ids=["grey", "fashion", "imagenet", "unit"])
def test_grating_plus_noise_fits_into_the_range_of_pixels_unclipped(of: Card) -> None:
    stimuli = Stimuli(of, (7, 7))
    gratings, noise = stimuli.gratings().flatten(0, 3), stimuli.noise(64, seed=0)
    blank = stimuli.blank()
    extremes = torch.stack([pixels(stimuli, part) for part in (gratings.amax(0), gratings.amin(0))])
    widest = pixels(stimuli, blank)[0] + (extremes - pixels(stimuli, blank)) * (1 + 1e-6)
    reach = pixels(stimuli, noise).amax(0) - pixels(stimuli, blank)[0]
    assert widest[0].add(reach).max() <= 1
    assert widest[1].sub(reach).min() >= 0


@pytest.mark.parametrize("of", CARDS, ids=["grey", "fashion", "imagenet", "unit"])
def test_noise_and_gratings_have_one_rms_contrast(of: Card) -> None:
    stimuli = Stimuli(of, (40, 40))
    background = pixels(stimuli, stimuli.blank())
    noise = pixels(stimuli, stimuli.noise(16, seed=0)) - background
    assert float(noise.square().mean().sqrt()) == pytest.approx(stimuli.rms_contrast, rel=0.02)
    for colour in stimuli.gratings():
        # 0.25 cycles per pixel: whole periods in 40 px
        wave = pixels(stimuli, colour[ORIENTATIONS.index(90), FREQUENCIES.index(0.25)]) - background
        assert float(wave.square().mean().sqrt()) == pytest.approx(stimuli.rms_contrast, rel=1e-4)


def test_the_gratings_are_those_of_the_definition() -> None:
    stimuli = Stimuli(IMAGENET, (5, 5))
    gratings = stimuli.gratings() / stimuli.amplitude
    for colour, direction in enumerate(stimuli.directions.numpy()):
        for o, f, p in ((0, 2, 0), (3, 8, 5), (7, 0, 11)):
            phase = p * 360 / PHASES
            expected = oracle.grating(5, ORIENTATIONS[o], FREQUENCIES[f], phase, direction, np.array(IMAGENET.std))
            np.testing.assert_allclose(gratings[colour, o, f, p], expected, atol=2e-5)


def test_orientation_0_is_horizontal_bars_and_45_rises_to_the_right() -> None:
    gratings = Stimuli(card(), (9, 9)).gratings()[0, :, FREQUENCIES.index(0.25), 0, 0]
    horizontal, rising, vertical = (gratings[ORIENTATIONS.index(angle)] for angle in (0, 45, 90))
    assert torch.allclose(horizontal, horizontal[:, :1].expand(-1, 9))
    assert torch.allclose(vertical, vertical[:1].expand(9, -1))
    assert torch.allclose(rising[1:, :-1], rising[:-1, 1:], atol=1e-5)
    assert not torch.allclose(rising[:-1, :-1], rising[1:, 1:], atol=1e-2)


@pytest.mark.parametrize(("down", "across", "angle"), [(0.2, 0.0, 0), (0.0, 0.2, 90), (0.1, 0.1, 45), (0.1, -0.1, 135)])
def test_the_angle_of_a_frequency_is_that_of_its_bars(down: float, across: float, angle: float) -> None:
    assert angle_of(down, across) == pytest.approx(angle)
    assert angle_of(-down, -across) == pytest.approx(angle)


def test_antiphase_is_the_negative_about_the_background() -> None:
    stimuli = Stimuli(card(3, mean=0.0), (5, 5))
    gratings = stimuli.gratings() - stimuli.blank()[0]
    assert torch.allclose(gratings[:, :, :, : PHASES // 2], -gratings[:, :, :, PHASES // 2 :], atol=1e-6)
    assert colour_names(3) == ("achromatic", "red-green", "blue-yellow")


def test_draws_are_keyed_and_leave_torch_s_generator_alone() -> None:
    stimuli, state = Stimuli(card(), (4, 6)), torch.get_rng_state()
    few, many, others = stimuli.noise(16, 0), stimuli.noise(32, 0), stimuli.noise(16, 1)
    assert torch.equal(few, many[:16])
    assert not torch.equal(few, others)
    assert torch.equal(torch.get_rng_state(), state)
