"""Decoding an image file to what is corrupted and what is only kept."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.exif import orientation, upright
from ppbench.data.images import centre_crop, is_deep, resize_shorter
from ppbench.data.opener import open_image, too_large
from ppbench.errors import DataError

_MODES = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "P": "RGB", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}
_MODES |= {"RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "CMYK": "RGB"}
"""To what each of Pillow's modes is converted, without its colour profile, as evaluation does."""
_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}


class Picture(NamedTuple):
    """One decoded image, uint8."""

    colour: NDArray[np.uint8]
    """``(H, W, 3)`` RGB or ``(H, W, 1)`` grey: what is corrupted."""
    alpha: NDArray[np.uint8] | None
    """``(H, W, 1)``: kept as it is."""


def decode(data: bytes, size: int | None = None) -> Picture:
    """Decode a file's content, upright, to grey or RGB with or without alpha.

    Args:
        data: The file's bytes.
        size: Resize the shorter side to 256/224 of this and cut this square from the centre, as ImageNet-C was made;
            None: as it is. In pixels.

    Raises:
        DataError: If it is no image, damaged, too large, of more than 8 bits or of another colour space, or has
            several frames. The message does not name the file.
    """
    image = _load(data)
    image = upright(image, image.info["turn"])
    if size is not None:
        image = centre_crop(resize_shorter(image, resize_side(size)), size)
    pixels = np.asarray(image)
    if image.mode in ("LA", "RGBA"):
        return Picture(pixels[..., :-1], pixels[..., -1:])
    return Picture(pixels.reshape(*pixels.shape[:2], -1), None)


def image_size(data: Path | BinaryIO) -> tuple[int, int] | None:
    """Height and width of an image, from its head; None if it is not one."""
    try:
        with open_image(data) as file:
            return file.height, file.width
    except DataError:  # told when it is decoded
        return None


def resize_side(size: int) -> int:
    """The shorter side, in pixels, before a centre crop to ``size``: 256 for 224."""
    return round(size * 256 / 224)


def _load(data: bytes) -> Image.Image:
    """Decode, and convert to one of L, LA, RGB and RGBA."""
    with open_image(io.BytesIO(data)) as file:
        _check(file)
        file.load()
        mode = _MODES[file.mode]
        wanted = _WITH_ALPHA.get(mode, mode) if file.has_transparency_data else mode
        image = file.convert(wanted) if file.mode != wanted else file.copy()
        image.info["turn"] = orientation(file)
        return image


def _check(file: Image.Image) -> None:
    """Refuse, before decoding, what is too large, or could only be taken by changing it."""
    if Image.MAX_IMAGE_PIXELS and file.width * file.height > Image.MAX_IMAGE_PIXELS:
        raise too_large()
    if is_deep(file):
        raise DataError("16 bits per channel; corruptions are defined for 8", "Convert it to 8 bits per channel.")
    if file.mode not in _MODES:
        raise DataError(
            f"colour space {file.mode}, neither grey nor RGB",
            "Convert it with its colour profile: `magick FILE -colorspace sRGB NEW` or any photo program.",
        )
    frames = getattr(file, "n_frames", 1)
    if frames > 1 and file.format != "MPO":  # cameras' MPO is a JPEG with previews behind it
        raise DataError(f"{frames} frames or pages; one is wanted", "Save the frames as files of their own.")
