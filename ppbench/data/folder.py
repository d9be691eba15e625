"""Image files in class folders, and the reading of one file. Free of torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.source import Geometry, Pixels
from ppbench.errors import DataError

ENDINGS = {".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"}


class FolderImages:
    """Images under ``root/<class>/…``, decoded when asked for. Labels follow the sorted names of the class folders.

    Args:
        root: The folder above the class folders.
        geometry: How the images are cut.

    Raises:
        DataError: If the folder is missing, or holds no class folders with images.
    """

    resizes = True

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
    visible = (path for path in folder.rglob("*") if not path.name.startswith("."))
    return sorted(path for path in visible if path.suffix.lower() in ENDINGS and path.is_file())


def load_rgb(path: Path, geometry: Geometry) -> NDArray[np.uint8]:
    """Decode one image to RGB ``(size, size, 3)`` uint8: resize of the shorter side, if any, then centre crop.

    Raises:
        DataError: If the file is missing, truncated, no image, of more than 8 bits, or smaller than the crop.
    """
    try:
        with Image.open(path) as file:
            if file.mode.startswith("I") or file.mode == "F":
                raise DataError(f"{path} has more than 8 bits per channel ({file.mode})", "Convert it to 8 bits first.")
            image = file.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read the image {path}: {error}", "Replace or remove the file.") from error
    size, resize = geometry.size, geometry.resize
    if resize is not None and min(image.size) != resize:
        image = image.resize(_resized(image.size, resize), _FILTERS[geometry.interpolation])
    left, top = (round((side - size) / 2) for side in image.size)  # torchvision's rounding, halves to even
    if min(image.size) < size:
        raise DataError(
            f"{path} has {image.width} x {image.height} pixels, the model wants {size} x {size}",
            "Use images of that size or larger.",
        )
    return np.asarray(image.crop((left, top, left + size, top + size)))


_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def _resized(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Width and height with the shorter side as given, the longer truncated as torchvision does."""
    width, height = size
    return (shorter, int(shorter * height / width)) if width <= height else (int(shorter * width / height), shorter)
