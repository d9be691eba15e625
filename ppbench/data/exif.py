"""What cameras write beside the pixels: which side of a photograph is up, and what its colours mean. Free of torch."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

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
"""What turns an image upright, by the orientation in its EXIF data."""


def orientation(image: Image.Image) -> int:
    """The orientation in the EXIF data of an opened image, 1 to 8; 1 (upright) where it is missing or damaged."""
    try:
        value = int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # of an image that can be seen
        return 1
    return value if value in _TURNS else 1


def upright(image: Image.Image, turn: int) -> Image.Image:
    """Turn and mirror an image by its `orientation`."""
    return image if turn == 1 else image.transpose(_TURNS[turn])


def has_other_profile(image: Image.Image) -> bool:
    """Whether an image has a colour profile that can be read and is not sRGB's."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile:
        return False
    try:
        return "srgb" not in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).lower()
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return False


def to_srgb(image: Image.Image) -> Image.Image:
    """An image as RGB: by its colour profile where it has another than sRGB's, else as Pillow converts it."""
    if not has_other_profile(image):
        return image.convert("RGB")
    from PIL import ImageCms

    plain = image if image.mode in ("RGB", "CMYK", "L") else image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        made = ImageCms.profileToProfile(plain, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):  # such as a profile for another colour space
        made = None
    return made if made is not None else image.convert("RGB")


class Photographs(NamedTuple):
    """What some files were found to have."""

    seen: int
    turned: int
    """Not upright as they are stored."""
    profiles: int
    """With a colour profile that is not sRGB's."""

    def note(self) -> str:
        """What people should know where neither is applied; empty if there is nothing."""
        parts = [f"{self.turned:,} stored turned or mirrored"] if self.turned else []
        parts += [f"{self.profiles:,} with a colour profile that is not sRGB's"] if self.profiles else []
        if not parts:
            return ""
        return (
            f"of {self.seen:,} images looked at, {' and '.join(parts)}: not applied, as torchvision does not; "
            "`--exif` applies EXIF orientation and colour profiles"
        )


def look_at_photographs(paths: Iterable[Path]) -> Photographs:
    """Read the heads of files; those that cannot be read are left out."""
    seen = turned = profiles = 0
    for path in paths:
        try:
            with open_image(path) as image:
                turned += orientation(image) != 1
                profiles += has_other_profile(image)
                seen += 1
        except DataError:
            continue
    return Photographs(seen, turned, profiles)
