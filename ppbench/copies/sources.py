"""The images to corrupt: the image files below a folder, one image file, or an array of images."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ppbench.copies.encode import ImageFormat
from ppbench.copies.layout import find_layout
from ppbench.copies.places import ARRAY
from ppbench.copies.settings import PixelSettings
from ppbench.corruptions.types import Pixels
from ppbench.data.decode import image_size
from ppbench.data.image_file import HEIF_ENDINGS, HEIF_HINT, endings, read_regular
from ppbench.data.npy import map_array
from ppbench.data.walk import LeftOut, describe_left_out, ending, find_images
from ppbench.data.whole import decode_whole
from ppbench.errors import DataError, UsageError

_T = TypeVar("_T")

_CIFAR = re.compile(r"data_batch_\d|test_batch|train|test|.*\.(pkl|pickle)")
"""Names of CIFAR's own files."""

_PEEKED = 100
"""Images whose sizes are read before the start."""


class CopySource(ABC):
    """Files with images."""

    place: Path
    """Place of the images, for messages."""
    root: Path
    """Folder of the files."""
    names: list[str]
    """The files, relative to ``root``."""
    left_out: LeftOut
    """Files and folders there that are left out."""
    images_per_file: int

    def __len__(self) -> int:
        return len(self.names) * self.images_per_file

    @abstractmethod
    def output(self, name: str, settings: PixelSettings) -> str:
        """Usual file name of a source's copies in each cell."""

    @abstractmethod
    def sizes(self) -> list[tuple[int, int]]:
        """Heights and widths of some images, in pixels, from the smallest shorter side to the largest."""

    @abstractmethod
    def samples(self, count: int, size: int | None) -> Iterator[tuple[str, Pixels]]:
        """Some images that can be read, evenly spread, with their names."""


class ImageFiles(CopySource):
    """Image files below a folder.

    Args:
        root: The folder.
        names: The files, relative to it.
        left_out: Files and folders there that are left out.
    """

    images_per_file = 1

    def __init__(self, root: Path, names: list[str], left_out: LeftOut) -> None:
        self.place = self.root = root
        self.names, self.left_out = names, left_out

    def output(self, name: str, settings: PixelSettings) -> str:
        return settings.output(name)

    def sizes(self) -> list[tuple[int, int]]:
        found = [image_size(self.root / name) for name in _spread(self.names, _PEEKED)]
        return sorted((size for size in found if size), key=lambda size: (min(size), size))

    def samples(self, count: int, size: int | None) -> Iterator[tuple[str, Pixels]]:
        for name in _spread(self.names, count):
            try:
                yield name, decode_whole(read_regular(self.root / name), size)
            except (OSError, DataError):
                continue


class ImageArray(CopySource):
    """Images in a ``.npy`` file.

    Args:
        path: The file.

    Raises:
        DataError: If it contains no images.
    """

    def __init__(self, path: Path) -> None:
        self.place = self.path = path
        self.root, self.names, self.left_out = path.parent, [path.name], Counter()
        self.layout = find_layout(path)
        self.images_per_file = self.layout.number

    def output(self, name: str, settings: PixelSettings) -> str:
        """The file's name: an array becomes arrays. Sequences have that of their perturbation."""
        return ARRAY if settings.sequences else name

    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of the images."""
        return [(self.layout.height, self.layout.width)]

    def samples(self, count: int, size: int | None) -> Iterator[tuple[str, Pixels]]:
        """Some images, each as if it were an array of its own."""
        array = map_array(self.path)
        for place in _spread(range(self.layout.number), count):
            # The name has no meaning here; its ending says how to encode.
            yield "0.npy", self.layout.images(array, place, place + 1)[0]


def open_copy_source(src: Path, dest: Path, form: ImageFormat, size: int | None) -> CopySource:
    """Find the images to corrupt.

    Args:
        src: A folder, an image file or a ``.npy`` file.
        dest: Folder to write to; not searched if it is below ``src``.
        form: Format of the files to write.
        size: Side of the squares to cut.

    Raises:
        UsageError: If ``src`` is ``dest``, or an option is not for arrays.
        DataError: If ``src`` is missing, cannot be read, or contains no images.
    """
    if src.is_dir():
        return _open_folder(src, dest)
    if not src.exists():
        raise DataError(f"there is no {src}", "Give a folder of images, an image file or a .npy file.")
    if not src.is_file():
        raise DataError(f"{src} is a pipe or a device, not a file", "Give a folder of images, an image or a .npy file.")
    if src.suffix.lower() == ".npy":
        if form not in (ImageFormat.SAME, ImageFormat.NPY):
            raise UsageError(f"--format {form} is not for arrays", "An array becomes arrays: leave --format out.")
        if size is not None:
            raise UsageError(f"--size {size} is not for arrays", "Their images are used as they are: leave --size out.")
        return ImageArray(src)
    if ending(src.name) not in endings():
        raise _no_image(src)
    return ImageFiles(src.parent, [src.name], Counter())


def _no_image(src: Path) -> DataError:
    """The error for a file of another ending."""
    if ending(src.name) in HEIF_ENDINGS:
        return DataError(f"{src} cannot be read here: it is {ending(src.name)}", HEIF_HINT)
    pickles = (
        "CIFAR's own batches are pickles, which may run code; save their images as an array: "
        '`np.save("cifar.npy", batch[b"data"])`.'
    )
    shards = "`ppbench eval --dataset imagefolder --data FILE` reads it in place. To write copies, unpack it first."
    other = shards if src.suffix in (".parquet", ".tar") else "Convert it, for example to PNG, if it is an image."
    return DataError(
        f"{src} is not a folder, an image file ({', '.join(sorted(endings()))}) or a .npy file",
        pickles if _CIFAR.fullmatch(src.name) else other,
    )


def _open_folder(src: Path, dest: Path) -> ImageFiles:
    if src.resolve() == dest.resolve():
        raise UsageError(f"{src} cannot be read from and written to", f"Give another folder: `{src}-c`.")
    try:
        names, left_out = find_images(src, dest, any_name=True)
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}", "Give a folder that can be read.") from error
    if not names:
        there = f": it has {describe_left_out(left_out)}" if left_out else ""
        raise DataError(f"no images in {src}{there}", f"Images are {', '.join(sorted(endings()))} files, at any depth.")
    return ImageFiles(src, names, left_out)


def _spread(items: Sequence[_T], count: int) -> list[_T]:
    """``count`` evenly spread items, with the first and the last; all items if there are no more."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / max(1, count - 1))] for i in range(count)]
