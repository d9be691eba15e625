"""Encode corrupted images, and name their files."""

from __future__ import annotations

import io
import zlib
from enum import StrEnum
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.generated import JPEG_QUALITY
from ppbench.errors import DataError


class ImageFormat(StrEnum):
    """File format of corrupted images."""

    SAME = "same"
    """JPEG stays JPEG; everything else becomes PNG, which loses nothing."""
    JPEG = "jpeg"
    PNG = "png"
    NPY = "npy"
    MP4 = "mp4"
    """One video for each perturbation sequence."""


_ENDINGS = {
    ImageFormat.JPEG: (".jpg", ".jpeg"),
    ImageFormat.PNG: (".png",),
    ImageFormat.NPY: (".npy",),
    ImageFormat.MP4: (".mp4",),
}
"""Endings that are kept, in upper or lower case; the first one replaces all others."""


def output_name(name: str, form: ImageFormat) -> str:
    """File name of a source's copies: its own, with another ending only if the format is another."""
    path = PurePosixPath(name)
    ending = path.suffix.lower()
    if form is ImageFormat.SAME:
        form = ImageFormat.JPEG if ending in _ENDINGS[ImageFormat.JPEG] else ImageFormat.PNG
    return name if ending in _ENDINGS[form] else name[: len(name) - len(ending)] + _ENDINGS[form][0]


def sequence_name(name: str, form: ImageFormat) -> str:
    """Name of a source's sequences: its own, with the ending of the format; for frames as files that of a frame."""
    return name[: len(name) - len(PurePosixPath(name).suffix)] + _ENDINGS[form][0]


def check_format_fits(shape: tuple[int, ...], name: str) -> None:
    """Make sure that the format that a name ends with can hold an image ``(H, W, C)``.

    Raises:
        DataError: If it cannot.
    """
    if PurePosixPath(name).suffix.lower() in _ENDINGS[ImageFormat.JPEG]:
        if shape[2] in (2, 4):
            raise DataError("has an alpha channel, which JPEG cannot keep", "Write PNG: `--format png`.")
        # libjpeg has this limit (JPEG_MAX_DIMENSION), a little below that of the format.
        if max(shape[:2]) > 65_500:
            raise DataError("more than 65,500 pixels a side, the most JPEG can have", "Write PNG: `--format png`.")


def encode(pixels: NDArray[np.uint8], name: str) -> bytes:
    """Encode an image in the format that a name ends with; the same pixels always give the same bytes.

    Args:
        pixels: ``(H, W, C)`` uint8; C: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha. For an array also a sequence
            of these.
        name: Its ending, one of those that `output_name` gives, decides the format, which can hold the image.
    """
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    ending = PurePosixPath(name).suffix.lower()
    file = io.BytesIO()
    if ending in _ENDINGS[ImageFormat.NPY]:
        np.save(file, np.ascontiguousarray(flat), allow_pickle=False)
    elif ending in _ENDINGS[ImageFormat.PNG]:
        # Runs only, no dictionary: three times faster than zlib's usual strategy, and no larger for photographs.
        Image.fromarray(flat).save(file, "PNG", compress_type=zlib.Z_RLE)
    else:
        # Without ImageNet-C's optimize=True, which changes the entropy code alone: 4 % smaller files, 2.5 times the
        # time. The pixels are the same (a test compares them).
        Image.fromarray(flat).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
