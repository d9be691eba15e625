"""Orientation and colour profile of photographs, as cameras store them beside the pixels. Free of torch."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image

from ppbench.data.image_file import open_image
from ppbench.errors import DataError

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


class Photographs(NamedTuple):
    """Orientations and colour profiles found in some files."""

    seen: int
    turned: int
    """Files that are not stored upright."""
    profiles: int
    """Files with a colour profile that is not sRGB."""

    def note(self) -> str:
        """A note for the user if neither is applied; empty if there is nothing to say."""
        parts = [f"{self.turned:,} stored turned or mirrored"] if self.turned else []
        parts += [f"{self.profiles:,} with a colour profile that is not sRGB's"] if self.profiles else []
        if not parts:
            return ""
        return (
            f"of {self.seen:,} images checked, {' and '.join(parts)}: not applied, as in torchvision; "
            "`--exif` applies EXIF orientation and colour profiles"
        )


def look_at_photographs(files: Iterable[Path | BinaryIO]) -> Photographs:
    """Read the headers of files, or of opened content; what is unreadable is skipped."""
    seen = turned = profiles = 0
    for file in files:
        try:
            with open_image(file) as image:
                turned += orientation(image) != 1
                profiles += has_other_profile(image)
                seen += 1
        except DataError:
            continue
    return Photographs(seen, turned, profiles)
