from __future__ import annotations

import re

import pytest

from ppbench.figures.colours import (
    HEAT,
    HEAT_DARK,
    LINE_STYLES,
    SIGNED_HEAT,
    SIGNED_HEAT_DARK,
    contrast_ratio,
    figure_css,
    luminance,
    text_on,
)
from ppbench.figures.scales import DIVERGING_STEPS, SEQUENTIAL_STEPS

GROUNDS = {"light": "#FFFFFF", "dark": "#14171A"}


@pytest.mark.parametrize("scale", [HEAT, HEAT_DARK, SIGNED_HEAT, SIGNED_HEAT_DARK])
def test_numbers_can_be_read_on_every_step(scale: tuple[str, ...]) -> None:
    assert all(contrast_ratio(colour, text_on(colour)) >= 4.5 for colour in scale)


def test_steps_keep_their_order_without_colour() -> None:
    assert list(map(luminance, HEAT)) == sorted(map(luminance, HEAT), reverse=True)
    assert list(map(luminance, HEAT_DARK)) == sorted(map(luminance, HEAT_DARK))
    assert len(HEAT) == len(HEAT_DARK) == SEQUENTIAL_STEPS
    for scale, sign in ((SIGNED_HEAT, -1), (SIGNED_HEAT_DARK, 1)):
        shades = [sign * luminance(colour) for colour in scale]
        middle = DIVERGING_STEPS // 2
        assert len(scale) == DIVERGING_STEPS
        assert shades[: middle + 1] == sorted(shades[: middle + 1], reverse=True)
        assert shades[middle:] == sorted(shades[middle:])


def test_lines_stand_out_from_the_ground_and_differ_without_colour() -> None:
    for style in LINE_STYLES:
        assert contrast_ratio(style.light, GROUNDS["light"]) >= 3
        assert contrast_ratio(style.dark, GROUNDS["dark"]) >= 3
    assert len({style.dash for style in LINE_STYLES}) == len({style.marker for style in LINE_STYLES}) == 6


def simulated(colour: str, matrix: tuple[tuple[float, ...], ...]) -> list[float]:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [sum(factor * part for factor, part in zip(row, parts, strict=True)) for row in matrix]


# Machado, Oliveira & Fernandes, IEEE TVCG 2009: complete protanopia and deuteranopia.
BLINDNESS = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("scale", [SIGNED_HEAT, SIGNED_HEAT_DARK])
def test_better_and_worse_stay_apart_for_colour_blind_readers(kind: str, scale: tuple[str, ...]) -> None:
    for step in range(4):
        one, other = (simulated(scale[place], BLINDNESS[kind]) for place in (step, -1 - step))
        assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 0.15


def test_all_colours_are_properties_that_light_dark_and_print_set() -> None:
    css = figure_css()
    used = set(re.findall(r"var\((--fig-[\w-]+)\)", css))
    light, dark, dark_by_choice, printed = (set(re.findall(r"(--fig-[\w-]+):#", line)) for line in css.split("\n")[:4])
    assert used <= light == dark == dark_by_choice == printed
    assert "#" not in "".join(css.split("\n")[4:]), "a colour outside the properties would not follow the ground"
    assert css.count("{") == css.count("}")
    assert "<" not in css
    assert css == figure_css()
