"""AugMix: an image mixed with copies of itself that went through chains of simple operations.

Source: Hendrycks, Mu, Cubuk, Zoph, Gilmer and Lakshminarayanan, "AugMix: A simple data processing method to improve
robustness and uncertainty", ICLR 2020. Operations, magnitudes and probabilities follow either
torchvision.transforms.AugMix or the paper's own code, google-research/augmix (`augmentations.py`, `cifar.py`,
`imagenet.py`). torchvision's class works on tensors; on small images, PIL takes a fraction of the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

CHAINS = 3
"""Chains per image."""
LONGEST_CHAIN = 3
"""Most operations in a chain."""
SEVERITY = 3
"""Number of magnitudes in use, the smallest of `LEVELS` (torchvision's default)."""
LEVELS = 10
"""Steps from no change to the largest magnitude."""
LEAST_LEVEL = 0.1
"""Smallest level in the paper's code; level 10 is the largest magnitude."""
SEVERITY_OF_SMALL, SEVERITY_OF_LARGE = 3, 1
"""Largest level in the paper's code: for CIFAR, and for ImageNet."""


class Operation(NamedTuple):
    """An operation on an image, and its strength."""

    name: str
    """torchvision's name."""
    apply: Callable[[Image.Image, float], Image.Image]
    magnitude: Callable[[float, Image.Image], float]
    """Computes the magnitude from the image and a share of the largest magnitude, 0 to 1."""
    signed: bool = False
    """Whether half of the draws negate the magnitude."""
    papers: Callable[[float, Image.Image], float] | None = None
    """The same in the paper's code, if it differs: there, fractions are cut off."""

    def strength(self, share: float, image: Image.Image, *, strict: bool) -> float:
        """Return the magnitude for a share of the largest one, by torchvision's rule or (strict) the paper's code."""
        return (self.papers if strict and self.papers is not None else self.magnitude)(share, image)


def _affine(image: Image.Image, *matrix: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def _enhance(enhancer: Callable[[Image.Image], ImageEnhance._Enhance]) -> Callable[[Image.Image, float], Image.Image]:
    return lambda image, change: enhancer(image).enhance(1 + change)


def _up_to(largest: float) -> Callable[[float, Image.Image], float]:
    return lambda share, image: share * largest


PAPER_OPERATIONS = (
    Operation("ShearX", lambda image, m: _affine(image, 1, m, 0, 0, 1, 0), _up_to(0.3), True),
    Operation("ShearY", lambda image, m: _affine(image, 1, 0, 0, m, 1, 0), _up_to(0.3), True),
    Operation(
        "TranslateX",
        # PIL maps places of the result to the original, so the image moves against the sign.
        lambda image, m: _affine(image, 1, 0, -int(m), 0, 1, 0),
        lambda s, i: s * i.width / 3,
        True,
        papers=lambda s, i: int(s * i.width / 3),
    ),
    Operation(
        "TranslateY",
        lambda image, m: _affine(image, 1, 0, 0, 0, 1, -int(m)),
        lambda s, i: s * i.height / 3,
        True,
        papers=lambda s, i: int(s * i.height / 3),
    ),
    Operation(
        "Rotate",
        lambda image, m: image.rotate(m, Image.Resampling.BILINEAR),
        _up_to(30),
        True,
        papers=lambda s, i: int(s * 30),
    ),
    Operation(
        "Posterize",
        lambda image, m: ImageOps.posterize(image, int(m)),
        lambda s, i: 4 - round(s * 4),
        papers=lambda s, i: 4 - int(s * 4),
    ),
    Operation(
        "Solarize",
        # PIL inverts values from a whole threshold on: those from the fraction on are the same ones.
        lambda image, m: ImageOps.solarize(image, math.ceil(m)),
        lambda s, i: 255 * (1 - s),
        papers=lambda s, i: 256 - int(s * 256),
    ),
    Operation("AutoContrast", lambda image, m: ImageOps.autocontrast(image), _up_to(0)),
    Operation("Equalize", lambda image, m: ImageOps.equalize(image), _up_to(0)),
)
"""The paper's operations, which do not resemble the test corruptions."""

OVERLAPPING_OPERATIONS = (
    Operation("Brightness", _enhance(ImageEnhance.Brightness), _up_to(0.9), True),
    Operation("Color", _enhance(ImageEnhance.Color), _up_to(0.9), True),
    Operation("Contrast", _enhance(ImageEnhance.Contrast), _up_to(0.9), True),
    Operation("Sharpness", _enhance(ImageEnhance.Sharpness), _up_to(0.9), True),
)
"""Operations that the paper leaves out because they resemble test corruptions; torchvision uses them by default."""


class AugMix:
    """``(1 - m) image + m sum_i w_i chain_i(image)`` with m uniform and w from Dirichlet(1, 1, 1).

    A chain has 1 to 3 operations (uniform), each drawn from all operations with equal probability.

    - Magnitudes of torchvision are the smallest 3 of 10 equal steps from no change to the largest magnitude. The
      paper's code draws a level for every operation, uniform on 0.1 to its severity; a tenth of it is the share of the
      largest magnitude.
    - torchvision cuts off the fractions of the mixture, and the paper's code keeps them. Here they are rounded, which
      does not darken the image.

    Args:
        severity: The paper's severity, with the paper's operations and strengths. None: torchvision's strengths, and
            also the operations that overlap with test corruptions.
    """

    def __init__(self, severity: float | None = None) -> None:
        self.severity = severity
        self.operations = PAPER_OPERATIONS + (OVERLAPPING_OPERATIONS if severity is None else ())

    def __call__(self, image: Tensor, key: int) -> Tensor:
        """Augment an image ``(C, H, W)`` uint8, C 1 or 3, by draws that depend on the key alone."""
        random, picture = Random(key), to_pil(image)
        share = random.random()
        # Exponential draws, divided by their sum, follow Dirichlet(1, 1, 1).
        weights = [random.expovariate(1) for _ in range(CHAINS)]
        mixed = (1 - share) * np.asarray(picture, np.float32)
        for weight in weights:
            chain = self.chain(picture, random)
            mixed += np.float32(share * weight / sum(weights)) * np.asarray(chain, np.float32)
        return to_tensor(np.rint(mixed).astype(np.uint8))

    def chain(self, picture: Image.Image, random: Random) -> Image.Image:
        """Apply 1 to 3 operations, one after the other."""
        for _ in range(random.randint(1, LONGEST_CHAIN)):
            operation = random.choice(self.operations)
            magnitude = operation.strength(self._share(random), picture, strict=self.severity is not None)
            if operation.signed and random.random() < 0.5:
                magnitude = -magnitude
            picture = operation.apply(picture, magnitude)
        return picture

    def _share(self, random: Random) -> float:
        """Draw a share of the largest magnitude, 0 to 1."""
        if self.severity is None:
            # The first of the ten steps changes nothing, so nine lie between it and the largest.
            return random.randrange(SEVERITY) / (LEVELS - 1)
        return random.uniform(LEAST_LEVEL, self.severity) / LEVELS


def to_pil(image: Tensor) -> Image.Image:
    """Convert ``(C, H, W)`` uint8 to a PIL image: mode L for one channel, RGB for three."""
    array = image.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def to_tensor(picture: Image.Image | np.ndarray) -> Tensor:
    """Convert an image ``(H, W)`` or ``(H, W, C)`` to ``(C, H, W)`` uint8."""
    array = np.array(picture)
    return torch.from_numpy(array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1)))
