"""CIFAR-10-C and CIFAR-100-C: one array per corruption, with the severities in order, and one array of labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.data.arrays import ids_of_test_set
from ppbench.data.npy import ArrayFile
from ppbench.data.source import Loaded, Source, SourceKind
from ppbench.data.stamps import FileStamps, stamp_of
from ppbench.errors import DataError
from ppbench.vocabulary import C_BAR_CIFAR, SEVERITIES, Cell, in_order

_HINT = "Download the set again: `ppbench list datasets` says where it is."


class PublishedArrays(Source):
    """A corrupted set of arrays as it was published, read from disk row by row.

    Args:
        root: Its folder, for messages.
        dataset: Its name, for the run file.
        arrays: One ``(5 N, S, S, 3)`` uint8 per corruption, at least one.
        labels: ``(5 N,)``, N labels five times over, or ``(N,)``.
        recipe: How it was made.
        num_classes: Number of classes; None: one more than the highest label.

    Raises:
        DataError: If the labels or the first array have another shape or type.
    """

    kind: SourceKind = "published"
    engine = "published"
    has_clean = False
    image_major = False
    is_slow = False
    is_stored = True
    channels = 3
    c_bar = C_BAR_CIFAR

    def __init__(
        self, root: Path, dataset: str, arrays: Mapping[str, ArrayFile], labels: ArrayFile, recipe: str,
        num_classes: int | None = None,
    ) -> None:  # fmt: skip
        self.root, self.dataset, self.recipe, self._arrays = root, dataset, recipe, dict(arrays)
        self.corruptions = in_order(arrays)
        first = self._arrays[self.corruptions[0]]
        self._shape = _shape_of_images(first)
        self.size = self._shape[1]
        self.cut = f"{self.size} px as is"
        numbers = _read_labels(labels, self._shape[0])
        classes = num_classes or int(numbers.max()) + 1
        self._set(ids_of_test_set(np.arange(len(numbers))), numbers, [str(number) for number in range(classes)])
        self._fingerprint = hashlib.sha256(f"{self._shape}".encode() + numbers.tobytes()).hexdigest()

    def fingerprint(self) -> str:
        """SHA-256 of the shape and the labels, whichever arrays exist."""
        return self._fingerprint

    def content(self, cells: Sequence[Cell]) -> str:
        """SHA-256 of the pixels of a sample of each cell."""
        count = self._shape[0] // len(SEVERITIES)
        # About a hundred images of each cell: all would be gigabytes.
        rows = np.arange(0, count, max(1, count // 100))
        digest = hashlib.sha256()
        for name, severity in cells:
            digest.update(f"{name} {severity}".encode())
            digest.update(self._arrays[name].take(self._rows(severity, rows)).tobytes())
        return digest.hexdigest()

    def mean_bytes(self) -> float:
        return float(self.size * self.size * self.channels)

    def stamps(self, cell: Cell) -> FileStamps:
        return np.full(len(self.ids), stamp_of(self._arrays[cell[0]].path), np.uint64)

    def check(self, corruptions: Sequence[str], severities: Sequence[int]) -> None:
        """Raise `DataError` for arrays that are missing, end early, or have another shape than the first."""
        for name in corruptions:
            if name not in self._arrays:
                raise DataError(
                    f"the cell {name}/{severities[0]} is missing: no {name}.npy in {self.root}",
                    f"There are {', '.join(self.corruptions)}: choose with `--corruptions`, or unpack it again.",
                )
            shape = _shape_of_images(self._arrays[name])
            if shape != self._shape:
                raise DataError(
                    f"{self._arrays[name].where} has the shape {shape}, the others {self._shape}",
                    "These are arrays of two sets: put them into different folders.",
                )

    def load(self, corruption: str, severity: int, places: NDArray[np.int64]) -> Loaded:
        return Loaded(self._arrays[corruption].take(self._rows(severity, self.rows[places])))

    def _rows(self, severity: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return (severity - 1) * (self._shape[0] // len(SEVERITIES)) + rows


def _shape_of_images(array: ArrayFile) -> tuple[int, ...]:
    """The shape ``(5 N, S, S, 3)`` of an array of images."""
    shape, dtype, _ = array.header()
    fits = len(shape) == 4 and shape[1] == shape[2] and shape[3] == 3 and shape[0] and shape[0] % len(SEVERITIES) == 0
    if not fits or dtype != np.uint8:
        raise DataError(f"{array.where} has the shape {shape} of {dtype}, not (5 x N, S, S, 3) of uint8", _HINT)
    return shape


def _read_labels(file: ArrayFile, rows: int) -> NDArray[np.int64]:
    """Read the labels ``(N,)`` of ``rows`` = 5 N images."""
    labels, count = file.take(), rows // len(SEVERITIES)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) not in (count, rows):
        raise DataError(
            f"{file.where} has the shape {labels.shape} of {labels.dtype}: not {count} or {rows} integers", _HINT
        )
    if (labels.reshape(-1, count) != labels[:count]).any():
        raise DataError(
            f"the labels in {file.where} do not repeat for each severity: the images are not in the published order",
            _HINT,
        )
    if labels.min() < 0:
        raise DataError(f"{file.where} has the label {labels.min()}", "Labels are numbered from 0.")
    return labels[:count].astype(np.int64)
