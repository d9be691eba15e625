"""Decode image files: opened with the allowed decoders only, to RGB and cut to a square, or whole for corrupted copies.

All image files are opened here. Pillow knows many more formats and goes by a file's content, not by its name: an EPS
file named photo.jpg would start Ghostscript, an external program, on an untrusted file. Free of torch.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ppbench.data.cut import AsIs, CentralPart, Cut
from ppbench.data.exif import orientation, to_srgb, upright
from ppbench.data.image_file import decoder_error, formats, read_regular, too_large, unknown_image
from ppbench.data.source import Geometry
from ppbench.errors import DataError
from ppbench.files import open_regular

_MODES = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "P": "RGB", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}
_MODES |= {"RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "CMYK": "RGB"}
"""The mode to which copies convert each of Pillow's modes. Colour profiles are ignored, as in evaluation."""

_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}


@contextmanager
def open_image(file: Path | BinaryIO) -> Iterator[Image.Image]:
    """Open an image without decoding it. Every error while it is open becomes a `DataError`.

    Args:
        file: Path or opened content.

    Raises:
        DataError: If it is unreadable, not a regular file, not an image of these formats, damaged, or too large to
            decode. The message does not name the file.
    """
    try:
        # Pillow's warnings, about odd EXIF data and the like, are meant for developers and quote its source.
        with (
            warnings.catch_warnings(action="ignore"),
            open_regular(file) if isinstance(file, Path) else nullcontext(file) as content,
            Image.open(content, formats=formats()) as image,
        ):
            yield image
    # Raised by the caller's block, which has said what is wrong.
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise unknown_image(file) from error
    except Image.DecompressionBombError as error:
        raise too_large() from error
    except Exception as error:  # a decoder can raise anything on damaged content
        raise decoder_error(error) from error


def decode_rgb(file: Path | BinaryIO, cut: Cut, name: str = "", *, exif: bool = False) -> NDArray[np.uint8]:
    """Decode one image to RGB ``(size, size, 3)`` uint8.

    Args:
        file: Path or opened content.
        cut: How it is cut.
        name: The file's name, for messages; empty: the path.
        exif: As in `open_rgb`.

    Raises:
        DataError: If it is missing, truncated, not an image, has more than 8 bits per channel, or does not fit the cut.
    """
    name = name or str(file)
    return np.asarray(cut_image(open_rgb(file, name, exif=exif), name, cut))


def open_rgb(file: Path | BinaryIO, name: str, *, exif: bool = False) -> Image.Image:
    """Decode one image to RGB, uncut.

    Args:
        file: Path or opened content.
        name: The file's name, for messages.
        exif: Whether to turn it upright by its EXIF data, and to convert it to sRGB by its colour profile.

    Raises:
        DataError: If it is missing, truncated, not an image, or has more than 8 bits per channel.
    """
    try:
        with open_image(file) as opened:
            mode = opened.mode
            if not _is_deep(opened):
                return upright(to_srgb(opened), orientation(opened)) if exif else opened.convert("RGB")
    except DataError as error:
        raise DataError(f"cannot read the image {name}: {error.message}", error.hint) from error
    # Raised only here: inside the block it would be reported as an image that cannot be read.
    raise DataError(f"{name} has more than 8 bits per channel ({mode})", "Convert it to 8 bits first.")


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


def read_content(path: Path) -> bytes:
    """Read an image file, undecoded.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        return read_regular(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot read the image {path}: {reason}", "Replace or remove it.") from error


def is_rgb_jpeg(content: bytes) -> bool:
    """Whether a file's content begins as a JPEG of three colours."""
    try:
        with open_image(io.BytesIO(content)) as opened:
            return opened.format == "JPEG" and opened.mode == "RGB"
    except DataError:
        return False


def image_size(file: Path | BinaryIO) -> tuple[int, int] | None:
    """Height and width of an image, from its header; None if it cannot be opened. Decoding raises the error."""
    try:
        with open_image(file) as opened:
            return opened.height, opened.width
    except DataError:
        return None


def _check(file: Image.Image) -> None:
    """Refuse, before decoding, an image that is too large or cannot be kept unchanged."""
    if Image.MAX_IMAGE_PIXELS and file.width * file.height > Image.MAX_IMAGE_PIXELS:
        raise too_large()
    if _is_deep(file):
        raise DataError("16 bits per channel; corruptions are defined for 8", "Convert it to 8 bits per channel.")
    if file.mode not in _MODES:
        raise DataError(
            f"colour space {file.mode}, neither grey nor RGB",
            "Convert it with its colour profile: `magick FILE -colorspace sRGB NEW` or any photo program.",
        )
    frames = getattr(file, "n_frames", 1)
    if frames > 1 and file.format != "MPO":  # cameras' MPO is a JPEG with previews behind it
        raise DataError(f"{frames} frames or pages instead of one", "Save the frames as separate files.")


def _is_deep(file: Image.Image) -> bool:
    """Whether an image, opened and not yet loaded, has more than 8 bits per channel.

    Pillow's modes say so for grey images only; of 16-bit colour, Pillow would silently drop the lower half. The
    arguments of the file's decoder show how values are stored: ``"RGB;16B"``, or a maximum above 255. BMP files of
    16 bits per pixel have 5 or 6 bits per channel.
    """
    if file.format in ("BMP", "DIB"):
        return False
    if file.mode.startswith("I") or file.mode == "F":
        return True
    for tile in getattr(file, "tile", ()):
        codec, arguments = tile[0], tile[3]
        values = arguments if isinstance(arguments, tuple) else (arguments,)
        if any(isinstance(value, str) and ";16" in value for value in values):
            return True
        if codec.startswith("ppm") and any(isinstance(value, int) and value > 255 for value in values):
            return True
    return False


def cut_image(image: Image.Image, name: str, cut: Cut) -> Image.Image:
    """Cut an image to a square.

    Raises:
        DataError: If it is too small, or not of the required size.
    """
    size = cut.size
    if isinstance(cut, CentralPart):
        part = centre_crop(image, *(max(1, int(side * cut.part)) for side in image.size))
        return part.resize((size, size), Image.Resampling.BILINEAR)
    if isinstance(cut, Geometry) and cut.resize is not None:
        return centre_crop(_pad(_resize(image, cut, cut.resize), size, cut.fill), size)
    if isinstance(cut, AsIs) and image.size != (size, size):
        raise DataError(
            f"{name} has {image.width} x {image.height} pixels, the others {size} x {size}",
            "The images of this dataset are used as they are, and all have one size: replace the file.",
        )
    if min(image.size) < size:
        raise DataError(
            f"{name} has {image.width} x {image.height} pixels, the model needs {size} x {size}",
            "Use images of that size or larger.",
        )
    return centre_crop(image, size)


_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def resize_shorter(
    image: Image.Image, side: int, interpolation: Literal["bilinear", "bicubic"] = "bilinear"
) -> Image.Image:
    """Resize the shorter side to ``side`` pixels; the longer side is rounded down, as in torchvision."""
    width, height = image.size
    if min(width, height) == side:
        return image
    size = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
    return image.resize(size, _FILTERS[interpolation])


def _resize(image: Image.Image, cut: Geometry, side: int) -> Image.Image:
    """Resize by a geometry; sides are rounded as in timm."""
    if cut.crop_mode == "center":
        return resize_shorter(image, side, cut.interpolation)
    if cut.crop_mode == "squash":
        return image.resize((side, side), _FILTERS[cut.interpolation])
    ratio = max(image.height / side, image.width / side)
    return image.resize((round(image.width / ratio), round(image.height / ratio)), _FILTERS[cut.interpolation])


def _pad(image: Image.Image, size: int, fill: tuple[int, int, int]) -> Image.Image:
    """Pad a grey or RGB image to at least ``size x size`` pixels; an odd pixel is added at the right or the bottom."""
    width, height = image.size
    if min(width, height) >= size:
        return image
    colour = fill if image.mode == "RGB" else fill[0]
    canvas = Image.new(image.mode, (max(width, size), max(height, size)), colour)
    canvas.paste(image, (max(0, size - width) // 2, max(0, size - height) // 2))
    return canvas


def centre_crop(image: Image.Image, width: int, height: int | None = None) -> Image.Image:
    """Cut the central part of an image that is at least as large; without a height, a square."""
    height = width if height is None else height
    # Python's round, halves to even, is also torchvision's.
    left, top = (round((side - kept) / 2) for side, kept in zip(image.size, (width, height), strict=True))
    return image.crop((left, top, left + width, top + height))
