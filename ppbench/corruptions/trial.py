"""Try a corruption of one's own before it is used: is an image's result its own?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ppbench.corruptions.own import OwnCorruption
from ppbench.corruptions.types import Pixels
from ppbench.errors import DataError

_IDS = ("one", "two", "three")


def check_own(own: OwnCorruption, severities: Sequence[int], height: int, width: int, channels: int) -> None:
    """Corrupt three small test images together, again, and one by one.

    Args:
        own: The corruption.
        severities: Those that are wanted, each 1 to 5.
        height: Of the images that it will be used for, in pixels.
        width: Likewise.
        channels: 1 or 3.

    Raises:
        DataError: If the function raises, changes its input, returns other than images of the same shape, gives
            different results for equal calls, or a result that depends on the other images of the batch.
    """
    images = _images(height, width, channels)
    for severity in severities:
        given = images.copy()
        together = own.make(given, severity, 0, _IDS).copy()
        if not np.array_equal(given, images):
            raise own.changes_its_input()
        if not np.array_equal(own.make(images, severity, 0, _IDS), together):
            raise DataError(
                f"{own.spec} gives another result at each call (severity {severity})",
                "Let it draw from the generators that it is given, one per image, and keep nothing from call to call.",
            )
        for place, image_id in enumerate(_IDS):
            if not np.array_equal(own.make(images[place][None], severity, 0, [image_id])[0], together[place]):
                raise DataError(
                    f"with {own.spec}, an image's result depends on the other images (severity {severity})",
                    "Draw for each image from its own generator, and take no mean, maximum or number over the batch.",
                )


def _images(height: int, width: int, channels: int) -> Pixels:
    """Noise, a ramp and its dark half: images that differ in every statistic."""
    noise = np.random.Generator(np.random.Philox(key=0)).integers(0, 256, (height, width, channels), np.uint8)
    ramp = np.linspace(0, 255, height * width).astype(np.uint8).reshape(height, width, 1).repeat(channels, axis=2)
    return np.stack([noise, ramp, ramp // 2])
