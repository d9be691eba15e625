"""What corruption errors are divided by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ppbench.metrics.accuracy import mean
from ppbench.metrics.metric import Unavailable
from ppbench.vocabulary import severity_label


class Normalizer(Protocol):
    """A model whose errors are the denominators of CE; any `Accuracies` is one."""

    @property
    def source(self) -> str:
        """Its name, as labels carry it."""

    def mean_error(self, corruptions: Sequence[str], severities: Sequence[int]) -> float:
        """Mean error over these cells, a fraction; raises `Unavailable` if it is not known."""

    def clean_error(self) -> float:
        """Error on the uncorrupted images, a fraction; raises `Unavailable` if it is not known."""


@dataclass(frozen=True)
class PublishedMeans:
    """A model of which only each corruption's mean over some severities is published."""

    source: str
    severities: tuple[int, ...]
    classes: int
    """All that the dataset has: the means are over these."""
    clean: float
    """Fraction."""
    means: Mapping[str, float]
    """Mean error over ``severities`` by corruption, fractions."""

    def mean_error(self, corruptions: Sequence[str], severities: Sequence[int]) -> float:
        """Mean error over these corruptions, a fraction.

        Raises:
            Unavailable: If other severities than the published ones are asked for, or an unknown corruption.
        """
        if tuple(severities) != self.severities:
            published, asked = severity_label(self.severities), severity_label(severities)
            raise Unavailable(f"{self.source} is published only as means over {published}, not for {asked}")
        unknown = [corruption for corruption in corruptions if corruption not in self.means]
        if unknown:
            raise Unavailable(f"{self.source} has no published error for {unknown[0]}")
        return mean(self.means[corruption] for corruption in corruptions)

    def clean_error(self) -> float:
        """Error on the uncorrupted images, a fraction."""
        return self.clean


# AlexNet on ImageNet-C, 50,000 images, mean top-1 error over severities 1 to 5; the clean error is that of
# Hendrycks & Dietterich, ICLR 2019. Figures as in google-research/augmix (the fifteen) and
# facebookresearch/augmentation-corruption (the extra four).
ALEXNET = PublishedMeans(
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
)
