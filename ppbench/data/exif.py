"""Orientation and colour profile of photographs, as cameras store them beside the pixels. Free of torch."""

from __future__ import annotations

import io

from PIL import Image

EXIF_APPLIED = "EXIF orientation and colour profile applied, "
"""How the description of a cut begins if they are."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Operation that turns an image upright, by the orientation in its EXIF data."""


def orientation(image: Image.Image) -> int:
    """The orientation in the EXIF data of an opened image, 1 to 8; 1 (upright) if it is missing or damaged."""
    try:
        value = int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data is no reason to refuse the image
        return 1
    return value if value in _TURNS else 1


def upright(image: Image.Image, turn: int) -> Image.Image:
    """Turn and mirror an image by its `orientation`."""
    return image if turn == 1 else image.transpose(_TURNS[turn])


def has_other_profile(image: Image.Image) -> bool:
    """Whether an image has a readable colour profile that is not sRGB."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile:
        return False
    try:
        return "srgb" not in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).lower()
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return False


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert an image to RGB: by its colour profile if that is not sRGB, else as Pillow does."""
    if not has_other_profile(image):
        return image.convert("RGB")
    from PIL import ImageCms

    # Colour management knows these modes only; a palette, for example, is turned into colours first.
    plain = image if image.mode in ("RGB", "CMYK", "L") else image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        made = ImageCms.profileToProfile(plain, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):  # such as a profile for another colour space
        made = None
    return made if made is not None else image.convert("RGB")
