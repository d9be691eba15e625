"""Labelled images of any sizes, as users keep them, and the clean images that they become: cut, with named classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.cut import Cut, describe_cut
from ppbench.data.decode import cut_image
from ppbench.data.exif import EXIF_APPLIED
from ppbench.data.source import Broken, Loaded
from ppbench.data.stamps import FileStamps
from ppbench.data.walk import is_utf8
from ppbench.errors import DataError
from ppbench.lookup import counted


class UncutImages(Protocol):
    """Labelled images of any sizes, in memory or in files. Picklable."""

    where: str
    """What holds them, for messages."""
    ids: list[str]
    """One per image, unique; the draws of a corruption are keyed by it."""
    labels: NDArray[np.int64]
    """``(N,)`` indices into ``class_names``; without names, numbers of the models' outputs."""
    class_names: tuple[str, ...] | None
    """None: not known."""
    channels: Literal[1, 3]
    is_slow: bool
    exif: bool
    """Whether EXIF orientation and colour profiles are applied."""
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
        """Yield the images at ``rows`` in this order, grey or RGB as ``channels`` says, or why one cannot be read."""
        ...


class CutImages:
    """Images of any sizes, cut when they are loaded. They are `ppbench.data.generated.CleanImages`.

    Args:
        images: The images.
        cut: How they are cut.
        outputs: Names of the models' outputs, which stand for the classes of a set without names; None: its labels are
            numbered up to the highest.

    Raises:
        DataError: If a label is below 0, or has no class.
    """

    def __init__(self, images: UncutImages, cut: Cut, outputs: Sequence[str] | None = None) -> None:
        self._images, self._cut = images, cut
        self.size, self.cut = cut.size, EXIF_APPLIED * images.exif + describe_cut(cut)
        self.ids, self.labels, self.notes = images.ids, images.labels, images.notes
        self.channels, self.is_slow = images.channels, images.is_slow
        self.class_names = _class_names(images, outputs)

    def fingerprint(self) -> str:
        return self._images.fingerprint()

    def mean_bytes(self) -> float:
        return self._images.mean_bytes()

    def stamps(self, rows: NDArray[np.int64]) -> FileStamps:
        return self._images.stamps(rows)

    def read(self, rows: NDArray[np.int64]) -> Iterator[Image.Image | DataError]:
        """Yield the images at ``rows`` uncut, or why one cannot be read."""
        return self._images.read(rows)

    def load(self, rows: NDArray[np.int64]) -> Loaded:
        """Load and cut the images at ``rows``; `Broken.place` is an index into ``rows``."""
        pixels = np.zeros((len(rows), self.size, self.size, self.channels), np.uint8)
        broken = []
        for place, image in enumerate(self._images.read(rows)):
            try:
                if isinstance(image, DataError):
                    # Raised here, so that images that cannot be read and those that cannot be cut are noted in one way.
                    raise image
                cut = cut_image(image, f"{self._images.where}: {self.ids[rows[place]]}", self._cut)
                pixels[place] = np.asarray(cut).reshape(pixels.shape[1:])
            except DataError as error:
                broken.append(Broken(place, error.message, error.hint))
        return Loaded(pixels, tuple(broken))


def _class_names(images: UncutImages, outputs: Sequence[str] | None) -> tuple[str, ...]:
    """The names of the classes; for a set without names those of the outputs, or numbers."""
    labels = images.labels
    names = images.class_names if images.class_names is not None else outputs
    if names is None:
        names = [str(number) for number in range(int(labels.max(initial=-1)) + 1)]
    if (bad := next((name for name in names if not is_utf8(name)), None)) is not None:
        raise DataError(f"{images.where}: the class name {bad!r} is not UTF-8", "Rename this class.")
    odd = np.flatnonzero((labels < 0) | (labels >= len(names)))
    if len(odd):
        first = int(odd[0])
        of = "class names" if images.class_names is not None else "outputs of the model"
        more = f"; {counted(len(odd), 'image')} in all" if len(odd) > 1 else ""
        raise DataError(
            f"{images.where}: {images.ids[first]} has the label {labels[first]}; allowed are 0 to {len(names) - 1}, "
            f"the {len(names):,} {of}{more}",
            "Correct the labels, or take the part of the dataset that has labels: -1 often stands for none. Without: "
            "`--labels predicted`.",
        )
    return tuple(names)


def numbered(labels: Sequence[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number text labels in the sorted order of their names.

    Returns:
        ``(N,)`` numbers, and the names.
    """
    names = tuple(sorted(set(labels)))
    number = {name: place for place, name in enumerate(names)}
    return np.array([number[label] for label in labels], np.int64), names


def file_ids(names: Sequence[str], labels: NDArray[np.int64], class_names: Sequence[str] | None) -> list[str]:
    """Ids of images with file names: ``<class>/<file>``, as the same images have in class folders.

    Args:
        names: File names, with or without folders.
        labels: ``(N,)`` indices into ``class_names``.
        class_names: None if they are not known; the names are then the ids.
    """
    if class_names is None:
        return unique(names)
    ids = []
    for name, label in zip(names, labels.tolist(), strict=True):
        # A label out of range has no class; `CutImages` says so.
        of_class = f"{class_names[label]}/" if 0 <= label < len(class_names) else ""
        ids.append(name if name.startswith(of_class) else of_class + name)
    return unique(ids)


def unique(names: Sequence[str]) -> list[str]:
    """The names, with ``#2``, ``#3``, … behind those that occur again."""
    times: Counter[str] = Counter()
    taken, ids = set(names), []
    for name in names:
        chosen = name
        times[name] += 1
        if times[name] > 1:
            while (chosen := f"{name}#{times[name]}") in taken:
                times[name] += 1
        taken.add(chosen)
        ids.append(chosen)
    return ids
