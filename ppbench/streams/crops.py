"""The images of a stream before their corruptions: in random orders, cropped and mirrored at random. Free of torch.

Each depends on the images, the seed and the frame's number alone. The law of the crops is that of torchvision's
``RandomResizedCrop`` and ``RandomHorizontalFlip`` with their defaults: 8 to 100 % of the area, sides in a ratio from
3:4 to 4:3, and every second image mirrored.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.generated import GeneratedImages
from ppbench.data.source import Broken, Loaded
from ppbench.data.stamps import FileStamps
from ppbench.errors import DataError
from ppbench.keys import hash64
from ppbench.vocabulary import CLEAN

_AREA = (0.08, 1.0)
_RATIO = (3 / 4, 4 / 3)
_ATTEMPTS = 10


class Crop(NamedTuple):
    """A part of an image, in pixels."""

    left: int
    top: int
    width: int
    height: int
    is_mirrored: bool


def crop_of(key: str, width: int, height: int) -> Crop:
    """Draw the crop of an image of this size. It depends on the key and the size alone."""

    def drawn(what: str, low: float, high: float) -> float:
        # The upper 53 bits: as many as a number between 0 and 1 has.
        return low + (high - low) * (hash64(f"{key}/{what}".encode()) >> 11) / 2**53

    is_mirrored = drawn("mirror", 0, 1) < 0.5
    for attempt in range(_ATTEMPTS):
        area = width * height * drawn(f"area {attempt}", *_AREA)
        ratio = math.exp(drawn(f"ratio {attempt}", math.log(_RATIO[0]), math.log(_RATIO[1])))
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            left, top = int(drawn("left", 0, width - across + 1)), int(drawn("top", 0, height - down + 1))
            return Crop(left, top, across, down, is_mirrored)
    # A very wide or tall image: the largest central part with an allowed ratio.
    across = min(width, max(1, round(height * _RATIO[1])))
    down = min(height, max(1, round(width / _RATIO[0])))
    return Crop((width - across) // 2, (height - down) // 2, across, down, is_mirrored)


def cropped(image: Image.Image, key: str, size: int) -> NDArray[np.uint8]:
    """Cut an image to ``(size, size, C)`` uint8, resized with antialiasing (bilinear), and mirror it or not."""
    left, top, width, height, is_mirrored = crop_of(key, *image.size)
    part = image.crop((left, top, left + width, top + height)).resize((size, size), Image.Resampling.BILINEAR)
    if is_mirrored:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(part)
    return pixels[..., None] if pixels.ndim == 2 else pixels


class RandomCrops:
    """Frames before their corruptions.

    Args:
        images: The clean images.
        seed: Of the orders of the images, and of the crops.
    """

    def __init__(self, images: GeneratedImages, seed: int) -> None:
        self.images, self._seed = images, seed
        self._order = _Order(images.ids, seed)

    def labels(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Labels ``(n,)`` of frames."""
        return self.images.labels[self._order.of(frames)]

    def stamps(self, frames: NDArray[np.int64]) -> FileStamps:
        """Numbers ``(n,)``, one per frame, that change when its image's file changes."""
        return self.images.stamps((CLEAN, 0))[self._order.of(frames)]

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the images in use."""
        used = hashlib.sha256("\n".join(self.images.ids).encode("utf-8", "surrogateescape")).hexdigest()
        return hashlib.sha256(f"{self.images.fingerprint()} {used}".encode()).hexdigest()

    def load(self, frames: NDArray[np.int64]) -> Loaded:
        """Load and cut the images of frames; `Broken.place` is the frame."""
        size = self.images.size
        pixels = np.zeros((len(frames), size, size, self.images.channels), np.uint8)
        broken = []
        for index, image in enumerate(self.images.uncut(self._order.of(frames))):
            if isinstance(image, DataError):
                broken.append(Broken(int(frames[index]), image.message, image.hint))
            else:
                pixels[index] = cropped(image, f"crop/{self._seed}/{frames[index]}", size)
        return Loaded(pixels, tuple(broken))


class _Order:
    """Which image each frame has: all of them in a random order, then all of them in another one, and so on."""

    def __init__(self, ids: Sequence[str], seed: int) -> None:
        own = np.array([hash64(name.encode("utf-8", "surrogateescape")) for name in ids], np.uint64)
        self._keys = _scrambled(own ^ _scrambled(np.uint64(seed & _MASK)))
        self._last: tuple[int, NDArray[np.int64]] | None = None

    def of(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places ``(n,)`` of the frames' images."""
        rounds, within = np.divmod(frames, len(self._keys))
        places, ordered = np.zeros(len(frames), np.int64), np.argsort(rounds, kind="stable")
        for part in np.split(ordered, np.flatnonzero(np.diff(rounds[ordered])) + 1):
            if len(part):
                places[part] = self._permutation(int(rounds[part[0]]))[within[part]]
        return places

    def _permutation(self, number: int) -> NDArray[np.int64]:
        if self._last is None or self._last[0] != number:
            drawn = _scrambled(self._keys + np.uint64(number * _GOLDEN & _MASK))
            self._last = number, np.argsort(drawn, kind="stable")
        return self._last[1]


_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _scrambled(values: Any) -> Any:
    """Mix the bits of uint64 (the last step of SplitMix64: Steele, Lea & Flood, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))
