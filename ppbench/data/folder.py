"""Image files in class folders, and the reading of one file. Free of torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.source import Geometry, Pixels
from ppbench.data.walk import ENDINGS, find_images
from ppbench.errors import DataError


class FolderImages:
    """Images under ``root/<class>/…``, decoded when asked for. Labels follow the sorted names of the class folders.

    Args:
        root: The folder above the class folders.
        geometry: How the images are cut.

    Raises:
        DataError: If the folder is missing, or holds no class folders with images.
    """

    resizes = True
    is_slow = True

    def __init__(self, root: Path, geometry: Geometry) -> None:
        self.root, self.geometry, self.size = root, geometry, geometry.size
        self.class_names = class_folders(root)
        found = [(path, label) for label, name in enumerate(self.class_names) for path in image_files(root / name)]
        if not found:
            raise DataError(
                f"no images in {root}",
                f"Expected {root}/<class>/<image>, with {', '.join(sorted(ENDINGS))} files.",
            )
        self.ids = [path.relative_to(root).as_posix() for path, _ in found]
        self.labels = np.array([label for _, label in found], np.int64)
        self.num_classes = len(self.class_names)
        self.channels: Literal[1, 3] = 3

    def fingerprint(self) -> str:
        """SHA-256 of relative paths, sizes in bytes and labels (not of the pixels: that would take hours)."""
        lines = (
            f"{name} {(self.root / name).stat().st_size} {label}"
            for name, label in zip(self.ids, self.labels, strict=True)
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def take(self, places: NDArray[np.int64]) -> FolderImages:
        """The images at ``places`` as a set of their own."""
        part = object.__new__(FolderImages)
        part.__dict__.update(self.__dict__)
        part.ids, part.labels = [self.ids[i] for i in places], self.labels[places]
        return part

    def load(self, places: NDArray[np.int64]) -> Pixels:
        """The images at ``places``, cut to the geometry."""
        return np.stack([load_rgb(self.root / self.ids[i], self.geometry) for i in places])


def class_folders(root: Path) -> list[str]:
    """Names of the folders in ``root``, sorted; hidden ones are left out.

    Raises:
        DataError: If ``root`` is missing, no folder, or not readable.
    """
    try:
        return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise DataError(
            f"cannot read {root}: {error.strerror}", "Give an existing folder with `--data DIR`."
        ) from error


def image_files(folder: Path) -> list[Path]:
    """All image files below ``folder``, sorted by path; hidden ones (such as macOS's ``._x.png``) are left out."""
    return [path for path in (folder / name for name in find_images(folder).names) if path.is_file()]


def load_rgb(path: Path, geometry: Geometry) -> NDArray[np.uint8]:
    """Decode one image to RGB ``(size, size, 3)`` uint8: resize of the shorter side, if any, then centre crop.

    Raises:
        DataError: If the file is missing, truncated, no image, of more than 8 bits, or smaller than the crop.
    """
    try:
        with Image.open(path) as file:
            if is_deep(file):
                raise DataError(f"{path} has more than 8 bits per channel ({file.mode})", "Convert it to 8 bits first.")
            image = file.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read the image {path}: {error}", "Replace or remove the file.") from error
    size, resize = geometry.size, geometry.resize
    image = resize_shorter(image, resize, geometry.interpolation) if resize is not None else image
    if min(image.size) < size:
        raise DataError(
            f"{path} has {image.width} x {image.height} pixels, the model wants {size} x {size}",
            "Use images of that size or larger.",
        )
    return np.asarray(centre_crop(image, size))


def is_deep(file: Image.Image) -> bool:
    """Whether an image, opened and not yet loaded, has more than 8 bits per channel.

    Pillow's modes tell for grey images only; of 16-bit colour it would silently drop the lower half. How the file
    stores its values is told by the arguments of its decoder: ``"RGB;16B"``, or a highest value of more than 255.
    """
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


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """Cut ``size x size`` pixels from the middle of an image that has as many."""
    left, top = (round((side - size) / 2) for side in image.size)  # torchvision's rounding, halves to even
    return image.crop((left, top, left + size, top + size))
