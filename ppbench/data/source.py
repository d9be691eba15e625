"""Where images come from: what all sources offer, and how a subset of them is chosen. Free of torch."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import UsageError
from ppbench.vocabulary import Cell, CropMode

SourceKind = Literal["published", "generated-jpeg85", "generated"]


class WantsImages(Protocol):
    """What a card says of the images that enter a network."""

    @property
    def input_size(self) -> int: ...
    @property
    def resize(self) -> int | None: ...
    @property
    def interpolation(self) -> Literal["bilinear", "bicubic"]: ...
    @property
    def crop_mode(self) -> CropMode: ...
    @property
    def mean(self) -> tuple[float, ...]: ...


@dataclass(frozen=True)
class Geometry:
    """How a model wants its images cut: resized (None: not), then a square from the middle, padded where it is larger.

    All in pixels.
    """

    size: int
    resize: int | None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    crop_mode: CropMode = "center"
    fill: tuple[int, int, int] = (0, 0, 0)
    """Colour of what is padded, RGB, 0 to 255."""

    @classmethod
    def of(cls, card: WantsImages) -> Geometry:
        """How a card's network wants them. A border has the mean colour, as timm's has."""
        cut = cls(card.input_size, card.resize, card.interpolation)
        if card.crop_mode == "center":
            return cut
        red, green, blue = (round(255 * value) for value in (card.mean * 3 if len(card.mean) == 1 else card.mean))
        return replace(
            cut, crop_mode=card.crop_mode, fill=(red, green, blue) if card.crop_mode == "border" else cut.fill
        )


class Broken(NamedTuple):
    """An image that could not be read."""

    place: int
    """In the source."""
    reason: str
    """One line that names the file."""
    hint: str


class Loaded(NamedTuple):
    """Images of one cell; a broken one is black."""

    pixels: NDArray[np.uint8]
    """``(n, H, W, C)``, C = 1 (grey) or 3 (RGB)."""
    broken: tuple[Broken, ...] = ()

    def at(self, places: NDArray[np.int64]) -> Loaded:
        """The same images; broken ones get their ``places`` in a source instead of those in ``pixels``."""
        return Loaded(self.pixels, tuple(one._replace(place=int(places[one.place])) for one in self.broken))


class Source(ABC):
    """Labelled images, clean and corrupted. Sources are pickled to worker processes, so they hold no open files."""

    dataset: str
    kind: SourceKind
    recipe: str
    engine: str
    corruptions: tuple[str, ...]
    """All that it can give, in canonical order."""
    has_clean: bool
    """Whether the uncorrupted images are at hand."""
    image_major: bool
    """Whether the cells of an image are made from one decoded image, so that its cells should be done together."""
    channels: Literal[1, 3]
    size: int
    """Side of the square images it gives, in pixels."""
    is_slow: bool
    """Whether loading an image takes longer than handing it over from another process."""
    cut: str
    """How images are cut from what is on disk, for people: ``resize 256, crop 224``, or ``224 px as is``."""
    ids: list[str]
    """One per image, the same in every cell."""
    labels: NDArray[np.int64]
    """``(N,)`` places in ``class_names``."""
    class_names: tuple[str, ...]
    """Of the classes in use, in the order of their labels."""
    rows: NDArray[np.int64]
    """``(N,)`` places of the images in the whole dataset."""
    total: int
    """Images of these classes in the dataset; more than ``len(ids)`` if a subset was taken."""
    notes: tuple[str, ...] = ()
    """What people should know before the start, such as what was left out; a line each."""

    def _set(self, ids: Sequence[str], labels: NDArray[np.int64], class_names: Sequence[str]) -> None:
        """Take the whole dataset as what is used."""
        self.ids, self.labels, self.class_names = list(ids), np.asarray(labels, np.int64), tuple(class_names)
        self.rows, self.total = np.arange(len(self.ids)), len(self.ids)

    def limit(self, places: NDArray[np.int64]) -> None:
        """Keep only the images at ``places``."""
        self.ids = [self.ids[place] for place in places]
        self.labels, self.rows = self.labels[places], self.rows[places]

    def keep_classes(self, names: Collection[str]) -> None:
        """Keep only the images of these classes, and number the classes in the order of their names.

        Raises:
            UsageError: If a class is not in the dataset.
        """
        number = renumbered(self.class_names, names, self.dataset)
        self.limit(np.flatnonzero(number[self.labels] >= 0))
        self.labels = number[self.labels]
        self.class_names = tuple(name for name in self.class_names if name in set(names))
        self.total = len(self.ids)

    @property
    def num_classes(self) -> int:
        """Classes in use."""
        return len(self.class_names)

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 (hex) that no other dataset has; it is the same for every subset of this one."""

    def content(self, cells: Sequence[Cell]) -> str:
        """SHA-256 (hex) of a sample of what is in these cells, of a set that was published; empty for others.

        The `fingerprint` says which images there are, whatever cells are at hand; this, that their content is the same.
        """
        return ""

    @abstractmethod
    def stamps(self, cell: Cell) -> NDArray[np.uint64]:
        """``(N,)``, one per image in use: a number that changes when the file it comes from in this cell is changed.

        It is made of size and modification time of the image's file, or of the archive or array it is in (see
        `ppbench.data.stamps`). What was computed from an image may be used again, on the same machine, as long as the
        number is the same.
        """

    @abstractmethod
    def mean_bytes(self) -> float:
        """About how many bytes are read from the disk for one image, for an estimate; 0 for what is in memory."""

    @abstractmethod
    def check(self, corruptions: Sequence[str], severities: Sequence[int]) -> None:
        """Raise `DataError`, before any inference, if a cell cannot be had."""

    @abstractmethod
    def load(self, corruption: str, severity: int, places: NDArray[np.int64]) -> Loaded:
        """The images at ``places`` in one cell. Files that cannot be read are in `Loaded.broken`."""

    def reader(self) -> Callable[[tuple[str, int, NDArray[np.int64]]], Loaded]:
        """Get ready in a worker process; returns what loads the images of a (corruption, severity, places)."""
        return lambda wanted: self.load(*wanted)

    def corrupt(self, images: Any, corruption: str, severity: int, places: NDArray[np.int64]) -> Any:
        """Make a cell from clean images that were loaded before: what ``image_major`` sources can.

        Args:
            images: Of ``places``, ``(n, H, W, C)`` uint8: numpy, or a torch tensor on any device.
            corruption: Not "clean".
            severity: 1 to 5.
            places: ``(n,)`` in the source.

        Returns:
            The same kind as ``images``.
        """
        raise NotImplementedError(f"{type(self).__name__} reads its cells one by one")


def ids_hash(ids: Sequence[str]) -> str:
    """SHA-256 (hex) of the ids in order."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def stratified_subset(ids: Sequence[str], labels: NDArray[np.int64], limit: int, seed: int) -> NDArray[np.int64]:
    """Choose ``limit`` images with equal shares of all classes; smaller subsets lie inside larger ones.

    They are the first of the `stratified_order`.

    Args:
        ids: One per image, unique.
        labels: ``(N,)`` class numbers.
        limit: How many, at least 1; more than N means all.
        seed: Another seed, another subset.

    Returns:
        ``(limit,)`` indices, ascending.
    """
    return np.sort(stratified_order(ids, labels, seed)[:limit])


def renumbered(class_names: Sequence[str], kept: Collection[str], dataset: str) -> NDArray[np.int64]:
    """The numbers of classes when only some are kept: ``(classes,)``, -1 for those that are not.

    Raises:
        UsageError: If one of ``kept`` is not in the dataset.
    """
    unknown = sorted(set(kept) - set(class_names))
    if unknown:
        raise UsageError(
            f"class {unknown[0]!r} is not in {dataset}"
            + (f" (nor are {len(unknown) - 1} others)" if len(unknown) > 1 else ""),
            f"Its {len(class_names)} classes are {', '.join(class_names[:3])}, …; one name a line.",
        )
    places = [place for place, name in enumerate(class_names) if name in set(kept)]
    number = np.full(len(class_names), -1, np.int64)
    number[places] = np.arange(len(places))
    return number


def stratified_order(ids: Sequence[str], labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """A random order of all images in which every beginning has equal shares of all classes.

    Every class is put into an order that depends on the seed and the ids alone; images are taken from the classes in
    turns, in proportion to their size.

    Args:
        ids: One per image, unique.
        labels: ``(N,)`` class numbers.
        seed: Another seed, another order.

    Returns:
        ``(N,)`` indices.
    """
    draw = np.array([hashlib.sha256(f"subset/{seed}/{name}".encode()).digest()[:8] for name in ids], "S8")
    order = np.lexsort((draw, labels))
    counts = np.bincount(labels)
    rank = np.concatenate([np.arange(count) for count in counts])
    share = (rank + 0.5) / counts[labels[order]]
    # Ties between classes of equal size are broken by the draw, so that no class is favoured.
    return order[np.lexsort((draw[order], share))].astype(np.int64)
