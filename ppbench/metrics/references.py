"""Normalisers: the errors that CE divides by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ppbench.metrics.cell_errors import mean
from ppbench.metrics.metric import Unavailable
from ppbench.vocabulary import severity_label


class Normalizer(Protocol):
    """A model whose errors can be the denominators of CE. Every `CellErrors` is one."""

    @property
    def source(self) -> str:
        """Its name, as labels carry it."""

    def mean_error(self, corruptions: Sequence[str], severities: Sequence[int]) -> float:
        """Mean error over these cells, a fraction; raises `Unavailable` if it is not known."""

    def clean_error(self) -> float:
        """Error on the uncorrupted images, a fraction; raises `Unavailable` if it is not known."""


@dataclass(frozen=True)
class PublishedErrors:
    """Published errors of a model: the mean over severities by corruption, for some corruptions also by severity."""

    source: str
    severities: tuple[int, ...]
    classes: int
    """The number of classes of the dataset, over all of which the errors are."""
    clean: float
    """Fraction."""
    means: Mapping[str, float]
    """Mean error over ``severities`` by corruption, fractions."""
    by_severity: Mapping[str, tuple[float, ...]]
    """Error at each of ``severities`` by corruption, fractions; some corruptions of ``means`` may lack it."""

    def mean_error(self, corruptions: Sequence[str], severities: Sequence[int]) -> float:
        """Mean error over these corruptions and severities, a fraction.

        Raises:
            Unavailable: If one of the corruptions is unknown, or not known at these severities.
        """
        unknown = [corruption for corruption in corruptions if corruption not in self.means]
        if unknown:
            raise Unavailable(f"{self.source} has no published error for {unknown[0]}")
        return mean(self._mean_of(corruption, severities) for corruption in corruptions)

    def _mean_of(self, corruption: str, severities: Sequence[int]) -> float:
        if tuple(severities) == self.severities:
            return self.means[corruption]
        errors = dict(zip(self.severities, self.by_severity.get(corruption, ()), strict=False))
        if not errors or not set(severities) <= set(errors):
            published, asked = severity_label(self.severities), severity_label(severities)
            only = f"its mean over {published}" if not errors else published
            raise Unavailable(
                f"{self.source} has no published error for {corruption} at {asked}: only {only} is published"
            )
        return mean(errors[severity] for severity in severities)

    def clean_error(self) -> float:
        """Error on the uncorrupted images, a fraction."""
        return self.clean


# AlexNet on ImageNet-C, 50,000 images, top-1 errors at severities 1 to 5, as in the validation script of timm's branch
# bits_and_tpu. Their means equal ALEXNET's to the last digit, and RobustBench's AlexNet on 5,000 images agrees within
# sampling error. None are published for the extra four.
_ALEXNET_BY_SEVERITY = {
    "gaussian_noise": (0.69528, 0.82542, 0.93554, 0.98138, 0.99452),
    "shot_noise": (0.71224, 0.85108, 0.93574, 0.98182, 0.99146),
    "impulse_noise": (0.78374, 0.89808, 0.94870, 0.98720, 0.99548),
    "defocus_blur": (0.65624, 0.73202, 0.85036, 0.91364, 0.94714),
    "glass_blur": (0.64308, 0.75054, 0.88806, 0.91622, 0.93344),
    "motion_blur": (0.58430, 0.70048, 0.82108, 0.89750, 0.92638),
    "zoom_blur": (0.70008, 0.76992, 0.80784, 0.84198, 0.87198),
    "snow": (0.71726, 0.88392, 0.86468, 0.91870, 0.94952),
    "frost": (0.61390, 0.79734, 0.88790, 0.89942, 0.93430),
    "fog": (0.67474, 0.76050, 0.84378, 0.87260, 0.94500),
    "brightness": (0.45140, 0.48502, 0.54048, 0.62166, 0.72440),
    "contrast": (0.64548, 0.76150, 0.88874, 0.97760, 0.99270),
    "elastic_transform": (0.52596, 0.70116, 0.55686, 0.64076, 0.80554),
    "pixelate": (0.52218, 0.54620, 0.73728, 0.87092, 0.91262),
    "jpeg_compression": (0.51002, 0.54718, 0.57294, 0.65458, 0.74778),
}

# AlexNet on ImageNet-C, 50,000 images, mean top-1 error over severities 1 to 5. The clean error is from Hendrycks &
# Dietterich, ICLR 2019, the means are from google-research/augmix (the fifteen) and
# facebookresearch/augmentation-corruption (the extra four).
ALEXNET = PublishedErrors(
    source="alexnet",
    severities=(1, 2, 3, 4, 5),
    classes=1000,
    clean=0.435,
    means={
        "gaussian_noise": 0.886428,
        "shot_noise": 0.894468,
        "impulse_noise": 0.922640,
        "defocus_blur": 0.819880,
        "glass_blur": 0.826268,
        "motion_blur": 0.785948,
        "zoom_blur": 0.798360,
        "snow": 0.866816,
        "frost": 0.826572,
        "fog": 0.819324,
        "brightness": 0.564592,
        "contrast": 0.853204,
        "elastic_transform": 0.646056,
        "pixelate": 0.717840,
        "jpeg_compression": 0.606500,
        "speckle_noise": 0.845388,
        "gaussian_blur": 0.787108,
        "spatter": 0.717512,
        "saturate": 0.658248,
    },
    by_severity=_ALEXNET_BY_SEVERITY,
)
