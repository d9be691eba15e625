"""Images whose unit is a perturbation sequence: frames as published, or clean images from which frames are made.

Free of torch until frames are made.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.corruptions.sequences.recipes import (
    GEOMETRY,
    INCEPTION_PART,
    NOISES,
    SEQUENCE_ENGINE,
    SEQUENCE_RECIPES,
    SequenceRecipe,
)
from ppbench.data.cut import CentralPart, describe_cut
from ppbench.data.decode import resize_shorter
from ppbench.data.exif import EXIF_APPLIED
from ppbench.data.image_file import HEIF_ENDINGS, IMAGE_ENDINGS
from ppbench.data.source import Broken, Geometry, Loaded, Source, SourceKind
from ppbench.data.stamps import FileStamps
from ppbench.data.walk import ending
from ppbench.errors import DataError
from ppbench.vocabulary import CLEAN, P4, P10, Cell, in_order

Encoding = Literal["lossless", "h264"]
"""How frames were stored: videos change them, and with them the flips."""

SMALLEST_FRAME = 8
"""Smallest side of an image in pixels from which frames are made."""


_ENDINGS = IMAGE_ENDINGS | HEIF_ENDINGS | {".mp4", ".npy"}


def ids_without_endings(names: Sequence[str]) -> list[str]:
    """Ids of sequences from the names of files: an image, its video and its frames then have one id.

    Where two would be the same, such as those of ``a.jpg`` and ``a.png``, the ids are the names.
    """
    bare = [name[: -len(end)] if (end := ending(name)) in _ENDINGS else name for name in names]
    return bare if len(set(bare)) == len(bare) else list(names)


class ReadSequences(NamedTuple):
    """What was read for some sequences."""

    arrays: tuple[NDArray[np.uint8], ...]
    """One for each image that could be read: its frames ``(frames, H, W, C)``, or the clean image ``(H, W, C)``."""
    places: NDArray[np.int64]
    """Their places in the source."""
    broken: tuple[Broken, ...] = ()
    """The images that could not be read."""

    def part(self, rows: slice) -> ReadSequences:
        """Restrict it to some of what could be read."""
        return ReadSequences(self.arrays[rows], self.places[rows])


class SequenceSource(Source):
    """Perturbation sequences of images, in cells of a perturbation and a difficulty. Labels are not needed.

    A sequence is what is read and what is measured. `read` runs in worker processes, and returns what a `reading` is
    of; `frames` turns it into frames on the device, for each perturbation and difficulty that share the reading.

    Difficulty changes the frames of noise alone. That of others is the distance of the frames that are compared.
    """

    has_clean = False
    is_slow = True
    class_names: tuple[str, ...] = ()
    encoding: Encoding
    size: int
    """Side of the frames in pixels."""

    @abstractmethod
    def frames_of(self, perturbation: str) -> int:
        """Number of frames of each sequence, at most 256."""

    def reading(self, perturbation: str, difficulty: int) -> Cell:
        """What is read for a cell. Cells with the same reading share it: those whose frames are the same."""
        return perturbation, difficulty if perturbation in NOISES else 1

    @abstractmethod
    def read_one(self, place: int, reading: Cell) -> NDArray[np.uint8]:
        """Read one sequence ``(frames, H, W, C)``, or the clean image ``(H, W, C)``.

        Raises:
            DataError: If it cannot be read; the message names the file.
        """

    def read(self, reading: Cell, places: NDArray[np.int64]) -> ReadSequences:
        """Read the sequences at ``places``, or their images."""
        return _gathered(places, (_tried(self.read_one, int(place), reading) for place in places))

    def frames(
        self, read: ReadSequences, perturbation: str, difficulty: int, device: Any
    ) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """Yield the frames of what was read: places ``(n,)``, and frames ``(n, frames, H, W, C)`` uint8.

        Args:
            read: What was read for the cell.
            perturbation: Perturbation of the cell.
            difficulty: Its difficulty.
            device: The torch device on which frames are made.

        Returns:
            Arrays, as they were read; or tensors on the device, if they were made there.
        """
        for place, array in zip(read.places, read.arrays, strict=True):
            yield np.array([place]), array[None]

    def sequence_reader(self) -> Callable[[Cell, NDArray[np.int64]], ReadSequences]:
        """Prepare a worker process; return the function that reads: `read`."""
        return self.read

    def load(self, corruption: str, severity: int, places: NDArray[np.int64]) -> Loaded:
        raise NotImplementedError(f"{type(self).__name__} has sequences, which `read` reads")

    def check(self, corruptions: Sequence[str], severities: Sequence[int]) -> None:
        """Raise `DataError` for a perturbation that is not there."""
        if missing := [name for name in corruptions if name not in self.corruptions]:
            raise DataError(
                f"{self.dataset} has no sequences of {missing[0]} here", f"It has {', '.join(self.corruptions)}."
            )


class WholeImages(Protocol):
    """Clean images as they are, uncut, in files or in memory. Picklable."""

    ids: list[str]
    labels: NDArray[np.int64]
    channels: Literal[1, 3]
    is_slow: bool
    notes: tuple[str, ...]

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the set."""
        ...

    def mean_bytes(self) -> float:
        """Bytes read from disk for an image."""
        ...

    def stamps(self, rows: NDArray[np.int64]) -> FileStamps:
        """Numbers ``(n,)``, one per image, that change when the image changes."""
        ...

    def read(self, rows: NDArray[np.int64]) -> Iterator[Image.Image | DataError]:
        """Yield the images at ``rows``, grey or RGB as ``channels`` says, or why one cannot be read."""
        ...


class MadeSequences(SequenceSource):
    """Sequences that are made from clean images when they are needed, without loss.

    A sequence depends only on its image and on (seed, perturbation, difficulty of noise, id).

    Args:
        dataset: Name, for the run file.
        images: The clean images.
        recipe: Name of the constants.
        seed: Seed of all random draws.
        side: Side in pixels of images that the recipe leaves as they are.
        exif: Whether the images have EXIF orientation and colour profiles applied.
    """

    kind: SourceKind = "generated"
    encoding: Encoding = "lossless"
    engine = SEQUENCE_ENGINE
    image_major = True

    def __init__(
        self, dataset: str, images: WholeImages, recipe: str, seed: int, *, side: int = 0, exif: bool = False
    ) -> None:
        how = SEQUENCE_RECIPES[recipe]
        self.dataset, self.recipe, self.seed = dataset, recipe, seed
        self.size = how.side or side
        self.corruptions = in_order((*P10, *P4))
        self.channels, self.is_slow, self.notes = images.channels, images.is_slow, images.notes
        self.cut = EXIF_APPLIED * exif + _described(how, self.size)
        self._how, self._images, self._fingerprint = how, images, images.fingerprint()
        self._stamps: FileStamps | None = None
        self._set(ids_without_endings(images.ids), np.zeros(len(images.ids), np.int64), ())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stamps": None}

    def fingerprint(self) -> str:
        """The fingerprint of the whole clean set."""
        return self._fingerprint

    def mean_bytes(self) -> float:
        return self._images.mean_bytes()

    def stamps(self, cell: Cell) -> FileStamps:
        """Numbers ``(N,)``, one per image, that change when its file changes; the same for all cells."""
        if self._stamps is None:
            self._stamps = self._images.stamps(self.rows)
        return self._stamps

    def limit(self, places: NDArray[np.int64]) -> None:
        super().limit(places)
        self._stamps = None

    def frames_of(self, perturbation: str) -> int:
        return self._how.count(perturbation)

    def reading(self, perturbation: str, difficulty: int) -> Cell:
        """The clean image, resized; for motion_blur of Tiny-ImageNet-P as it is."""
        return (perturbation, 0) if self._keeps_whole(perturbation) else (CLEAN, 0)

    def read_one(self, place: int, reading: Cell) -> NDArray[np.uint8]:
        found = self.read(reading, np.array([place]))
        if found.broken:
            raise DataError(found.broken[0].reason, found.broken[0].hint)
        return found.arrays[0]

    def read(self, reading: Cell, places: NDArray[np.int64]) -> ReadSequences:
        is_whole = reading[0] != CLEAN
        images = self._images.read(self.rows[places])
        named = zip(images, self._names(places), strict=True)
        return _gathered(places, (_tried(self._resized, image, name, is_whole) for image, name in named))

    def _names(self, places: NDArray[np.int64]) -> list[str]:
        """The images' names with their endings, by which their draws are keyed, as those of other corruptions are."""
        return [self._images.ids[row] for row in self.rows[places]]

    def _resized(self, image: Image.Image | DataError, name: str, is_whole: bool) -> NDArray[np.uint8]:
        """An image ``(H, W, C)`` as the recipe takes it."""
        if isinstance(image, DataError):
            raise image
        shorter = self._how.shorter
        if min(image.size) < SMALLEST_FRAME:
            raise DataError(
                f"{name} has {image.width} x {image.height} pixels", f"It needs {SMALLEST_FRAME} a side: remove it."
            )
        if shorter is not None and (not is_whole or min(image.size) < shorter):
            image = resize_shorter(image, shorter)
        pixels = np.asarray(image)
        return pixels[..., None] if pixels.ndim == 2 else pixels

    def _keeps_whole(self, perturbation: str) -> bool:
        return self._how.blurs_whole and perturbation == "motion_blur"

    def frames(
        self, read: ReadSequences, perturbation: str, difficulty: int, device: Any
    ) -> Iterator[tuple[NDArray[np.int64], Any]]:
        from ppbench.corruptions.sequences.apply import perturb_batch

        arrays = read.arrays
        # What acts on the crop is cut before: images of any aspect then make one batch.
        if self._how.shorter is not None and perturbation not in GEOMETRY and not self._keeps_whole(perturbation):
            arrays = tuple(map(self._cut, arrays))
        for rows in _by_shape(arrays):
            names = self._names(read.places[rows])
            images = np.stack([arrays[row] for row in rows])
            yield (
                read.places[rows],
                perturb_batch(images, perturbation, difficulty, self._how, self.seed, names, device),
            )

    def _cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        top, left = (round((side - self.size) / 2) for side in image.shape[:2])
        return image[top : top + self.size, left : left + self.size]


def _described(recipe: SequenceRecipe, size: int) -> str:
    """Describe how a clean image becomes a frame."""
    if recipe.shorter is not None:
        return describe_cut(Geometry(size, recipe.shorter))
    return describe_cut(CentralPart(size, INCEPTION_PART)) if recipe.resizes else f"{size} px as is"


def _tried(function: Callable[..., NDArray[np.uint8]], *arguments: Any) -> NDArray[np.uint8] | DataError:
    try:
        return function(*arguments)
    except DataError as error:
        return error


def _gathered(places: NDArray[np.int64], found: Iterable[NDArray[np.uint8] | DataError]) -> ReadSequences:
    """Part what could be read from what could not."""
    arrays, there, broken = [], [], []
    for place, one in zip(places.tolist(), found, strict=True):
        if isinstance(one, DataError):
            broken.append(Broken(place, one.message, one.hint))
        else:
            arrays.append(one)
            there.append(place)
    return ReadSequences(tuple(arrays), np.array(there, np.int64), tuple(broken))


def _by_shape(arrays: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.int64]]:
    """Yield the places of arrays of one shape, ascending, for each shape."""
    found: dict[tuple[int, ...], list[int]] = {}
    for row, array in enumerate(arrays):
        found.setdefault(array.shape, []).append(row)
    for rows in found.values():
        yield np.array(rows, np.int64)
