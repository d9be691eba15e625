"""The formats of image files that are read, and what is said of files that are not. Free of torch."""

from __future__ import annotations

import io
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from PIL import Image, features

from ppbench.errors import DataError
from ppbench.extras import how_to_install
from ppbench.files import open_regular

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM", "GIF")
"""Formats that are read, by Pillow's names, whatever a file's name. JPEG includes the MPO files of phones."""

IMAGE_ENDINGS = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
"""Lowercase endings of image files, the same as those of torchvision's ImageFolder."""

HEIF_ENDINGS = frozenset({".heic", ".heif", ".avif"})
"""Further endings that are read if the extra `heif` is installed."""

REPLACE_HINT = "Replace or remove it."

HEIF_HINT = f"To read HEIC and AVIF, install the extra `heif`. {how_to_install('heif')}"


@cache
def has_heif() -> bool:
    """Whether the extra `heif` is installed."""
    return find_spec("pillow_heif") is not None


def endings() -> frozenset[str]:
    """Lowercase endings of the image files that can be read."""
    return IMAGE_ENDINGS | HEIF_ENDINGS if has_heif() else IMAGE_ENDINGS


@cache
def formats() -> tuple[str, ...]:
    """The formats that may be opened, by Pillow's names."""
    if not has_heif():
        return FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF", "AVIF") if features.check("avif") else (*FORMATS, "HEIF")


def read_regular(path: Path) -> bytes:
    """Read a regular file.

    Raises:
        OSError: If it cannot be read, or is a folder, a pipe or a device, which may never end.
    """
    with open_regular(path) as file:
        return file.read()


def too_large() -> DataError:
    """The error for an image of too many pixels."""
    # The limit may be switched off by whoever uses ppbench as a library.
    most = f"{Image.MAX_IMAGE_PIXELS:,}" if Image.MAX_IMAGE_PIXELS else "?"
    return DataError(
        f"more than {most} pixels, the limit against decompression bombs", "Make it smaller, or remove it."
    )


def decoder_error(error: Exception) -> DataError:
    """The error for a file that the disk or the decoder gave up, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return DataError(error.strerror, REPLACE_HINT)
    text = str(error).strip() or type(error).__name__
    return DataError(f"damaged: {text.splitlines()[0]}", REPLACE_HINT)


_BEGINNINGS: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftyphev", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"),
    (0, b"%!PS", "EPS or PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS or PostScript"),
    (0, b"%PDF", "PDF"),
    (0, b"<!doctype html", "a web page"),
    (0, b"<html", "a web page"),
    (0, b"<svg", "SVG"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
)
"""Other files that are often found among images: an offset, the bytes there in upper or lower case, and the type."""


def unknown_image(file: Path | BinaryIO) -> DataError:
    """The error for a file that no decoder recognizes; its first bytes may show what it is."""
    head = _head(file)
    kind = next((kind for at, bytes_, kind in _BEGINNINGS if head[at:].lower().startswith(bytes_.lower())), None)
    if kind in ("HEIC", "AVIF"):
        hint = "This build of Pillow cannot read it: convert it to PNG." if has_heif() else HEIF_HINT
        return DataError(f"it is {kind}, whatever its name", hint)
    if kind:
        return DataError(f"it is not a supported image, but {kind}", REPLACE_HINT)
    return DataError("it is not an image, or its beginning is damaged", REPLACE_HINT)


def _head(file: Path | BinaryIO) -> bytes:
    try:
        if isinstance(file, Path):
            with open_regular(file) as opened:
                return opened.read(32)
        file.seek(0)
        return file.read(32)
    except (OSError, ValueError, io.UnsupportedOperation):
        return b""
