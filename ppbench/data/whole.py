"""Image files decoded whole, in their own number of channels, for corrupted copies. Free of torch."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.decode import centre_crop, is_deep, open_image, resize_shorter
from ppbench.data.exif import orientation, upright
from ppbench.data.image_file import too_large
from ppbench.errors import DataError

_MODES = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "P": "RGB", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}
_MODES |= {"RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "CMYK": "RGB"}
"""The mode to which copies convert each of Pillow's modes. Colour profiles are ignored, as in evaluation."""

_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}


def decode_whole(data: bytes, size: int | None = None) -> NDArray[np.uint8]:
    """Decode a file's content, upright, to ``(H, W, C)``: C is 1 for grey, 2 with alpha, 3 for RGB, 4 with alpha.

    Args:
        data: The file's bytes.
        size: Resize the shorter side to 256/224 of this and cut this square from the centre, as ImageNet-C was made;
            None: leave the image as it is. In pixels.

    Raises:
        DataError: If it is not an image, is damaged or too large, or has more than 8 bits per channel, another colour
            space or several frames. The message does not name the file.
    """
    with open_image(io.BytesIO(data)) as file:
        image = upright(as_copied(file), orientation(file))
    if size is not None:
        image = centre_crop(resize_shorter(image, round(size * 256 / 224)), size)
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def as_copied(image: Image.Image) -> Image.Image:
    """Convert an image, perhaps not yet decoded, to the mode of corrupted copies: L or RGB, with A if it has alpha.

    Raises:
        DataError: If it is too large, or has more than 8 bits per channel, another colour space or several frames.
    """
    _check(image)
    image.load()
    mode = _MODES[image.mode]
    # A palette or a single colour can be transparent too, which Pillow keeps apart from the mode.
    wanted = _WITH_ALPHA.get(mode, mode) if image.has_transparency_data else mode
    return image.convert(wanted) if image.mode != wanted else image.copy()


def _check(file: Image.Image) -> None:
    """Refuse, before decoding, an image that is too large or cannot be kept unchanged."""
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
        raise DataError(f"{frames} frames or pages instead of one", "Save the frames as separate files.")
