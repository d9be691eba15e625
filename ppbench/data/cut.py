"""Cut an image to a square: the kinds of cut, their descriptions, and resizing. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PIL import Image

from ppbench.data.source import Geometry
from ppbench.errors import DataError


@dataclass(frozen=True)
class AsIs:
    """No cut: images of another size, in pixels, are refused."""

    size: int


@dataclass(frozen=True)
class CentralPart:
    """The central ``part`` of each side, resized (bilinear) to a square whatever the aspect ratio.

    ImageNet-C of 299 px was made this way (make_imagenet_c_inception.py, `resized_center_crop`).
    """

    size: int
    part: float


Cut = Geometry | AsIs | CentralPart
"""How an image becomes a square of ``size`` pixels a side."""


def describe_cut(cut: Cut) -> str:
    """Describe a cut: ``resize 256, crop 224``, ``64 px as is``."""
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
