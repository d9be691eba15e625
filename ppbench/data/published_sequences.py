"""Published perturbation sequences: ImageNet-P's and Tiny-ImageNet-P's videos, and the arrays of CIFAR-10-P."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ppbench.data.arrays import ids_of_test_set
from ppbench.data.manifest import CopyRecord, label_copies
from ppbench.data.npy import ArrayFile
from ppbench.data.sequence_files import SequenceForm
from ppbench.data.sequence_places import place_of_sequences
from ppbench.data.sequences import Encoding, SequenceSource, ids_without_endings
from ppbench.data.source import SourceKind
from ppbench.data.stamps import FileStamps, stamp_of
from ppbench.data.tar import TarCell
from ppbench.data.uncut import numbered
from ppbench.data.video import MOST_FRAMES, MOST_PIXELS, check_can_decode
from ppbench.data.walk import is_utf8
from ppbench.errors import DataError
from ppbench.lookup import counted
from ppbench.vocabulary import Cell, in_order

_TRIES = 20
"""Sequences that are opened to find their size and number of frames; if none can be read, that is an error."""

_COMPARED = 3
"""Sequences that are read for it: most of them are right."""

_HINT = "Unpack its archive again."


class PublishedSequences(SequenceSource):
    """What published videos and arrays have in common."""

    kind: SourceKind = "published"
    engine = "published"
    image_major = False
    is_stored = True
    channels: Literal[1, 3] = 3
    root: Path
    strata: NDArray[np.int64]
    """``(N,)`` numbers of the images' classes or folders, for subsets."""
    records: Mapping[str, CopyRecord] = MappingProxyType({})
    """How those were made that ``ppbench corrupt`` wrote, by perturbation."""

    @abstractmethod
    def shape(self, reading: Cell) -> tuple[int, int, int]:
        """Number, height and width of the frames of a reading."""

    @abstractmethod
    def readings(self) -> list[Cell]:
        """All that can be read."""

    def frames_of(self, perturbation: str) -> int:
        return self.shape((perturbation, 1) if (perturbation, 1) in self.readings() else self._of(perturbation)[0])[0]

    def _of(self, perturbation: str) -> list[Cell]:
        return [reading for reading in self.readings() if reading[0] == perturbation]

    def _begin(self, root: Path, dataset: str, recipe: str) -> None:
        self.root, self.dataset, self.recipe = root, dataset, recipe
        self.corruptions = in_order(name for name, _ in self.readings())

    def choose(self, corruptions: Sequence[str]) -> None:
        """Label what ``ppbench corrupt`` made; raises `DataError` if not all of it was made in one way."""
        label_copies(self, self.records, corruptions, self.root)

    def check(self, corruptions: Sequence[str], severities: Sequence[int]) -> None:
        """Raise `DataError` for sequences that are missing, or are not of the images of the others."""
        for name in corruptions:
            for reading in dict.fromkeys(self.reading(name, difficulty) for difficulty in severities):
                if reading not in self.readings():
                    folder = name if reading[1] == 1 else f"{name}_{reading[1]}"
                    raise DataError(
                        f"no {folder} in {self.root}",
                        f"There are {', '.join(self.corruptions)}: choose with `--corruptions` and `--severities`, or "
                        "unpack the missing archive.",
                    )
                self._check(reading)
            counts = {self.shape(reading)[0] for reading in self._of(name)}
            if len(counts) > 1 or not 2 <= min(counts) <= MOST_FRAMES:
                raise DataError(
                    f"the sequences of {name} in {self.root} have {' and '.join(map(str, sorted(counts)))} frames",
                    f"They have one number of frames, 2 to {MOST_FRAMES}. {_HINT}",
                )

    @abstractmethod
    def _check(self, reading: Cell) -> None:
        """Raise `DataError` if the images of a reading are not those of the set."""


class PublishedFiles(PublishedSequences):
    """Sequences in a video, a folder of frames or an array for each image. Frames are used as they are, never resized.

    The list of images is read from the first folder; a sequence that cannot be read is a broken image.

    Args:
        root: Folder of the set, for messages.
        dataset: Its name, for the run file.
        recipe: How it was made.
        form: How sequences are stored.
        folders: Their folders, or what archives have, by what is read; at least one.

    Raises:
        DataError: If there are no sequences that can be read.
        UsageError: If the extra `video` is not installed.
    """

    is_slow = True

    def __init__(
        self, root: Path, dataset: str, recipe: str, form: SequenceForm, folders: Mapping[Cell, Path | TarCell]
    ) -> None:
        if form.encoding == "h264":
            check_can_decode()
        self._form, self.encoding = form, form.encoding
        self._places = {reading: place_of_sequences(form, there) for reading, there in folders.items()}
        self._shapes: dict[Cell, tuple[int, int, int]] = {}
        self._begin(root, dataset, recipe)
        first = (self.corruptions[0], min(level for name, level in folders if name == self.corruptions[0]))
        self._all = self._places[first].names()
        odd = next((name for name in self._all if not is_utf8(name)), None)
        if odd is not None:  # ids go into run files, which are UTF-8
            raise DataError(f"{self._places[first].where} has a name that is not UTF-8: {odd!r}", "Rename it.")
        ids = self._all if form.ending == "/" else ids_without_endings(self._all)
        self._set(ids, np.zeros(len(self._all), np.int64), ())
        self.strata = numbered([name.rpartition("/")[0] for name in self._all])[0]
        self._fingerprint = hashlib.sha256("\n".join(ids).encode()).hexdigest()
        self._first = first
        self._mean_bytes = float(self._sizes(first).mean())
        self.size = min(self.shape(first)[1:])
        self.cut = f"{self.size} px as is"

    def fingerprint(self) -> str:
        """SHA-256 of the ids, whichever perturbations are there."""
        return self._fingerprint

    def content(self, cells: Sequence[Cell]) -> str:
        """SHA-256 of the sizes in bytes of a sample of each cell's sequences."""
        readings = dict.fromkeys(self.reading(*cell) for cell in cells)
        sizes = (f"{reading} {self._sizes(reading).tolist()}" for reading in readings)
        return hashlib.sha256("\n".join(sizes).encode()).hexdigest()

    def mean_bytes(self) -> float:
        return self._mean_bytes

    def stamps(self, cell: Cell) -> FileStamps:
        return self._places[self.reading(*cell)].stamps([self._all[row] for row in self.rows])

    def readings(self) -> list[Cell]:
        return list(self._places)

    def shape(self, reading: Cell) -> tuple[int, int, int]:
        """The most common one of the first few that can be read."""
        if reading not in self._shapes:
            found: Counter[tuple[int, int, int]] = Counter()
            reasons = []
            for name in self._all[:_TRIES]:
                try:
                    frames = self._places[reading].read(name)
                except DataError as error:
                    reasons.append(error)
                    continue
                found[(len(frames), *frames.shape[1:3])] += 1
                if found.total() == _COMPARED:
                    break
            if not found:
                raise DataError(
                    f"none of the first {len(reasons)} {self._form.plural} in {self._places[reading].where} can be "
                    f"read: {reasons[0].message}",
                    reasons[0].hint or _HINT,
                )
            self._shapes[reading] = found.most_common(1)[0][0]
        return self._shapes[reading]

    def read_one(self, place: int, reading: Cell) -> NDArray[np.uint8]:
        name, (count, height, width) = self._all[self.rows[place]], self.shape(reading)
        frames, path = self._places[reading].read(name), f"{self._places[reading].where}/{name}"
        if len(frames) != count:
            raise DataError(f"the {self._form.name} {path} has {len(frames)} frames, others have {count}", _HINT)
        # The blurred sequences of Tiny-ImageNet-P were never cropped: their longer sides differ.
        longer_differs = reading[0] == "motion_blur" and self.recipe == "tiny-imagenet-p"
        same = min(frames.shape[1:3]) == min(height, width) if longer_differs else frames.shape[1:3] == (height, width)
        if not same:
            raise DataError(
                f"the {self._form.name} {path} has {frames.shape[2]} x {frames.shape[1]} pixels, others have "
                f"{width} x {height}",
                "Published frames are never resized: replace or remove the file.",
            )
        return frames

    def _check(self, reading: Cell) -> None:
        folder, (_, height, width) = self._places[reading].where, self.shape(reading)
        names = self._places[reading].names()
        if names != self._all:
            lost = sorted({self._all[row] for row in self.rows} - set(names))
            if lost:
                raise DataError(
                    f"{folder} lacks {counted(len(lost), self._form.name, self._form.plural)}: {lost[0]} is missing",
                    _HINT,
                )
        if min(height, width) != self.size:
            raise DataError(
                f"{folder} has frames of {width} x {height} pixels, others have {self.size} x {self.size}",
                "They are of two sets: put them into different folders.",
            )

    def _sizes(self, reading: Cell) -> NDArray[np.int64]:
        """Sizes of about a hundred sequences, evenly spread."""
        return self._places[reading].sizes(self._all[:: max(1, len(self._all) // 100)])


class PublishedFrames(PublishedSequences):
    """Sequences in arrays, one for all images of a perturbation, read from disk row by row. They are without loss.

    Args:
        root: Folder of the set, for messages.
        dataset: Its name, for the run file.
        recipe: How it was made.
        arrays: The arrays by what is read, at least one.

    Raises:
        DataError: If the first array has another shape or type.
    """

    encoding: Encoding = "lossless"
    is_slow = False

    def __init__(self, root: Path, dataset: str, recipe: str, arrays: Mapping[Cell, ArrayFile]) -> None:
        self._arrays = dict(arrays)
        self._begin(root, dataset, recipe)
        first = self._of(self.corruptions[0])[0]
        shape = self._whole_shape(first)
        self._number, self.size, self.channels = shape[0], shape[2], 1 if shape[4] == 1 else 3
        self.cut = f"{self.size} px as is"
        self._set(ids_of_test_set(np.arange(self._number)), np.zeros(self._number, np.int64), ())
        self.strata = np.zeros(self._number, np.int64)
        self._fingerprint = hashlib.sha256(f"sequences {self._number} {self.size}".encode()).hexdigest()

    def fingerprint(self) -> str:
        """SHA-256 of the number of images and their size, whichever arrays are there."""
        return self._fingerprint

    def content(self, cells: Sequence[Cell]) -> str:
        """SHA-256 of the pixels of a few sequences of each cell."""
        rows = np.arange(0, self._number, max(1, self._number // 10))
        digest = hashlib.sha256()
        for reading in dict.fromkeys(self.reading(*cell) for cell in cells):
            digest.update(f"{reading}".encode())
            digest.update(self._arrays[reading].take(rows).tobytes())
        return digest.hexdigest()

    def mean_bytes(self) -> float:
        return float(np.prod(self._whole_shape(self.readings()[0])[1:]))

    def stamps(self, cell: Cell) -> FileStamps:
        return np.full(len(self.ids), stamp_of(self._arrays[self.reading(*cell)].path), np.uint64)

    def readings(self) -> list[Cell]:
        return list(self._arrays)

    def shape(self, reading: Cell) -> tuple[int, int, int]:
        _, count, height, width, _ = self._whole_shape(reading)
        return count, height, width

    def read_one(self, place: int, reading: Cell) -> NDArray[np.uint8]:
        frames: NDArray[np.uint8] = self._arrays[reading].take(self.rows[place : place + 1])[0]
        return frames

    def _whole_shape(self, reading: Cell) -> tuple[int, ...]:
        """``(images, frames, S, S, C)``, checked."""
        array = self._arrays[reading]
        shape, dtype, _ = array.header()
        if (
            dtype != np.uint8
            or len(shape) != 5
            or shape[2] != shape[3]
            or shape[4] not in (1, 3)
            or 0 in shape
            or shape[2] ** 2 > MOST_PIXELS
        ):
            raise DataError(
                f"{array.where} has the shape {shape} of {dtype}", "Expected (N, frames, S, S, 3) of uint8."
            )
        return shape

    def _check(self, reading: Cell) -> None:
        number, _, side, _, channels = self._whole_shape(reading)
        if (number, side, channels) != (self._number, self.size, self.channels):
            raise DataError(
                f"{self._arrays[reading].where} has {number:,} images of {side} px, others {self._number:,} of "
                f"{self.size} px",
                "These are arrays of two sets: put them into different folders.",
            )
