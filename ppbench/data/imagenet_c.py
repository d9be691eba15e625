"""Published corrupted sets on disk: ``<corruption>/<severity>/<class>/<image>``, as ImageNet-C is laid out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ppbench.data.folder import FolderImages, class_folders
from ppbench.data.source import Geometry, Pixels, Source
from ppbench.errors import DataError
from ppbench.vocabulary import C19, FAMILIES


class PublishedImages(Source):
    """A corrupted set as it was published. The images are used as they are: no resize.

    Args:
        root: The folder above the corruptions, or above the archives' group folders (noise, blur, …).
        dataset: Its name, for the run file.
        size: Side of the images, in pixels.

    Raises:
        DataError: If no corruption is found, or the first cell holds no images.
    """

    kind: Literal["published"] = "published"
    recipe = "imagenet-c"
    engine = "published"
    has_clean = False
    is_slow = True
    resizes = False

    def __init__(self, root: Path, dataset: str, size: int) -> None:
        self.dataset, self.root, self.size = dataset, root, size
        self.folders = find_corruptions(root)
        if not self.folders:
            raise DataError(f"no corruption folders in {root}", f"Expected {root}/fog/3/<class>/<image> and the like.")
        first = next(iter(self.folders.values()))
        severities = class_folders(first)
        self._use(FolderImages(first / (severities[0] if severities else "1"), Geometry(size, None)))
        self.channels, self.num_classes = self.images.channels, self.images.num_classes
        self.total = len(self.ids)
        self._fingerprint = self.images.fingerprint()

    def _use(self, images: FolderImages) -> None:
        self.images, self.ids, self.labels = images, images.ids, images.labels

    def limit(self, places: NDArray[np.int64]) -> None:
        """Keep only the images at ``places``."""
        self._use(self.images.take(places))

    def fingerprint(self) -> str:
        """Of the first cell: paths, sizes, labels."""
        return self._fingerprint

    def check(self, corruptions: Sequence[str], severities: Sequence[int]) -> None:
        """Raise `DataError` for the cells, and the images of cells, that are not there."""
        for corruption in corruptions:
            for severity in severities:
                folder = self.folders.get(corruption, self.root / corruption) / str(severity)
                if not folder.is_dir():
                    raise DataError(
                        f"the cell {corruption}/{severity} is missing: no folder {folder}",
                        f"There are {', '.join(self.folders)}: choose with `--corruptions` and `--severities`, "
                        "or unpack the missing archive.",
                    )
                lost = next((name for name in self.ids if not (folder / name).is_file()), None)
                if lost is not None:
                    raise DataError(f"{folder / lost} is missing", "Unpack the archive again.")

    def load(self, corruption: str, severity: int, places: NDArray[np.int64]) -> Pixels:
        """The images at ``places`` in one cell."""
        cell = self.images.take(places)
        cell.root = self.folders[corruption] / str(severity)
        return cell.load(np.arange(len(places)))


def find_corruptions(root: Path) -> dict[str, Path]:
    """Folders named like corruptions in ``root`` or in its group folders (noise, blur, …), in canonical order."""
    places = [root, *(root / family for family in FAMILIES)]
    found = {name: place / name for place in reversed(places) for name in C19 if (place / name).is_dir()}
    return {name: found[name] for name in C19 if name in found}
