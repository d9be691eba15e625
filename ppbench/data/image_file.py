"""The one place where image files are opened: which decoders may run, and what is said of a file that they refuse.

Pillow knows many more formats, and goes by a file's content, not by its name: an EPS file called photo.jpg would start
Ghostscript, another program, on a stranger's file. Free of torch.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError, features

from ppbench.errors import DataError
from ppbench.extras import how_to_install
from ppbench.files import open_regular

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM", "GIF")
"""What is read, in Pillow's names, whatever a file is called. JPEG opens the MPO files of phones too."""

IMAGE_ENDINGS = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
"""What an image file's name ends with, in small letters: the endings of torchvision's ImageFolder."""

HEIF_ENDINGS = frozenset({".heic", ".heif", ".avif"})
"""What is read besides where the extra `heif` is installed."""

REPLACE_HINT = "Replace or remove it."

HEIF_HINT = f"To read HEIC and AVIF, install the extra `heif`. {how_to_install('heif')}"


@cache
def has_heif() -> bool:
    """Whether the extra `heif` is installed."""
    return find_spec("pillow_heif") is not None


def endings() -> frozenset[str]:
    """What the names of the image files that can be read end with, in small letters."""
    return IMAGE_ENDINGS | HEIF_ENDINGS if has_heif() else IMAGE_ENDINGS


@cache
def formats() -> tuple[str, ...]:
    """The formats that may be opened, in Pillow's names."""
    if not has_heif():
        return FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF", "AVIF") if features.check("avif") else (*FORMATS, "HEIF")


@contextmanager
def open_image(file: Path | BinaryIO) -> Iterator[Image.Image]:
    """Open an image, not yet decoded; whatever goes wrong while it is open becomes one kind of error.

    Args:
        file: A path, or the content.

    Raises:
        DataError: If it cannot be read, is no regular file, no image of these formats, damaged, or too large to be
            decoded. The message does not name the file.
    """
    try:
        # Pillow's warnings, of odd EXIF data and the like, are for developers and come with lines of its source.
        with (
            warnings.catch_warnings(action="ignore"),
            open_regular(file) if isinstance(file, Path) else nullcontext(file) as content,
            Image.open(content, formats=formats()) as image,
        ):
            yield image
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise _unknown(file) from error
    except Image.DecompressionBombError as error:
        raise too_large() from error
    except Exception as error:  # decoders fail in many ways on what is not theirs
        raise DataError(_reason(error), REPLACE_HINT) from error


def read_regular(path: Path) -> bytes:
    """The content of a file.

    Raises:
        OSError: If it cannot be read, or is a pipe, a device or a folder: reading from such may never end.
    """
    with open_regular(path) as file:
        return file.read()


def too_large() -> DataError:
    """The error for an image of too many pixels."""
    most = f"{Image.MAX_IMAGE_PIXELS:,}" if Image.MAX_IMAGE_PIXELS else "?"
    return DataError(
        f"more than {most} pixels, the limit against decompression bombs", "Make it smaller, or remove it."
    )


def _reason(error: Exception) -> str:
    """One line: what the disk says, or what the decoder says."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).strip() or type(error).__name__
    return f"damaged: {text.splitlines()[0]}"


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
"""Where, by which bytes in any case of letters, and what files are known that lie among images by mistake."""


def _unknown(file: Path | BinaryIO) -> DataError:
    """The error for a file that no decoder knows: what it is, judged by its first bytes."""
    head = _head(file)
    kind = next((kind for at, bytes_, kind in _BEGINNINGS if head[at:].lower().startswith(bytes_.lower())), None)
    if kind in ("HEIC", "AVIF"):
        hint = "This build of Pillow cannot read it: convert it to PNG." if has_heif() else HEIF_HINT
        return DataError(f"it is {kind}, whatever its name", hint)
    if kind:
        return DataError(f"it is no image that is read, but {kind}", REPLACE_HINT)
    return DataError("it is no image, or damaged at its beginning", REPLACE_HINT)


def _head(file: Path | BinaryIO) -> bytes:
    try:
        if isinstance(file, Path):
            with open_regular(file) as opened:
                return opened.read(32)
        file.seek(0)
        return file.read(32)
    except (OSError, ValueError, io.UnsupportedOperation):
        return b""
