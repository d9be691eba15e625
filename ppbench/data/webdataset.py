"""Images in WebDataset's tars, read in place: their headers and labels once, then single images. Free of torch.

The files of a sample follow each other and have the same name up to the first dot: ``cat/0001.jpg``, ``cat/0001.cls``.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.cells import is_image
from ppbench.data.decode import open_rgb
from ppbench.data.folder import fingerprint_of_files
from ppbench.data.from_python import in_one_kind
from ppbench.data.photographs import look_at_photographs
from ppbench.data.shards import place_of, starts_of
from ppbench.data.stamps import FileStamps, stamps_of
from ppbench.data.tar import is_whole, members
from ppbench.data.uncut import file_ids, numbered
from ppbench.data.walk import is_utf8
from ppbench.errors import DataError
from ppbench.lookup import counted
from ppbench.parsing import parse_json

_LABELS = ("cls", "json", "txt")
"""Endings of the members that may hold a label; the first one that a sample has counts."""

_KEYS = ("label", "cls", "class", "class_name")
"""Names of a label in a sample's JSON; the first one that it has counts."""

_NUMBER = re.compile(r"-?[0-9]{1,19}")
"""A label that is a number. Python's `int` takes more, such as ``1_0`` for 10."""

_LONGEST_LABEL = 2**20
"""Largest size of a member with a label, in bytes."""

_PEEKED = 100
"""Images whose headers are read before the start."""


class _Member(NamedTuple):
    name: str
    offset: int
    size: int


class _Sample(NamedTuple):
    """The members of a sample that count."""

    image: _Member
    label: _Member | None
    kind: str
    """Ending of the member with the label."""


class TarImages:
    """Images of WebDataset's tars. They are `ppbench.data.uncut.UncutImages`.

    Args:
        tars: The archives, in order.
        where: What was given for them, for messages.
        exif: Whether EXIF orientation and colour profiles are applied.
        labelled: Whether labels are needed. If not, and one is missing or no label, all labels are 0.

    Raises:
        DataError: If an archive is damaged, or has no images or no labels.
    """

    channels: Literal[1, 3] = 3
    is_slow = True
    class_names: tuple[str, ...] | None = None

    def __init__(self, tars: Sequence[Path], where: Path | str, *, exif: bool = False, labelled: bool = True) -> None:
        self.where, self.exif, self._tars = str(where), exif, list(tars)
        names: list[str] = []
        places: list[tuple[int, int]] = []
        labels: list[int | str] = []
        counts, without = [], 0
        for tar in tars:
            samples, others = _samples(tar)
            without += others
            names += [sample.image.name for sample in samples]
            places += [(sample.image.offset, sample.image.size) for sample in samples]
            try:
                labels += _read_labels(tar, samples)
            except DataError:
                if labelled:
                    raise
            counts.append(len(samples))
        if not names:
            raise no_samples(tars)
        self._starts = starts_of(counts)
        # 16 bytes for an image: a million of them stay small.
        self._offsets, self._sizes = np.array(places, np.int64).T.copy()
        try:
            kind = in_one_kind(labels if len(labels) == len(names) else [0] * len(names), self.where)
        except DataError:
            if labelled:
                raise
            kind = np.zeros(len(names), np.int64)
        if isinstance(kind, list):
            self.labels, self.class_names = numbered(kind)
        else:
            self.labels = kind
        self.ids = file_ids(names, self.labels, self.class_names)
        left_out = f"{self.where}: {counted(without, 'sample')} without an image left out"
        self.notes: tuple[str, ...] = ((left_out,) if without else ()) + (() if exif else self._look())

    def _look(self) -> tuple[str, ...]:
        """A note that counts images with EXIF data that is not applied."""
        rows = np.arange(len(self.ids))[:: len(self.ids) // _PEEKED + 1]
        note = look_at_photographs(io.BytesIO(one) for one in self._contents(rows) if isinstance(one, bytes)).note()
        return (note,) if note else ()

    def fingerprint(self) -> str:
        """SHA-256 of ids, sizes in bytes and labels: that of class folders with the same files."""
        return fingerprint_of_files(self.ids, self._sizes, self.labels)

    def mean_bytes(self) -> float:
        """Mean size of an image's file."""
        return float(self._sizes.mean())

    def stamps(self, rows: NDArray[np.int64]) -> FileStamps:
        """The stamps of the archives that the images at ``rows`` are in."""
        # Members have times too, but whoever replaces an archive may keep them.
        return stamps_of(self._tars)[np.searchsorted(self._starts, rows, "right") - 1]

    def read(self, rows: NDArray[np.int64]) -> Iterator[Image.Image | DataError]:
        for row, content in zip(rows.tolist(), self._contents(rows), strict=True):
            name = f"{self.where}: {self.ids[row]}"
            try:
                if isinstance(content, OSError):
                    raise DataError(
                        f"cannot read the image {name}: {content.strerror or content}", "Is the disk there?"
                    )
                yield open_rgb(io.BytesIO(content), name, exif=self.exif)
            except DataError as error:
                yield error

    def _contents(self, rows: NDArray[np.int64]) -> Iterator[bytes | OSError]:
        """The bytes of images, or why they cannot be read."""
        # Opened for this call alone: sources are pickled to workers, and an open file cannot be.
        with closing(_OpenTar(self._tars)) as opened:
            for row in rows.tolist():
                tar, _ = place_of(row, self._starts)
                try:
                    yield opened.read(tar, int(self._offsets[row]), int(self._sizes[row]))
                except OSError as error:
                    yield error


class _OpenTar:
    """The archive that was read last, open."""

    def __init__(self, tars: Sequence[Path]) -> None:
        self._tars = tars
        self._open: tuple[int, int] | None = None

    def read(self, tar: int, offset: int, size: int) -> bytes:
        if self._open is None or self._open[0] != tar:
            self.close()
            self._open = tar, os.open(self._tars[tar], os.O_RDONLY)
        return os.pread(self._open[1], size, offset)

    def close(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None


def has_samples(tar: Path) -> bool:
    """Whether an archive has an image as WebDataset names them."""
    return any(_is_visible(name) and is_image(name) for name, _, _ in members(tar))


def no_samples(tars: Sequence[Path]) -> DataError:
    """The error for archives with neither a corrupted set nor samples."""
    return DataError(
        f"no corrupted set and no samples in {', '.join(map(str, tars))}",
        "Expected members like fog/3/<class>/<image>, or <name>.jpg and <name>.cls as WebDataset has them. Unpack "
        "other archives, and give the folder.",
    )


def _is_visible(name: str) -> bool:
    return not name.rpartition("/")[2].startswith(".")


def _samples(tar: Path) -> tuple[list[_Sample], int]:
    """The samples of an archive, and how many have no image.

    Raises:
        DataError: If it is not a whole tar, or a sample has two images.
    """
    by_key: dict[str, dict[str, _Member]] = {}
    for name, offset, size in members(tar):
        if not _is_visible(name):
            continue
        if not is_utf8(name):
            raise DataError(f"{tar} has a name that is not UTF-8: {name!r}", "Write the archive again.")
        folder, slash, base = name.removeprefix("./").rpartition("/")
        stem, _, ending = base.partition(".")
        here = by_key.setdefault(f"{folder}{slash}{stem}", {})
        if ending.lower() in here:
            raise DataError(f"{tar} has the member {name} twice", "Write the archive again: names are unique in it.")
        here[ending.lower()] = _Member(name.removeprefix("./"), offset, size)
    if not is_whole(tar):
        raise DataError(f"{tar} ends early", "Resume its download with `wget -c`, or write it again.")
    samples = []
    for key, there in by_key.items():
        images = [member for member in there.values() if is_image(member.name)]
        if len(images) > 1:
            raise DataError(
                f"{tar}: the sample {key} has {counted(len(images), 'image')}: {', '.join(i.name for i in images[:3])}",
                "A sample has one image. The name up to the first dot is its key: rename files with more dots.",
            )
        if images:
            kind = next((ending for ending in _LABELS if ending in there), "")
            samples.append(_Sample(images[0], there.get(kind), kind))
    return samples, len(by_key) - len(samples)


def _read_labels(tar: Path, samples: Sequence[_Sample]) -> list[int | str]:
    """The labels of an archive's samples.

    Raises:
        DataError: If a sample has none, or it cannot be read.
    """
    lacking = [sample for sample in samples if sample.label is None]
    if lacking:
        few = f"{len(lacking):,} of {len(samples):,} images" if len(lacking) < len(samples) else "its images"
        raise DataError(
            f"{tar}: {few} have no label: {lacking[0].image.name} first",
            "A label is beside its image, with the same name: a number or a class name in .cls or .txt, or `label` in "
            ".json. Without labels: `--labels predicted`.",
        )
    labels = []
    with closing(_OpenTar([tar])) as opened:
        for sample in samples:
            assert sample.label is not None
            labels.append(_label(tar, sample.label, sample.kind, opened))
    return labels


def _label(tar: Path, member: _Member, kind: str, opened: _OpenTar) -> int | str:
    try:
        if member.size > _LONGEST_LABEL:
            raise ValueError(f"it has {member.size:,} bytes")
        content = opened.read(0, member.offset, member.size)
        value: Any = _in_json(content) if kind == "json" else content.decode().strip()
    except (OSError, ValueError) as error:
        raise DataError(f"{tar}: cannot read the label {member.name}: {error}", "Write the archive again.") from error
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value:
        raise DataError(f"{tar}: {member.name} is no label: {str(value)[:40]!r}", "It is a number or a class name.")
    return int(value) if _NUMBER.fullmatch(value) else value


def _in_json(content: bytes) -> Any:
    there = parse_json(content)
    if not isinstance(there, dict):
        return there
    key = next((key for key in _KEYS if key in there), None)
    if key is None:
        raise ValueError(f"it has {', '.join(list(there)[:8]) or 'nothing'}, but none of {', '.join(_KEYS)}")
    return there[key]
