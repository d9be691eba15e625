"""Results that others published, each with its source and the label that says what it is."""

from __future__ import annotations

from typing import NamedTuple

_ROBUSTNESS = "hendrycks/robustness"
_PRIME = "amodas/PRIME-augmentations"
# The README of bethgelab/game-of-noise has later weights of the two: mCE 62.5 and 61.2.
_NOISE = "arXiv 2001.06057"


class Published(NamedTuple):
    """One model's published results, in percent."""

    name: str
    values: dict[str, float]
    """By label, as ppbench writes it: results with another label are of something else."""
    source: str
    """The repository on GitHub whose README has them, or the paper."""


MCE = "mCE[alexnet,c15,s1-5]"
CLEAN = "clean_error"


def _row(name: str, mce: float, clean: float, source: str) -> Published:
    return Published(name, {MCE: mce, CLEAN: clean}, source)


PUBLISHED: dict[str, tuple[str, tuple[Published, ...]]] = {
    "imagenet-c-resnet50": (
        "imagenet-c",
        (
            _row("DeepAugment+AugMix", 53.6, 24.2, _ROBUSTNESS),
            _row("PRIME", 55.5, 24.7, _PRIME),
            _row("PRIME (no JSD)", 57.5, 23.0, _PRIME),
            _row("DeepAugment", 60.4, 23.3, _PRIME),
            _row("ANT3x3+SIN", 60.7, 25.9, _NOISE),
            _row("ANT3x3", 63.4, 23.9, _NOISE),
            _row("AugMix", 65.3, 22.5, _ROBUSTNESS),
            _row("SIN", 69.3, 25.4, _ROBUSTNESS),
            _row("Standard", 76.7, 23.9, _ROBUSTNESS),
        ),
    )
}
"""Dataset and results by name, best first. ResNet-50 on all 50,000 images of ImageNet-C as published."""
