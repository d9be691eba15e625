"""Published corrupted sets of image files: ``<corruption>/<severity>/<class>/<image>``, in folders or archives."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.data.cells import CellFiles
from ppbench.data.cut import AsIs, describe_cut
from ppbench.data.decode import decode_rgb, image_size
from ppbench.data.manifest import CopyRecord, label_copies
from ppbench.data.source import Broken, Geometry, Loaded, Source, SourceKind
from ppbench.data.stamps import FileStamps
from ppbench.data.walk import ending, is_utf8
from ppbench.errors import DataError
from ppbench.vocabulary import C15, CLEAN, NAME_PATTERN, Cell, in_order

Tree = Mapping[str, Mapping[int, CellFiles]]
"""Cells by corruption and severity."""

_SEVERITY_FOLDERS = "Folders of severities are named 1 to 5, or by five strengths, such as 2.35."

_NAMED = 6
"""Most corruptions that are listed in an example of options."""

_TRIES = 20
"""Images that are opened to find their size; if none of them can be read, that is an error."""


class PublishedImages(Source):
    """A corrupted set as it was published. The images are used as they are, without resizing or cropping.

    An exception are sets of unknown origin, whose images may have any size: with a ``geometry``, they are cut by it
    unless all are squares of one size.

    The list of images is read from the first cell that has the same classes as most cells.

    Args:
        root: Its folder, for messages.
        dataset: Its name, for the run file.
        tree: Its cells, of at least one corruption.
        recipe: How it was made.
        num_classes: Number of the dataset's classes; None: any. Decides which classes are right if two lists of classes
            are equally frequent.
        geometry: Cut of images that are not all squares of one size; None: they are refused.
        records: How those were made that ``ppbench corrupt`` wrote, by corruption; None: it wrote none.

    Raises:
        DataError: If there are no images that can be read.
    """

    kind: SourceKind = "published"
    engine = "published"
    has_clean = False
    image_major = False
    is_slow = True
    is_stored = True
    channels = 3

    def __init__(
        self, root: Path, dataset: str, tree: Tree, recipe: str, num_classes: int | None = None,
        geometry: Geometry | None = None, records: Mapping[str, CopyRecord] | None = None,
    ) -> None:  # fmt: skip
        self.root, self.dataset, self.recipe, self._records = root, dataset, recipe, dict(records or {})
        self.corruptions = in_order(name for name in tree if name != CLEAN)
        self.has_clean = 0 in tree.get(CLEAN, {})
        self._tree = {name: dict(sorted(tree[name].items())) for name in in_order(tree)}
        classes = {(name, s): cell.classes() for name, of in self._tree.items() for s, cell in of.items()}
        self._classes = self._right_classes(list(classes.values()), num_classes)
        self._first: Cell = next(cell for cell, found in classes.items() if found == self._classes)
        first = self._cell(*self._first)
        names = sorted(self._classes)
        # Ids and class names go into run files, which are UTF-8.
        odd = next((name for name in (*names, *first.names()) if not is_utf8(name)), None)
        if odd is not None:
            raise DataError(f"{first.where} has a name that is not UTF-8: {os.fsencode(odd)!r}", "Rename it.")
        number = {name: place for place, name in enumerate(names)}
        self._all = first.names()
        if not self._all:
            raise DataError(f"no images in {first.where}", first.hint)
        self._set(self._all, np.array([number[name.partition("/")[0]] for name in self._all], np.int64), names)
        self._fingerprint = hashlib.sha256("\n".join(map("{} {}".format, self._all, self.labels)).encode()).hexdigest()
        self._mean_bytes = float(first.sizes(_sample(self._all)).mean())
        self._cut = self._find_cut(first, geometry)
        self.size, self.cut = self._cut.size, describe_cut(self._cut)

    @property
    def _in_use(self) -> set[str]:
        """The class folders in use: all of them if the labels are not used."""
        return set(self.class_names or self._classes)

    def fingerprint(self) -> str:
        """SHA-256 of the ids and labels, whichever cells exist."""
        return self._fingerprint

    def content(self, cells: Sequence[Cell]) -> str:
        """SHA-256 of the sizes in bytes of a sample of each cell."""
        names = _sample(self._all)
        sizes = (f"{cell} {self._cell(*cell).sizes(names).tolist()}" for cell in cells)
        return hashlib.sha256("\n".join(sizes).encode()).hexdigest()

    def mean_bytes(self) -> float:
        return self._mean_bytes

    def stamps(self, cell: Cell) -> FileStamps:
        """Numbers ``(N,)``, one per image, that change when its file or its archive changes."""
        return self._cell(*cell).stamps(self.ids)

    def choose(self, corruptions: Sequence[str]) -> None:
        """Label what ``ppbench corrupt`` made; raises `DataError` if not all of it was made in one way."""
        has_jpegs = any(ending(name) in (".jpg", ".jpeg") for name in self.ids)
        label_copies(self, self._records, corruptions, self.root, has_jpegs=has_jpegs)

    def check(self, corruptions: Sequence[str], severities: Sequence[int]) -> None:
        """Raise `DataError` for cells that are missing, or have other classes, images or image sizes."""
        cells = [(CLEAN, 0)] if self.has_clean else []
        cells += [(name, severity) for name in corruptions for severity in severities]
        # A missing cell is the most common mistake, and found without listing a single folder: so all cells are tested
        # for it before any is listed.
        for name, severity in cells:
            self._check_there(name, severity)
        for name, severity in cells:
            cell = self._cell(name, severity)
            names = cell.names()
            self._check_classes(name, cell)
            self._check_images(cell, names)
            self._check_size(cell)

    def load(self, corruption: str, severity: int, places: NDArray[np.int64]) -> Loaded:
        cell, names = self._cell(corruption, severity), [self.ids[place] for place in places]
        pixels = np.zeros((len(places), self.size, self.size, self.channels), np.uint8)
        broken = []
        for place, (name, content) in enumerate(zip(names, cell.read(names), strict=True)):
            path = f"{cell.where}/{name}"
            try:
                if isinstance(content, OSError):
                    raise DataError(f"cannot read the image {path}: {content.strerror or content}")
                pixels[place] = decode_rgb(io.BytesIO(content), self._cut, path)
            except DataError as error:
                broken.append(Broken(int(places[place]), error.message, cell.hint))
        return Loaded(pixels, tuple(broken))

    def _cell(self, corruption: str, severity: int) -> CellFiles:
        return self._tree[corruption][severity]

    def _right_classes(self, found: Sequence[frozenset[str]], wanted: int | None) -> frozenset[str]:
        """Class names that most cells have; in a tie, a list with the ``wanted`` number of classes."""
        counts = Counter(classes for classes in found if classes)
        if counts:
            return max(counts, key=lambda classes: (counts[classes], len(classes) == wanted))
        for cell in (cell for of in self._tree.values() for cell in of.values()):
            cell.names()  # raises the error for images at the wrong depth
        raise DataError(f"no images in {self.root}", f"Unpack the archives again. {_SEVERITY_FOLDERS}")

    def _find_cut(self, cell: CellFiles, geometry: Geometry | None) -> AsIs | Geometry:
        """Determine the cut from the first images that can be read."""
        names = self._all[:_TRIES]
        readable = (image_size(io.BytesIO(file)) for file in cell.read(names) if not isinstance(file, OSError))
        sizes = [size for size in readable if size]
        if not sizes:
            raise DataError(f"none of the first {len(names)} images in {cell.where} can be read", cell.hint)
        height, width = sizes[0]
        if geometry is not None and (len(set(sizes)) > 1 or width != height):
            return geometry
        if width != height:
            raise DataError(
                f"{cell.where} contains images of {width} x {height} pixels",
                "Published sets have square images; to corrupt your own images, give a folder of clean ones.",
            )
        return AsIs(width)

    def _check_there(self, corruption: str, severity: int) -> None:
        if re.fullmatch(NAME_PATTERN, corruption) is None:
            raise DataError(
                f"a corruption cannot be called {corruption!r}", "Rename its folder: letters, digits and _ . + - only."
            )
        if severity in self._tree.get(corruption, {}):
            return
        there = ", ".join(f"{corruption}/{known}" for known in self._tree.get(corruption, {}))
        raise DataError(
            f"the cell {corruption}/{severity} is missing in {self.root}",
            f"There are {there or ', '.join(self.corruptions)}: choose with `--corruptions` and `--severities`"
            f"{self._all_there()}, or unpack the missing archive. {_SEVERITY_FOLDERS}",
        )

    def _all_there(self) -> str:
        """Options that choose all cells; empty if severities differ between corruptions or the list is too long."""
        severities = {tuple(sorted(self._tree[name])) for name in self.corruptions}
        by_default = set(C15) <= set(self.corruptions)
        if len(severities) != 1 or (len(self.corruptions) > _NAMED and not by_default):
            return ""
        words = [f"-s {number}" for number in severities.pop()]
        words += [] if by_default else [f"-c {name}" for name in self.corruptions]
        return f" (all that is there: `{' '.join(words)}`)"

    def _check_classes(self, corruption: str, cell: CellFiles) -> None:
        found = cell.classes()
        others, lost = sorted(found - self._classes), sorted(self._in_use - found)
        if others:
            raise DataError(
                f"{cell.where} has {len(found)} class folders, most cells have {len(self._classes)}: "
                f"{others[0]} and {len(others) - 1} others do not belong there",
                _classes_hint(corruption, [name for name in self.corruptions if name != corruption]),
            )
        if lost:
            raise DataError(f"{cell.where} lacks {len(lost)} class folders, the first is {lost[0]}", cell.hint)

    def _check_images(self, cell: CellFiles, names: list[str]) -> None:
        # The usual case, found without making sets of all names.
        if names == self._all:
            return
        there, all_ids, in_use = set(names), set(self._all), self._in_use
        lost = [name for name in self.ids if name not in there]
        if lost:
            raise DataError(f"{cell.where} lacks {_count(len(lost))}: {lost[0]} is missing", cell.hint)
        more = [name for name in names if name not in all_ids and name.partition("/")[0] in in_use]
        if more:
            first = self._cell(*self._first)
            raise DataError(
                f"{cell.where} has {_count(len(more))} that {first.where} lacks, the first is {more[0]}",
                "One of the two is not as published: unpack their archives again, "
                f"or leave one out: `--corruptions …`. {first.hint}",
            )

    def _check_size(self, cell: CellFiles) -> None:
        if not isinstance(self._cut, AsIs):
            return
        first = next(iter(cell.read(self.ids[:1])))
        size = None if isinstance(first, OSError) else image_size(io.BytesIO(first))
        if size is not None and size != (self.size, self.size):
            raise DataError(
                f"{cell.where} has images of {size[1]} x {size[0]} pixels, others have {self.size} x {self.size}",
                "These are cells of two sets: put them into different folders. Published images are never resized.",
            )


def _classes_hint(corruption: str, others: Sequence[str]) -> str:
    leave_out = (
        f"or leave it out: `--corruptions {','.join(others)}`." if others else "Give only this dataset's folders."
    )
    if corruption == "frost":
        return (
            "Tiny-ImageNet-C as first published has ImageNet's 1000 classes in frost (hendrycks/robustness#60): use "
            f"the frost of the corrected archive, https://zenodo.org/records/8206060, {leave_out}"
        )
    return f"Cells of two datasets are in one folder: unpack them into different ones, {leave_out}"


def _count(images: int) -> str:
    return f"{images:,} image{'s' * (images != 1)}"


def _sample(names: Sequence[str]) -> list[str]:
    """A hundred of the names, evenly spread."""
    return list(names[:: max(1, len(names) // 100)])
