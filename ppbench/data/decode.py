"""Image files and sets of them, opened with the allowed decoders only, decoded to RGB and cut to a square.

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

from ppbench.data.cut import AsIs, CentralPart, Cut, describe_cut
from ppbench.data.exif import EXIF_APPLIED, orientation, to_srgb, upright
from ppbench.data.folder import LabelledFiles, file_size, fingerprint_of_files
from ppbench.data.image_file import decoder_error, formats, read_regular, too_large, unknown_image
from ppbench.data.source import Broken, Encoded, Geometry, Loaded
from ppbench.data.stamps import FileStamps, stamps_of
from ppbench.errors import DataError
from ppbench.files import open_regular


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
            if not is_deep(opened):
                return upright(to_srgb(opened), orientation(opened)) if exif else opened.convert("RGB")
    except DataError as error:
        raise DataError(f"cannot read the image {name}: {error.message}", error.hint) from error
    # Raised only here: inside the block it would be reported as an image that cannot be read.
    raise DataError(f"{name} has more than 8 bits per channel ({mode})", "Convert it to 8 bits first.")


class FolderImages:
    """Images in files, decoded when they are loaded.

    Args:
        root: The dataset's folder.
        cut: How they are cut.
        listing: The files and their labels.
        exif: Whether EXIF orientation and colour profiles are applied.
    """

    is_slow = True
    channels: Literal[1, 3] = 3

    def __init__(self, root: Path, cut: Cut, listing: LabelledFiles, *, exif: bool = False) -> None:
        self.root, self.size, self.cut = root, cut.size, EXIF_APPLIED * exif + describe_cut(cut)
        self._cut, self._exif = cut, exif
        self.class_names, self.ids, self._files, self.labels, self.notes, self.are_numbered = listing

    def fingerprint(self) -> str:
        """SHA-256 of ids, sizes in bytes and labels (not of the pixels: that would take hours)."""
        return fingerprint_of_files(self.ids, self._sizes(), self.labels)

    def mean_bytes(self) -> float:
        """Mean size of a file."""
        return float(np.mean(self._sizes()))

    def stamps(self, rows: NDArray[np.int64]) -> FileStamps:
        """The stamps of the files at ``rows``."""
        return stamps_of(self.root / self._files[row] for row in rows)

    def load(self, rows: NDArray[np.int64]) -> Loaded:
        """Load and cut the images at ``rows``; `Broken.place` is an index into ``rows``."""
        pixels = np.zeros((len(rows), self.size, self.size, self.channels), np.uint8)
        broken = []
        for place, row in enumerate(rows):
            try:
                pixels[place] = decode_rgb(self.root / self._files[row], self._cut, exif=self._exif)
            except DataError as error:
                broken.append(Broken(place, error.message, error.hint))
        return Loaded(pixels, tuple(broken))

    def read(self, rows: NDArray[np.int64]) -> Iterator[Image.Image | DataError]:
        """Yield the images at ``rows``, not cut, or why one cannot be read."""
        for row in rows:
            path = self.root / self._files[row]
            try:
                yield open_rgb(path, str(path), exif=self._exif)
            except DataError as error:
                yield error

    @property
    def encoded_cut(self) -> Cut | None:
        """The cut, if a GPU may decode the files: it knows nothing of EXIF data and colour profiles."""
        return None if self._exif else self._cut

    def encoded(self, rows: NDArray[np.int64]) -> Encoded:
        """Read the files at ``rows``, and decode those that are not JPEG files of three colours."""
        jpegs, decoded, broken = [], [], []
        for place, row in enumerate(rows):
            path = self.root / self._files[row]
            try:
                content = read_content(path)
                if is_rgb_jpeg(content):
                    jpegs.append((place, str(path), content))
                else:
                    decoded.append((place, decode_rgb(io.BytesIO(content), self._cut, str(path))))
            except DataError as error:
                broken.append(Broken(place, error.message, error.hint))
        return Encoded(len(rows), tuple(jpegs), tuple(decoded), tuple(broken))

    def _sizes(self) -> NDArray[np.int64]:
        return np.array([file_size(self.root / name) for name in self._files], np.int64)


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


def is_deep(file: Image.Image) -> bool:
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
