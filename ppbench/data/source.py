"""The interface of image sources, and the choice of a subset. Free of torch."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import DataError, UsageError
from ppbench.run import StreamRecord
from ppbench.run.fields import LONGEST_TEXT
from ppbench.vocabulary import C_BAR, Cell, CropMode

SourceKind = Literal["published", "generated-jpeg85", "generated"]


class WantsImages(Protocol):
    """The input of a network, as its card describes it."""

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
    """How a model's images are cut: resized (None: not), padded if they are smaller, cropped to a central square.

    All lengths are in pixels.
    """

    size: int
    resize: int | None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    crop_mode: CropMode = "center"
    fill: tuple[int, int, int] = (0, 0, 0)
    """Colour of the padding, RGB, 0 to 255."""

    @classmethod
    def of(cls, card: WantsImages) -> Geometry:
        """The geometry of a card's network. A border has the mean colour, as in timm."""
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
    """Index in the source."""
    reason: str
    """One line that names the file."""
    hint: str


class Encoded(NamedTuple):
    """Images of a block as files, for a decoder on a GPU."""

    n: int
    """Images."""
    jpegs: tuple[tuple[int, str, bytes], ...]
    """JPEG files of three colours: index, name for messages, content."""
    decoded: tuple[tuple[int, NDArray[np.uint8]], ...]
    """All other images: index, and pixels ``(H, W, 3)``, cut."""
    broken: tuple[Broken, ...] = ()
    """Files that cannot be read, by index."""
    places: NDArray[np.int64] | None = None
    """``(n,)``: their places in a source."""

    def at(self, places: NDArray[np.int64]) -> Encoded:
        """The same images as part of a source."""
        return self._replace(places=places)


class Loaded(NamedTuple):
    """Images of one cell; a broken one is black."""

    pixels: NDArray[np.uint8]
    """``(n, H, W, C)``, C = 1 (grey) or 3 (RGB)."""
    broken: tuple[Broken, ...] = ()


class Source(ABC):
    """Labelled images, clean and corrupted. Sources are pickled to worker processes, so they hold no open files."""

    dataset: str
    kind: SourceKind
    recipe: str
    engine: str
    made_seed: int | None = None
    """Seed of corrupted images that ``ppbench corrupt`` wrote; None: the evaluation's, if they are made at all."""
    recipe_of_size: Mapping[int, str] = MappingProxyType({})
    """Recipes that make these images, by the side that they then have, in pixels; empty if there is no choice."""
    is_stored: bool = False
    """Whether corrupted images are read from files, as published or as ``ppbench corrupt`` wrote them."""
    corruptions: tuple[str, ...]
    """All available corruptions, in canonical order."""
    has_clean: bool
    """Whether the uncorrupted images are available."""
    image_major: bool
    """Whether all cells of an image are made from one decoded image, and should therefore be made together."""
    channels: Literal[1, 3]
    size: int
    """Side of the square images, in pixels."""
    is_slow: bool
    """Whether loading an image takes longer than receiving it from another process."""
    cut: str
    """Description of how images on disk are cut: ``resize 256, crop 224``, or ``224 px as is``."""
    ids: list[str]
    """One per image, the same in every cell."""
    labels: NDArray[np.int64]
    """``(N,)`` indices into ``class_names``; 0 for images without labels."""
    class_names: tuple[str, ...]
    """Names of the classes in use, in the order of their labels; empty if the images have no labels."""
    are_numbered: bool = False
    """Whether the names of the classes are places among a model's outputs."""
    rows: NDArray[np.int64]
    """``(N,)`` indices of the images in the whole dataset."""
    total: int
    """Images of these classes in the dataset; more than ``len(ids)`` if a subset was taken."""
    c_bar: tuple[str, ...] = C_BAR
    """What "cbar" means for these images."""
    own: Mapping[str, str] = MappingProxyType({})
    """SHA-256 of the source of each corruption of the user's own, by name."""
    notes: tuple[str, ...] = ()
    """Notes for the user before the start, such as skipped files; one line each."""

    stream: StreamRecord | None = None
    """The stream whose frames these images are; None: they are no frames of a stream."""

    def _set(self, ids: Sequence[str], labels: NDArray[np.int64], class_names: Sequence[str]) -> None:
        """Use the whole dataset.

        Raises:
            DataError: If the name of a class is longer than a run file has it.
        """
        longest = max(class_names, key=len, default="")
        if len(longest) > LONGEST_TEXT:
            raise DataError(
                f"the class {longest[:40]!r}… has a name of {len(longest):,} characters, more than {LONGEST_TEXT:,}",
                "Give it a shorter name.",
            )
        self.ids, self.labels, self.class_names = list(ids), np.asarray(labels, np.int64), tuple(class_names)
        self.rows, self.total = np.arange(len(self.ids)), len(self.ids)

    def limit(self, places: NDArray[np.int64]) -> None:
        """Keep only the images at ``places``."""
        self.ids = [self.ids[place] for place in places]
        self.labels, self.rows = self.labels[places], self.rows[places]

    def forget_labels(self) -> None:
        """Use the images without labels: all labels become 0, and there are no classes."""
        self.labels, self.class_names, self.are_numbered = np.zeros(len(self.ids), np.int64), (), False

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
        """SHA-256 (hex) that identifies the dataset; every subset of it has the same."""

    def content(self, cells: Sequence[Cell]) -> str:
        """SHA-256 (hex) of a sample of these cells' content in a published set; empty for other sources.

        The `fingerprint` identifies the images, whichever cells exist; this identifies their content.
        """
        return ""

    @abstractmethod
    def stamps(self, cell: Cell) -> NDArray[np.uint64]:
        """Numbers ``(N,)``, one per image in use, that change when its file in this cell changes.

        They are made of the size and the modification time of the image's file, or of its archive or array (see
        `ppbench.data.stamps`). As long as the number is the same, results for an image may be used again on the same
        machine.
        """

    @abstractmethod
    def mean_bytes(self) -> float:
        """Approximate bytes read from disk per image, for estimates; 0 for images in memory."""

    def include(self, own: Sequence[Any]) -> None:
        """Add corruptions of the user's own (`ppbench.corruptions.own.OwnCorruption`).

        Raises:
            UsageError: If the corrupted images of this source are published.
        """
        if own:
            raise UsageError(
                f"{own[0].spec} is made from clean images, but these are corrupted already",
                "Give clean images with `--data DIR`, or leave it out.",
            )

    def choose(self, corruptions: Sequence[str]) -> None:  # noqa: B027
        """Say which corruptions are wanted. It decides the recipe of those that are made, or were made by ppbench.

        Raises:
            UsageError: If they cannot be made.
            DataError: If they are stored, and were not all made in one way.
        """

    @abstractmethod
    def check(self, corruptions: Sequence[str], severities: Sequence[int]) -> None:
        """Raise `DataError`, before any inference, if a cell is not available."""

    @abstractmethod
    def load(self, corruption: str, severity: int, places: NDArray[np.int64]) -> Loaded:
        """Load the images at ``places`` in one cell. Files that cannot be read are in `Loaded.broken`."""

    def reader(self) -> Callable[[str, int, NDArray[np.int64]], Loaded]:
        """Prepare a worker process; return the function that loads images: `load`."""
        return self.load

    encoded_cut: Any = None
    """The cut of clean images that can be had as files (`ppbench.data.cut.Cut`); None: they cannot."""

    def encoded(self, places: NDArray[np.int64]) -> Encoded:
        """Read the files of clean images. Only sources with an ``encoded_cut`` can."""
        raise NotImplementedError(f"{type(self).__name__} has no files to decode elsewhere")

    def encoded_reader(self) -> Callable[[str, int, NDArray[np.int64]], Encoded]:
        """As `reader`, for files of clean images."""
        return lambda corruption, severity, places: self.encoded(places)

    def corrupt(self, images: Any, corruption: str, severity: int, places: NDArray[np.int64]) -> Any:
        """Corrupt clean images that were loaded before. Only ``image_major`` sources can.

        Args:
            images: Images at ``places``, ``(n, H, W, C)`` uint8: numpy, or a torch tensor on any device.
            corruption: Not "clean".
            severity: 1 to 5.
            places: ``(n,)`` indices into the source.

        Returns:
            The same kind as ``images``.
        """
        raise NotImplementedError(f"{type(self).__name__} reads its cells one by one")


def ids_hash(ids: Sequence[str]) -> str:
    """SHA-256 (hex) of the ids in order."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def fingerprint_of(source: Source, cells: Sequence[Cell]) -> str:
    """SHA-256 of the set of images, and of a sample of the pixels of cells that are read as published."""
    content = source.content(cells)
    whole = source.fingerprint()
    return hashlib.sha256(f"{whole} {content}".encode()).hexdigest() if content else whole


def stratified_subset(ids: Sequence[str], labels: NDArray[np.int64], limit: int, seed: int) -> NDArray[np.int64]:
    """Choose ``limit`` images with equal shares of all classes. A smaller subset is part of every larger one.

    The subset is the beginning of the `stratified_order`.

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
    """New class numbers ``(classes,)`` if only some classes are kept; -1 for the others.

    Raises:
        UsageError: If one of ``kept`` is not in the dataset.
    """
    unknown = sorted(set(kept) - set(class_names))
    if unknown:
        raise UsageError(
            f"class {unknown[0]!r} is not in {dataset}"
            + (f" (nor are {len(unknown) - 1} others)" if len(unknown) > 1 else ""),
            f"Its {len(class_names)} classes are {', '.join(class_names[:3])}, …; one name per line.",
        )
    places = [place for place, name in enumerate(class_names) if name in set(kept)]
    number = np.full(len(class_names), -1, np.int64)
    number[places] = np.arange(len(places))
    return number


def stratified_order(ids: Sequence[str], labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """A random order of all images in which every prefix has equal shares of all classes.

    The order within a class depends only on the seed and the ids. Images are taken from the classes in turn, in
    proportion to the size of the classes.

    Args:
        ids: One per image, unique.
        labels: ``(N,)`` class numbers.
        seed: Another seed, another order.

    Returns:
        ``(N,)`` indices.
    """
    start = f"subset/{seed}/".encode()
    draw = np.array([hashlib.sha256(start + name.encode()).digest()[:8] for name in ids], "S8")
    order = np.lexsort((draw, labels))
    counts = np.bincount(labels)
    rank = np.concatenate([np.arange(count) for count in counts])
    # Image k (from 0) of a class of n gets the share (k + 0.5) / n, so that classes alternate in proportion to size.
    share = (rank + 0.5) / counts[labels[order]]
    # Ties between classes of equal size are broken by the draw, so that no class is favoured.
    return order[np.lexsort((draw[order], share))].astype(np.int64)
