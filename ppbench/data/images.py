"""Reading one image: decoding, and cutting it to a square. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.exif import orientation, to_srgb, upright
from ppbench.data.opener import open_image
from ppbench.data.source import Geometry
from ppbench.errors import DataError


@dataclass(frozen=True)
class AsIs:
    """No cut: images of another size are refused. In pixels."""

    size: int


@dataclass(frozen=True)
class CentralPart:
    """The middle of an image, this part of each of its sides, resized (bilinear) to a square whatever its shape was.

    As ImageNet-C of 299 px was made (make_imagenet_c_inception.py, `resized_center_crop`).
    """

    size: int
    part: float


Cut = Geometry | AsIs | CentralPart
"""How an image becomes a square of ``size`` pixels a side."""


def describe(cut: Cut) -> str:
    """A cut in words: ``resize 256, crop 224``, ``64 px as is``."""
    if isinstance(cut, AsIs):
        return f"{cut.size} px as is"
    if isinstance(cut, CentralPart):
        return f"crop {100 * cut.part:g} %, resize {cut.size} x {cut.size}"
    if cut.resize is None:
        return f"crop {cut.size}"
    sides = {"center": f"{cut.resize}", "squash": f"{cut.resize} x {cut.resize}", "border": f"longer side {cut.resize}"}
    resized = f"resize {sides[cut.crop_mode]}{' bicubic' * (cut.interpolation == 'bicubic')}"
    if cut.crop_mode == "border" or cut.resize < cut.size:
        return f"{resized}, pad ({'/'.join(map(str, cut.fill))}) and crop {cut.size}"
    return f"{resized}, crop {cut.size}"


def decode(file: Path | BinaryIO, name: str, cut: Cut, *, exif: bool = False) -> NDArray[np.uint8]:
    """Decode one image to RGB ``(size, size, 3)`` uint8.

    Args:
        file: Where it is read from.
        name: Of the file, for people.
        cut: How it is cut.
        exif: As of `open_rgb`.

    Raises:
        DataError: If it is missing, truncated, no image, of more than 8 bits, or of a size that cannot be cut so.
    """
    return np.asarray(cut_image(open_rgb(file, name, exif=exif), name, cut))


def open_rgb(file: Path | BinaryIO, name: str, *, exif: bool = False) -> Image.Image:
    """Decode one image to RGB, uncut.

    Args:
        file: Where it is read from.
        name: Of the file, for people.
        exif: Whether it is turned upright as its EXIF data tell, and converted to sRGB by its colour profile.

    Raises:
        DataError: If it is missing, truncated, no image, or of more than 8 bits.
    """
    try:
        with open_image(file) as opened:
            mode = opened.mode
            if not is_deep(opened):
                return upright(to_srgb(opened), orientation(opened)) if exif else opened.convert("RGB")
    except DataError as error:
        raise DataError(f"cannot read the image {name}: {error.message}", error.hint) from error
    raise DataError(f"{name} has more than 8 bits per channel ({mode})", "Convert it to 8 bits first.")


def cut_image(image: Image.Image, name: str, cut: Cut) -> Image.Image:
    """Cut an image to a square.

    Raises:
        DataError: If it is too small, or not of the one size there may be.
    """
    size = cut.size
    if isinstance(cut, CentralPart):
        return central_part(image, cut.part).resize((size, size), Image.Resampling.BILINEAR)
    if isinstance(cut, Geometry) and cut.resize is not None:
        return centre_crop(pad(_resize(image, cut, cut.resize), size, cut.fill), size)
    if isinstance(cut, AsIs) and image.size != (size, size):
        raise DataError(
            f"{name} has {image.width} x {image.height} pixels, the others {size} x {size}",
            "The images of this dataset are used as they are, and all have one size: replace the file.",
        )
    if min(image.size) < size:
        raise DataError(
            f"{name} has {image.width} x {image.height} pixels, the model wants {size} x {size}",
            "Use images of that size or larger.",
        )
    return centre_crop(image, size)


def is_deep(file: Image.Image) -> bool:
    """Whether an image, opened and not yet loaded, has more than 8 bits per channel.

    Pillow's modes tell for grey images only; of 16-bit colour it would silently drop the lower half. How the file
    stores its values is told by the arguments of its decoder: ``"RGB;16B"``, or a highest value of more than 255. BMP
    files of 16 bits have 5 or 6 of them for each channel.
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


_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def resize_shorter(
    image: Image.Image, side: int, interpolation: Literal["bilinear", "bicubic"] = "bilinear"
) -> Image.Image:
    """Resize so that the shorter side has ``side`` pixels, the longer truncated, as torchvision does."""
    width, height = image.size
    if min(width, height) == side:
        return image
    size = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
    return image.resize(size, _FILTERS[interpolation])


def _resize(image: Image.Image, cut: Geometry, side: int) -> Image.Image:
    """Resize as a geometry says, sides rounded as timm does it."""
    if cut.crop_mode == "center":
        return resize_shorter(image, side, cut.interpolation)
    if cut.crop_mode == "squash":
        return image.resize((side, side), _FILTERS[cut.interpolation])
    ratio = max(image.height / side, image.width / side)
    return image.resize((round(image.width / ratio), round(image.height / ratio)), _FILTERS[cut.interpolation])


def pad(image: Image.Image, size: int, fill: tuple[int, int, int]) -> Image.Image:
    """Pad an RGB image to at least ``size x size`` pixels, where both sides cannot be alike with less before it."""
    width, height = image.size
    if min(width, height) >= size:
        return image
    canvas = Image.new("RGB", (max(width, size), max(height, size)), fill)
    canvas.paste(image, (max(0, size - width) // 2, max(0, size - height) // 2))
    return canvas


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """Cut ``size x size`` pixels from the middle of an image that has as many."""
    return _middle(image, size, size)


def central_part(image: Image.Image, part: float) -> Image.Image:
    """Cut this part of each side, truncated to pixels, from the middle of an image."""
    return _middle(image, *(max(1, int(side * part)) for side in image.size))


def _middle(image: Image.Image, width: int, height: int) -> Image.Image:
    # torchvision's rounding, halves to even
    left, top = (round((side - kept) / 2) for side, kept in zip(image.size, (width, height), strict=True))
    return image.crop((left, top, left + width, top + height))
