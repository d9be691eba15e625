"""Keys: random draws depend on these and on nothing else. Free of torch."""

from __future__ import annotations

import hashlib

import numpy as np

from ppbench.corruptions.types import Pixels
from ppbench.keys import hash64


def key(seed: int, corruption: str, severity: int | str, image_id: str) -> int:
    """Return 64 bits that depend only on the four arguments.

    Args:
        seed: The run's seed.
        corruption: Its name.
        severity: 1 to 5, or the text of a severity between them.
        image_id: The image's id in its dataset.
    """
    # Python gives file names that are not UTF-8 as surrogates.
    return hash64(f"{seed}/{corruption}/{severity}/{image_id}".encode(errors="surrogateescape"))


def pixels_id(image: Pixels) -> str:
    """Return an id made from an image's pixels and shape, for images that have no name.

    Args:
        image: ``(H, W, C)`` uint8.
    """
    shape = "x".join(map(str, image.shape))
    return f"pixels:{shape}:{hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).hexdigest()}"
