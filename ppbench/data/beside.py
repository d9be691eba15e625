"""A published corrupted set combined with clean images from another place. CIFAR-10-C has none of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.data.generated import CleanImages, load_clean
from ppbench.data.source import Loaded, Source
from ppbench.data.stamps import FileStamps
from ppbench.errors import DataError
from ppbench.vocabulary import CLEAN, Cell


class WithClean(Source):
    """A corrupted set whose clean cell comes from elsewhere. Images are matched by their ids.

    Args:
        corrupted: The whole published set, which has no clean images.
        clean: Clean images of the set's size; at least one for each of its images.
        where: Place of the clean images, for messages.

    Raises:
        DataError: If an image has no clean counterpart, or one of another class or size.
    """

    has_clean = True
    image_major = False

    def __init__(self, corrupted: Source, clean: CleanImages, where: Path) -> None:
        self._corrupted, self._clean = corrupted, clean
        self.dataset, self.is_stored = corrupted.dataset, corrupted.is_stored
        self.corruptions, self.channels = corrupted.corruptions, corrupted.channels
        self._take_origin()
        self.size, self.cut, self.is_slow = corrupted.size, corrupted.cut, corrupted.is_slow or clean.is_slow
        self.notes = (*corrupted.notes, *clean.notes)
        self._rows = _rows_of(corrupted, clean, where)
        self._take()

    def _take(self) -> None:
        """Use the images that the corrupted set uses."""
        from_set = self._corrupted
        self.ids, self.labels, self.class_names = from_set.ids, from_set.labels, from_set.class_names
        self.rows, self.total = from_set.rows, from_set.total

    def _take_origin(self) -> None:
        """Describe the corrupted images as their set does."""
        from_set = self._corrupted
        self.kind, self.recipe, self.engine = from_set.kind, from_set.recipe, from_set.engine
        self.made_seed, self.own = from_set.made_seed, dict(from_set.own)

    def choose(self, corruptions: Sequence[str]) -> None:
        """Label what ``ppbench corrupt`` made, as its set does."""
        self._corrupted.choose(corruptions)
        self._take_origin()

    def limit(self, places: NDArray[np.int64]) -> None:
        self._corrupted.limit(places)
        self._take()

    def forget_labels(self) -> None:
        self._corrupted.forget_labels()
        self._take()

    def keep_classes(self, names: Collection[str]) -> None:
        self._corrupted.keep_classes(names)
        self._take()

    def fingerprint(self) -> str:
        """The corrupted set's fingerprint. Clean images do not change it."""
        return self._corrupted.fingerprint()

    def content(self, cells: Sequence[Cell]) -> str:
        """SHA-256 of a sample of each corrupted cell and, if the clean cell is among them, of all clean images."""
        others = [cell for cell in cells if cell[0] != CLEAN]
        content = self._corrupted.content(others)
        if len(others) == len(cells):
            return content
        return hashlib.sha256(f"{content} {self._clean.fingerprint()}".encode()).hexdigest()

    def stamps(self, cell: Cell) -> FileStamps:
        return self._clean.stamps(self._rows[self.rows]) if cell[0] == CLEAN else self._corrupted.stamps(cell)

    def mean_bytes(self) -> float:
        return self._corrupted.mean_bytes()

    def check(self, corruptions: Sequence[str], severities: Sequence[int]) -> None:
        self._corrupted.check(corruptions, severities)

    def load(self, corruption: str, severity: int, places: NDArray[np.int64]) -> Loaded:
        if corruption != CLEAN:
            return self._corrupted.load(corruption, severity, places)
        return load_clean(self._clean, self._rows[self.rows[places]], places)


def _rows_of(corrupted: Source, clean: CleanImages, where: Path) -> NDArray[np.int64]:
    """Rows ``(N,)`` of the clean images, in the order of the set."""
    if (clean.size, clean.channels) != (corrupted.size, corrupted.channels):
        raise DataError(
            f"the clean images in {where} have {clean.size} px, those of {corrupted.dataset} {corrupted.size} px",
            "Give the images that the set was made of.",
        )
    row_of = {name: row for row, name in enumerate(clean.ids)}
    missing = [name for name in corrupted.ids if name not in row_of]
    if missing:
        raise DataError(
            f"{where} lacks the clean images of {len(missing):,} of {len(corrupted.ids):,} images: {missing[0]} first",
            f"Its first is {clean.ids[0]}. Give the images that the set was made of.",
        )
    rows = np.array([row_of[name] for name in corrupted.ids], np.int64)
    # Names and not numbers, because the two may number their classes differently.
    named = np.array(corrupted.class_names)[corrupted.labels] == np.array(clean.class_names)[clean.labels[rows]]
    if not named.all():
        first = int(np.flatnonzero(~named)[0])
        raise DataError(
            f"{int((~named).sum()):,} clean images in {where} have other labels than those of {corrupted.dataset}: "
            f"{corrupted.ids[first]} first",
            "They are images of another set, or in another order.",
        )
    return rows
