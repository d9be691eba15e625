"""The strengths of ImageNet-C-bar and CIFAR-10-C-bar, one number per severity. Free of torch.

Source: Mintun, Kirillov & Xie, "On Interaction Between Augmentations and Corruptions of Natural Images", NeurIPS 2021.
What a strength means is said where the corruption is defined (`ppbench.corruptions.bar`).
"""

from __future__ import annotations

from typing import NamedTuple


class Strength(NamedTuple):
    """The number that the severity of a C-bar corruption stands for."""

    value: float


STRENGTHS: dict[str, dict[str, tuple[float, ...]]] = {
    "imagenet-c-bar": {
        "blue_noise_sample": (0.8, 1.6, 2.4, 4.0, 5.6),
        "brownish_noise": (1, 2, 3, 4, 5),
        "caustic_refraction": (2.35, 3.2, 4.9, 6.6, 9.15),
        "checkerboard_cutout": (2, 3, 4, 5, 6),
        "cocentric_sine_waves": (3, 5, 8, 9, 10),
        "inverse_sparkles": (1, 2, 4, 9, 10),
        "perlin_noise": (4.6, 5.2, 5.8, 7.6, 8.8),
        "plasma_noise": (4.75, 7, 8.5, 9.25, 10),
        "single_frequency_greyscale": (1, 1.5, 2, 4.5, 5),
        "sparkles": (1, 2, 3, 5, 6),
    },
    "cifar-c-bar": {
        "blue_noise_sample": (0.7, 1.4, 2.1, 3.5, 4.2),
        "brownish_noise": (2.5, 4, 5.5, 6.5, 7),
        "checkerboard_cutout": (1, 2, 3, 4, 5),
        "circular_motion_blur": (2.8, 3.6, 4.4, 5.2, 6),
        "inverse_sparkles": (1, 1.5, 2.5, 4.5, 5),
        "lines": (0.5, 1, 1.5, 2, 2.5),
        "pinch_and_twirl": (5.5, 6, 6.5, 8.5, 10),
        "ripple": (5.5, 6, 6.5, 7.5, 8),
        "sparkles": (0.7, 3.5, 5.6, 6.3, 7),
        "transverse_chromatic_abberation": (1, 2, 5, 9, 10),
    },
}


def strength_of(recipe: str, corruption: str, severity: int) -> Strength:
    """Return the strength of a severity, 1 to 5, of a corruption that the recipe has."""
    return Strength(STRENGTHS[recipe][corruption][severity - 1])
