"""The corruptions by name: the 19, and C-bar's 15."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ppbench.corruptions import blur, colour, digital, jpeg, noise, spatter, weather
from ppbench.corruptions.bar import cutout, fields, optics, stars, turning, waves
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.lookup import NameTable
from ppbench.vocabulary import KNOWN

CorruptionFunction = Callable[[Tensor, Any, Recipe, Draws], Tensor]
"""Images ``(n, H, W, C)`` uint8, constants, recipe, draws -> images of the same shape and type."""

_FUNCTIONS: tuple[CorruptionFunction, ...] = (
    noise.gaussian_noise, noise.shot_noise, noise.impulse_noise,
    blur.defocus_blur, blur.glass_blur, blur.motion_blur, blur.zoom_blur,
    weather.snow, weather.frost, weather.fog, colour.brightness,
    colour.contrast, digital.elastic_transform, digital.pixelate, jpeg.jpeg_compression,
    noise.speckle_noise, blur.gaussian_blur, spatter.spatter, colour.saturate,
    fields.blue_noise_sample, fields.brownish_noise, optics.caustic_refraction, cutout.checkerboard_cutout,
    waves.cocentric_sine_waves, stars.inverse_sparkles, fields.perlin_noise, waves.plasma_noise,
    waves.single_frequency_greyscale, stars.sparkles,
    turning.circular_motion_blur, cutout.lines, optics.pinch_and_twirl, optics.ripple,
    turning.transverse_chromatic_abberation,
)  # fmt: skip

# `ppbench list corruptions` lists more than these, and the message about an unknown name gives that number.
CORRUPTIONS = NameTable(
    {function.__name__: function for function in _FUNCTIONS}, "corruption", "ppbench list corruptions", len(KNOWN)
)
