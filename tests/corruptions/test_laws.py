"""Keyed draws have the references' law: the same statistics, severity by severity, as oracles with draws of numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import fft, stats

from ppbench.corruptions.apply import corrupt
from tests.oracles.corruptions import oracle, random_draws
from tests.trees import photographs

RANDOM = (
    "gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "glass_blur", "motion_blur", "snow", "frost",
    "fog", "elastic_transform", "spatter",
)  # fmt: skip
COUNT = 120
"""Corrupted versions of one photograph from each side."""

SEVERITIES = (1, 5)
"""The law of draws hardly depends on the severity; that all have their constants is test_fidelity.py's."""

LEAST = 0.01 / (11 * 3 * 2 * 8)
"""p-value, so that of all 528 comparisons together one in a hundred seeds fails by chance (Bonferroni).

With 120 images from each side, two normal laws whose means are a standard deviation apart are told apart 97 times in a
hundred.
"""


def statistics(image: NDArray[np.uint8], made: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """Of each version ``(COUNT, H, W, 3)``: moments, clipped values, spectrum of the change."""
    x = made.astype(np.float32)
    change = x - image
    power = np.abs(fft.rfft2(change @ np.full(3, 1 / 3, np.float32), axes=(1, 2))) ** 2
    rows, columns = np.fft.fftfreq(image.shape[0]), np.fft.rfftfreq(image.shape[1])
    frequency = np.hypot(rows[:, None], columns)
    found = {"mean": x.mean((1, 2, 3)), "std": x.std((1, 2, 3)), "change": np.abs(change).mean((1, 2, 3))}
    found |= {"black": (made == 0).mean((1, 2, 3)), "white": (made == 255).mean((1, 2, 3))}
    for low, high in ((0.0, 0.125), (0.125, 0.25), (0.25, 0.8)):
        found[f"power {low} to {high}"] = power[:, (frequency > low) & (frequency <= high)].mean(axis=1)
    return found


@pytest.mark.parametrize(("recipe", "side"), [("cifar-c", 32), ("imagenet-c", 64), ("imagecorruptions", 48)])
@pytest.mark.parametrize("corruption", RANDOM)
def test_keyed_images_have_the_statistics_of_the_references(corruption: str, recipe: str, side: int) -> None:
    image = photographs(side, 1)[0]
    ids = [str(i) for i in range(COUNT)]
    for severity in SEVERITIES:
        rng = np.random.default_rng(severity)
        draws = [random_draws(corruption, severity, recipe, side, side, rng, image=image) for _ in ids]
        expected = np.stack([oracle(image, corruption, severity, recipe, drawn) for drawn in draws])
        made = corrupt(np.repeat(image[None], COUNT, axis=0), corruption, severity, recipe=recipe, ids=ids)
        theirs = statistics(image, expected)
        for name, ours in statistics(image, made).items():
            assert stats.ks_2samp(ours, theirs[name]).pvalue > LEAST, (severity, name, ours.mean(), theirs[name].mean())
