"""The corruptions of the package ``imagecorruptions``, with a seed per image, and also for small and grey images.

Source: Michaelis et al., "Benchmarking Robustness in Object Detection", arXiv 1907.07484; the maintained build
``imagecorruptions-imaug``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np

from ppbench.corruptions.keys import key
from ppbench.corruptions.own import OwnCorruption
from ppbench.corruptions.types import Pixels
from ppbench.vocabulary import FAMILY_OF

_SMALLEST = 32
"""Below this side, in pixels, the package refuses an image."""

_OWN_GENERATOR = {"impulse_noise", "glass_blur"}
"""Corruptions that take ``seed=`` and do not use numpy's global generator."""

_LUMA = np.array([299, 587, 114])
"""ITU-R 601 weights in thousandths, as in Pillow's "L" conversion."""


def engine_version() -> str:
    """Return the name and version of the package, for the run file."""
    return f"imagecorruptions-imaug {version('imagecorruptions-imaug')}"


def corrupt_images(
    images: Pixels, corruption: str | OwnCorruption, severity: int, recipe: str, seed: int, ids: Sequence[str]
) -> Pixels:
    """Corrupt images ``(n, H, W, C)``; see `corrupt_image`. The package has one recipe."""
    assert isinstance(corruption, str)  # `Backend.check_makes` has refused others
    pairs = zip(images, ids, strict=True)
    made = [corrupt_image(image, corruption, severity, seed=seed, image_id=name) for image, name in pairs]
    # `np.stack` refuses an empty list.
    return np.stack(made) if made else images


def corrupt_image(image: Pixels, corruption: str, severity: int, *, seed: int, image_id: str) -> Pixels:
    """Corrupt one image. The result depends only on the arguments, and no global state is left changed.

    Images smaller than 32 px are put in the middle of a canvas of 32 px that repeats their border, corrupted, and cut
    out again; they are not resized. Grey images are corrupted as RGB and made grey again by their luma. Noise is
    independent per channel, so of noise the first channel is kept: the mean of three would be weaker noise.

    Args:
        image: ``(H, W, 3)`` RGB or ``(H, W, 1)`` grey, uint8.
        corruption: One of the 19 names.
        severity: 1 to 5.
        seed: The run's seed.
        image_id: The image's id.

    Returns:
        The corrupted image, of the same shape and type.
    """
    height, width, channels = image.shape
    top, left = (max(0, _SMALLEST - side) // 2 for side in (height, width))
    bottom, right = (max(0, _SMALLEST - side) - before for side, before in ((height, top), (width, left)))
    canvas = np.pad(image, ((top, bottom), (left, right), (0, 0)), mode="edge")
    colour = np.repeat(canvas, 3, axis=2) if channels == 1 else canvas
    # numpy takes seeds of 32 bits only.
    corrupted = _call_package(colour, corruption, severity, key(seed, corruption, severity, image_id) & 0xFFFFFFFF)
    corrupted = corrupted[top : top + height, left : left + width]
    return _to_grey(corrupted, corruption) if channels == 1 else corrupted


def _call_package(image: Pixels, corruption: str, severity: int, seed: int) -> Pixels:
    from imagecorruptions import corrupt

    own = {"seed": seed} if corruption in _OWN_GENERATOR else {}
    with _global_generator(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(corrupt(image, severity=severity, corruption_name=corruption, **own), np.uint8)


@contextmanager
def _global_generator(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, which the package draws from, and put its state back afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _to_grey(image: Pixels, corruption: str) -> Pixels:
    if FAMILY_OF[corruption] == "noise" or corruption == "speckle_noise":
        return image[..., :1]
    return ((image @ _LUMA + 500) // 1000).astype(np.uint8)[..., None]
