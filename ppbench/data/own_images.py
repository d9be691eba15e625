"""Images of the user's own code: arrays, lists of images and map-style Datasets. Free of torch."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.from_python import (
    as_labels,
    as_picture,
    classes_of,
    files_of,
    in_one_kind,
    in_rows,
    is_array,
    label_of,
    parts_of,
    refuse_no_dataset,
)
from ppbench.data.stamps import FileStamps
from ppbench.data.uncut import numbered, unique
from ppbench.data.walk import is_utf8
from ppbench.errors import DataError, PpbenchError, UsageError, in_one_line
from ppbench.lookup import counted
from ppbench.own_code import find_own, run_own, working_directory_first

_T = TypeVar("_T")

OWN_IMAGES = "own-images"
"""Name of a dataset that is arrays or a list."""


class ImagesGiven(NamedTuple):
    """The images of an evaluation as Python code gives them, unchecked."""

    images: Any
    """Array, tensor, list or map-style Dataset."""
    labels: Any = None
    """One per image; None: the Dataset's own."""
    ids: Any = None
    """One text per image; None: the Dataset's own, or made of the pixels."""
    label_names: Any = None
    """Names of the classes that labels 0, 1, … stand for; None: the Dataset's own, or not known."""
    name: str = OWN_IMAGES

    @classmethod
    def of(cls, images: Any, labels: Any = None, ids: Any = None, label_names: Any = None) -> ImagesGiven:
        """Name the dataset: after a Dataset's class."""
        plain = is_array(images) or isinstance(images, tuple | list)
        return cls(images, labels, ids, label_names, OWN_IMAGES if plain else type(images).__name__)


_RETURNED = (
    "It returns a map-style Dataset, (images, labels), (images, labels, label_names), or a dict with images, labels, "
    "ids, label_names."
)


def given_by_code(spec: str) -> ImagesGiven:
    """Import a module, call its factory without arguments, and return the images it gives. The user's code runs.

    Args:
        spec: ``pkg.mod:factory``; it returns what `_RETURNED` says.

    Raises:
        UsageError: If there is no such module or factory, or it returns something else.
        DataError: If the code raises.
    """
    with working_directory_first():
        made = run_own(find_own(spec, "--dataset"), spec, f"{spec} raised")
    fields = ("images", "labels", "ids", "label_names")
    if isinstance(made, Mapping) and "images" in made:
        if odd := [str(name) for name in made if name not in fields]:
            raise UsageError(f"{spec} returns {odd[0]!r}, which is not known", _RETURNED)
        return ImagesGiven(**made, name=spec)
    if isinstance(made, tuple) and len(made) in (2, 3) and not isinstance(made[0], Image.Image):
        images, labels, label_names = (*made, None)[:3]
        return ImagesGiven(images, labels, label_names=label_names, name=spec)
    if isinstance(made, str) or made is None:
        raise UsageError(f"{spec} returns {made!r}, which is no set of images", _RETURNED)
    return ImagesGiven(made, name=spec)


class OwnImages:
    """Images of the user's own code. They are `ppbench.data.uncut.UncutImages`.

    All images are asked for once, when this is made: for their labels, and for hashes of their pixels, by which it is
    noticed if an image is another one later. None is kept.

    Args:
        given: What the caller gave.
        labelled: Whether labels are needed. If not, a Dataset's are not looked at, and labels not given are 0.

    Raises:
        UsageError: If it is no array, list or map-style Dataset, or ids or labels are given that it has itself.
        DataError: If an image or a label is not as it must be, or the Dataset raises.
    """

    exif = False
    notes: tuple[str, ...] = ()

    def __init__(self, given: ImagesGiven, *, labelled: bool = True) -> None:
        self.where = given.name
        refuse_no_dataset(given.images, self.where)
        self._items, self._in_memory = _items(given.images, self.where)
        self.is_slow = not self._in_memory
        count = _asked(lambda: len(self._items), f"the length of {self.where}", "`len(dataset)` shows why.")
        if not count:
            raise DataError(f"{self.where} has no images", "Give at least one.")
        if given.labels is None and not labelled:
            given = given._replace(labels=np.zeros(count, np.int64))
        self._labelled = given.labels is not None
        if self._in_memory and not self._labelled:
            raise DataError(
                f"{self.where}: {counted(count, 'image')} without labels",
                "Give their labels too: `evaluate(model, images, labels)`; a factory returns (images, labels). Or "
                "take the model's own predictions: `--labels predicted`.",
            )
        beside = as_labels(given.labels, count, self.where) if self._labelled else None
        self._digests, labels, grey = self._look(count)
        self.channels: Literal[1, 3] = 1 if grey else 3
        known = given.label_names
        if known is None:
            hint = "Give the names of its classes: `label_names=[…]`."
            known = _asked(lambda: classes_of(given.images), f"the classes of {self.where}", hint)
        self.labels, self.class_names = _classes(labels if beside is None else beside, known, self.where)
        self.ids = self._ids(given)

    def _look(self, count: int) -> tuple[list[bytes], NDArray[np.int64] | list[str], bool]:
        """Ask for every image once: hashes of the pixels, labels of the Dataset, and whether all are grey."""
        digests, labels, grey = [], list[int | str](), True
        for row in range(count):
            image, label = self._sample(row)
            digests.append(_digest(image))
            grey &= image.mode == "L"
            if not self._labelled:
                labels.append(label_of(label, self._called(row)))
        if not self._in_memory and _digest(self._sample(0)[0]) != digests[0]:
            raise DataError(
                f"{self._called(0)} is another image each time it is asked for",
                "Take what is random out of the Dataset's transform: all cells need the same images.",
            )
        return digests, in_one_kind(labels, self.where), grey

    def _sample(self, row: int) -> tuple[Image.Image, Any]:
        what = self._called(row)
        sample = _asked(lambda: self._items[row], what, f"`dataset[{row}]` shows where it fails.", self._items)
        image, label = (sample, None) if self._in_memory else parts_of(sample, what, labelled=self._labelled)
        return as_picture(image, what), label

    def _called(self, row: int) -> str:
        return f"{self.where}: image {row}"

    def _ids(self, given: ImagesGiven) -> list[str]:
        if given.ids is None:
            files = None if self._in_memory else files_of(given.images)
            if not files or not all(map(is_utf8, files)):
                files = [digest.hex()[:16] for digest in self._digests]
            return unique(files)
        ids = _texts_of(given.ids)
        if ids is None or len(ids) != len(self._digests):
            are = "no list of texts" if ids is None else f"{len(ids):,}"
            raise DataError(
                f"{self.where}: ids are {are}, for {counted(len(self._digests), 'image')}",
                "Give one text for each image, such as its file's name.",
            )
        twice = next((name for name, again in zip(ids, unique(ids), strict=True) if name != again), None)
        if twice is not None:
            raise DataError(f"{self.where}: the id {twice!r} occurs twice", "Every image needs an id of its own.")
        return ids

    def fingerprint(self) -> str:
        """SHA-256 of ids, pixels and labels."""
        lines = (
            f"{name} {digest.hex()} {label}"
            for name, digest, label in zip(self.ids, self._digests, self.labels.tolist(), strict=True)
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def mean_bytes(self) -> float:
        """0: what the code reads is not known."""
        return 0.0

    def stamps(self, rows: NDArray[np.int64]) -> FileStamps:
        """Numbers made of the pixels at ``rows``."""
        return np.frombuffer(b"".join(self._digests[row][:8] for row in rows), np.uint64)

    def read(self, rows: NDArray[np.int64]) -> Iterator[Image.Image | DataError]:
        for row in rows.tolist():
            try:
                image, _ = self._sample(row)
                if _digest(image) != self._digests[row]:
                    raise DataError(
                        f"{self._called(row)} is another image than before",
                        "A Dataset has to give the same image each time: take what is random out of its transform.",
                    )
                yield image if self.channels == 1 else image.convert("RGB")
            except DataError as error:
                yield error

    def __getstate__(self) -> dict[str, Any]:
        if self._in_memory:
            return self.__dict__
        try:
            return {**self.__dict__, "_items": pickle.dumps(self._items)}
        except Exception as error:  # the user's classes may refuse in any way
            raise UsageError(
                f"{self.where} cannot be sent to processes that read images: {in_one_line(error)}",
                "Let this process read them: `--workers 0`. Lambdas and open files cannot be sent.",
            ) from error

    def __setstate__(self, state: dict[str, Any]) -> None:
        if not state["_in_memory"]:
            # The class may be in a module of the working directory.
            with working_directory_first():
                state = {**state, "_items": pickle.loads(state["_items"])}
        self.__dict__.update(state)


def _asked(what: Callable[[], _T], called: str, hint: str, items: Any = None) -> _T:
    """Return what the user's code gives.

    Raises:
        DataError: If it raises, or ends the process.
    """
    try:
        return what()
    except PpbenchError:
        raise
    except (Exception, SystemExit) as error:  # the user's code can raise anything
        ends = items is not None and isinstance(error, IndexError | StopIteration)
        says = f": its length says {len(items):,}" if ends else ""
        raise DataError(f"{called} cannot be had{says} ({in_one_line(error)})", hint) from error


def _texts_of(values: Any) -> list[str] | None:
    """Texts that the caller gave as a list, array or alike; None if they are something else."""
    if is_array(values):
        values = np.asarray(values).tolist()
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        return None
    texts = list(values)
    return texts if all(isinstance(text, str) and is_utf8(text) for text in texts) else None


def _items(images: Any, where: str) -> tuple[Any, bool]:
    """What gives the images by number, and whether it only holds them, without labels."""
    if is_array(images):
        return in_rows(images, where), True
    return images, isinstance(images, tuple | list) and not (images and isinstance(images[0], tuple | list | Mapping))


def _digest(image: Image.Image) -> bytes:
    """SHA-256 of mode, size and pixels."""
    return hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).digest()


def _classes(
    labels: NDArray[np.int64] | list[str], names: Any, where: str
) -> tuple[NDArray[np.int64], tuple[str, ...] | None]:
    """Labels as numbers, and the names of the classes; None if they are not known."""
    known = None if names is None else tuple(_texts_of(names) or ())
    if known is not None and (not known or len(set(known)) < len(known)):
        raise DataError(f"{where}: label_names are not different texts", "Give each class a name of its own.")
    if not isinstance(labels, list):
        return labels, known
    if known is None:
        return numbered(labels)
    odd = next((label for label in labels if label not in set(known)), None)
    if odd is not None:
        raise DataError(f"{where}: the label {odd!r} is not among the {len(known)} label_names", "Correct one of them.")
    number = {name: place for place, name in enumerate(known)}
    return np.array([number[label] for label in labels], np.int64), known
