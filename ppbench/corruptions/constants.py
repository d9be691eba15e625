"""Every severity constant of every recipe, in one table. Free of torch.

Source: the scripts that made the published sets (hendrycks/robustness, ``make_imagenet_c.py``,
``make_imagenet_c_inception.py``, ``make_tinyimagenet_c.py``, ``make_cifar_c.py``) and the package
``imagecorruptions``, whose constants are those of 224 px except for elastic_transform.
Lengths are in pixels, intensities are fractions of white, angles are in degrees.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ppbench.corruptions.strengths import strength_of


class Noise(NamedTuple):
    """Standard deviation: of gaussian_noise in fractions of white, of speckle_noise relative to the value."""

    std: float


class Shot(NamedTuple):
    """Photons that make up white."""

    photons: int


class Impulse(NamedTuple):
    """Probability that a channel value is replaced."""

    fraction: float


class Defocus(NamedTuple):
    """Radius of the disk; width of the Gaussian that smooths its rim."""

    radius: float
    alias_sigma: float


class Glass(NamedTuple):
    """Width of the Gaussians before and after; how far and how often pixels move."""

    sigma: float
    max_shift: int
    passes: int


class Motion(NamedTuple):
    """Length (``2 radius + 1`` taps) and width of the one-sided Gaussian."""

    radius: int
    sigma: float


class Zoom(NamedTuple):
    """Zoom factors, as `numpy.arange` of the three really gives them."""

    start: float
    stop: float
    step: float


class Gaussian(NamedTuple):
    """Width of the Gaussian."""

    sigma: float


class Snow(NamedTuple):
    """Distribution of the flakes, their enlargement and threshold, the motion blur, and the weight of the image."""

    mean: float
    std: float
    zoom: float
    threshold: float
    radius: int
    sigma: float
    image_weight: float


class Frost(NamedTuple):
    """Weights of the image and of the frost."""

    image_weight: float
    frost_weight: float


class Fog(NamedTuple):
    """Amount of fog; the factor by which the roughness of its map falls from one scale to the next finer one."""

    amount: float
    decay: float


class Brightness(NamedTuple):
    """Number added to the value V of HSV."""

    added: float


class Contrast(NamedTuple):
    """Factor of the distance from the channel's mean."""

    factor: float


class Elastic(NamedTuple):
    """Scale and smoothness of the displacement; how far the corners of the affine map move.

    For recipe ``imagecorruptions``, sigma is a fraction of each side and there is no affine map.
    """

    alpha: float
    sigma: float
    jitter: float


class Pixelate(NamedTuple):
    """Size of the small image, as a fraction of the side."""

    fraction: float


class Jpeg(NamedTuple):
    """Quality on libjpeg's scale."""

    quality: int


class Spatter(NamedTuple):
    """Distribution, smoothness and threshold of the liquid; opacity of water, or smoothness of mud."""

    mean: float
    std: float
    sigma: float
    threshold: float
    last: float
    is_mud: bool


class Saturate(NamedTuple):
    """Factor of the saturation S of HSV, and the number added to it."""

    factor: float
    added: float


def constants(table: str, corruption: str, severity: int) -> Any:
    """Return the constants of a cell, as the named tuple of its corruption.

    Args:
        table: Name of a recipe; ``imagecorruptions`` has the constants of ``imagenet-c`` except for a few of its own.
        corruption: One of the 19 names, or one of C-bar's in a recipe that has it.
        severity: 1 to 5.
    """
    if corruption not in _TABLE:
        return strength_of(table, corruption, severity)
    kind, by_table = _TABLE[corruption]
    rows = by_table[table] if table in by_table else by_table["imagenet-c"]
    return kind(*rows[severity - 1])


def _each(*values: float) -> tuple[tuple[float], ...]:
    """Return rows of a single constant, one per severity."""
    return tuple((value,) for value in values)


_TABLE: dict[str, tuple[type[Any], dict[str, tuple[tuple[float, ...], ...]]]] = {
    "gaussian_noise": (
        Noise,
        {
            "imagenet-c": _each(0.08, 0.12, 0.18, 0.26, 0.38),
            "imagenet-c-299": _each(0.09, 0.13, 0.19, 0.27, 0.4),
            "tiny-imagenet-c": _each(0.04, 0.08, 0.12, 0.15, 0.18),
            "cifar-c": _each(0.04, 0.06, 0.08, 0.09, 0.1),
        },
    ),
    "shot_noise": (
        Shot,
        {
            "imagenet-c": _each(60, 25, 12, 5, 3),
            "imagenet-c-299": _each(50, 20, 10, 5, 3),
            "tiny-imagenet-c": _each(250, 100, 50, 30, 15),
            "cifar-c": _each(500, 250, 100, 75, 50),
        },
    ),
    "impulse_noise": (
        Impulse,
        {
            "imagenet-c": _each(0.03, 0.06, 0.09, 0.17, 0.27),
            "imagenet-c-299": _each(0.04, 0.07, 0.1, 0.18, 0.28),
            "tiny-imagenet-c": _each(0.01, 0.02, 0.05, 0.08, 0.14),
            "cifar-c": _each(0.01, 0.02, 0.03, 0.05, 0.07),
        },
    ),
    "defocus_blur": (
        Defocus,
        {
            "imagenet-c": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
            "imagenet-c-299": ((4, 0.1), (5, 0.5), (7, 0.5), (10, 0.5), (12, 0.5)),
            "tiny-imagenet-c": ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
            "cifar-c": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
        },
    ),
    "glass_blur": (
        Glass,
        {
            "imagenet-c": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
            "imagenet-c-299": ((0.8, 1, 3), (1, 3, 1), (1.1, 2, 4), (1.2, 4, 2), (1.6, 5, 2)),
            "tiny-imagenet-c": ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
            "cifar-c": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
        },
    ),
    "motion_blur": (
        Motion,
        {
            "imagenet-c": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
            "imagenet-c-299": ((12, 4), (17, 6), (17, 9), (17, 13), (22, 16)),
            "tiny-imagenet-c": ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
            "cifar-c": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
        },
    ),
    "zoom_blur": (
        Zoom,
        {
            "imagenet-c": ((1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.02), (1, 1.26, 0.02), (1, 1.31, 0.03)),
            "imagenet-c-299": ((1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.02), (1, 1.26, 0.02), (1, 1.31, 0.03)),
            "tiny-imagenet-c": ((1, 1.06, 0.01), (1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.01), (1, 1.26, 0.01)),
            "cifar-c": ((1, 1.06, 0.01), (1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.01), (1, 1.26, 0.01)),
        },
    ),
    "snow": (
        Snow,
        {
            "imagenet-c": (
                (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
                (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
                (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
                (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
                (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
            ),
            "imagenet-c-299": (
                (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
                (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
                (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
                (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
                (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
            ),
            "tiny-imagenet-c": (
                (0.1, 0.2, 1, 0.6, 8, 3, 0.8),
                (0.1, 0.2, 1, 0.5, 10, 4, 0.8),
                (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
                (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
                (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
            ),
            "cifar-c": (
                (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
                (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
                (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
                (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
                (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
            ),
        },
    ),
    "frost": (
        Frost,
        {
            "imagenet-c": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
            "imagenet-c-299": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
            "tiny-imagenet-c": ((1, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
            "cifar-c": ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
        },
    ),
    "fog": (
        Fog,
        {
            "imagenet-c": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
            "imagenet-c-299": ((1.5, 2), (2, 2), (2.5, 1.8), (2.5, 1.6), (3, 1.5)),
            "tiny-imagenet-c": ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
            "cifar-c": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
        },
    ),
    "brightness": (
        Brightness,
        {
            "imagenet-c": _each(0.1, 0.2, 0.3, 0.4, 0.5),
            "imagenet-c-299": _each(0.1, 0.2, 0.3, 0.4, 0.5),
            "tiny-imagenet-c": _each(0.1, 0.2, 0.3, 0.4, 0.5),
            "cifar-c": _each(0.05, 0.1, 0.15, 0.2, 0.3),
        },
    ),
    "contrast": (
        Contrast,
        {
            "imagenet-c": _each(0.4, 0.3, 0.2, 0.1, 0.05),
            "imagenet-c-299": _each(0.4, 0.3, 0.2, 0.1, 0.05),
            "tiny-imagenet-c": _each(0.4, 0.3, 0.2, 0.1, 0.05),
            "cifar-c": _each(0.75, 0.5, 0.4, 0.3, 0.15),
        },
    ),
    "elastic_transform": (
        Elastic,
        {
            "imagenet-c": (
                (488, 170.8, 24.4),
                (488, 19.52, 48.8),
                (12.2, 2.44, 4.88),
                (17.08, 2.44, 4.88),
                (29.28, 2.44, 4.88),
            ),
            "imagenet-c-299": ((720, 252, 36), (720, 28.8, 72), (18, 3.6, 7.2), (25.2, 3.6, 7.2), (43.2, 3.6, 7.2)),
            "tiny-imagenet-c": (
                (0, 0, 5.12),
                (3.2, 19.2, 3.84),
                (6.4, 5.12, 3.84),
                (6.4, 1.92, 1.92),
                (10.24, 1.92, 1.28),
            ),
            "cifar-c": ((0, 0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96)),
            "imagecorruptions": ((12.5, 0.01, 0), (16.25, 0.01, 0), (21.25, 0.01, 0), (25, 0.01, 0), (30, 0.01, 0)),
        },
    ),
    "pixelate": (
        Pixelate,
        {
            "imagenet-c": _each(0.6, 0.5, 0.4, 0.3, 0.25),
            "imagenet-c-299": _each(0.5, 0.4, 0.3, 0.25, 0.2),
            "tiny-imagenet-c": _each(0.9, 0.8, 0.7, 0.6, 0.5),
            "cifar-c": _each(0.95, 0.9, 0.85, 0.75, 0.65),
        },
    ),
    "jpeg_compression": (
        Jpeg,
        {
            "imagenet-c": _each(25, 18, 15, 10, 7),
            "imagenet-c-299": _each(23, 16, 13, 8, 5),
            "tiny-imagenet-c": _each(65, 58, 50, 40, 25),
            "cifar-c": _each(80, 65, 58, 50, 40),
        },
    ),
    "speckle_noise": (
        Noise,
        {
            "imagenet-c": _each(0.15, 0.2, 0.35, 0.45, 0.6),
            "imagenet-c-299": _each(0.16, 0.21, 0.36, 0.46, 0.61),
            "tiny-imagenet-c": _each(0.15, 0.2, 0.25, 0.3, 0.35),
            "cifar-c": _each(0.06, 0.1, 0.12, 0.16, 0.2),
        },
    ),
    "gaussian_blur": (
        Gaussian,
        {
            "imagenet-c": _each(1, 2, 3, 4, 6),
            "imagenet-c-299": _each(1.5, 2.5, 3.5, 4.5, 6.5),
            "tiny-imagenet-c": _each(0.5, 0.75, 1, 1.25, 1.5),
            "cifar-c": _each(0.4, 0.6, 0.7, 0.8, 1),
        },
    ),
    "spatter": (
        Spatter,
        {
            "imagenet-c": (
                (0.65, 0.3, 4, 0.69, 0.6, False),
                (0.65, 0.3, 3, 0.68, 0.6, False),
                (0.65, 0.3, 2, 0.68, 0.5, False),
                (0.65, 0.3, 1, 0.65, 1.5, True),
                (0.67, 0.4, 1, 0.65, 1.5, True),
            ),
            "imagenet-c-299": (
                (0.65, 0.3, 4, 0.69, 0.9, False),
                (0.65, 0.3, 3.5, 0.68, 0.9, False),
                (0.65, 0.3, 3, 0.68, 0.8, False),
                (0.65, 0.3, 1.2, 0.65, 1.8, True),
                (0.67, 0.4, 1.2, 0.65, 1.8, True),
            ),
            "tiny-imagenet-c": (
                (0.62, 0.1, 0.7, 0.7, 0.6, False),
                (0.65, 0.1, 0.8, 0.7, 0.6, False),
                (0.65, 0.3, 1, 0.69, 0.6, False),
                (0.65, 0.1, 0.7, 0.68, 0.6, True),
                (0.65, 0.1, 0.5, 0.67, 0.6, True),
            ),
            "cifar-c": (
                (0.62, 0.1, 0.7, 0.7, 0.5, False),
                (0.65, 0.1, 0.8, 0.7, 0.5, False),
                (0.65, 0.3, 1, 0.69, 0.5, False),
                (0.65, 0.1, 0.7, 0.69, 0.6, True),
                (0.65, 0.1, 0.5, 0.68, 0.6, True),
            ),
        },
    ),
    "saturate": (
        Saturate,
        {
            "imagenet-c": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
            "imagenet-c-299": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
            "tiny-imagenet-c": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (30, 0.2)),
            "cifar-c": ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
        },
    ),
}
