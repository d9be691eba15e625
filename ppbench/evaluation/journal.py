"""The journal of an evaluation: what is finished, so that a kill does not undo it. Free of torch.

It is a text file beside the run file. The first line identifies the measurement. Each further line is a piece (some
images of one cell). All lines have checksums. Lines are appended and handed to the system at once, so that a killed
process loses none. They are flushed to the disk every other second, so that a loss of power costs seconds.

A measurement is identified by its content (`key`), never by its name. The set of images is not part of the key: a line
that names the images precedes their pieces. If the set differs the next time, what is known of the images that remain
is used again. An image's result counts only if the file that it came from has not changed.

Version 1 had sums over the images of a piece instead of a result for each image. It can still be read: its pieces count
as a whole.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import DataError, UsageError
from ppbench.evaluation.journal_lines import as_line, content_of, entry_of, hash_of_images, piece_of, unpack
from ppbench.evaluation.tally import Piece
from ppbench.files import append, open_regular, try_lock, whole_lines
from ppbench.vocabulary import Cell

_VERSION = 2
_IMAGES = frozenset({"n", "ids_sha256", "fingerprint"})
"""Names in the key that identify the set of images. A journal of version 1 is of one set alone."""
_SYNC = 2.0
"""Seconds between two flushes to the disk."""

JournalKey = Mapping[str, Any]
"""All that distinguishes measurements: JSON values by name."""


class Images(NamedTuple):
    """The images of a measurement."""

    ids: Sequence[str]
    labels: Sequence[int]


_StampsOf = Callable[[Cell], NDArray[np.uint64]]
"""From a cell to ``(n,)``: a number per image that changes when its file does."""


class Journal:
    """The finished pieces of one measurement, of earlier evaluations and of this one.

    Args:
        path: File of the journal; made if missing, with its folder.
        key: Key of the measurement.
        cells: Cells that are wanted now. Pieces of other cells stay in the file.
        stamps: Stamps of the images of a cell.
        images: The images of the measurement.
        fresh: Whether to start over, whatever the file holds.
        joint: How many images that follow each other have results that depend on each other; None: each has its own. A
            piece is used again only if it is exactly such a group, and none of its images has changed.

    Raises:
        UsageError: If another process has locked the file.
        DataError: If the file cannot be written, or is a pipe, a device or a folder.
    """

    def __init__(
        self,
        path: Path,
        key: JournalKey,
        cells: Collection[Cell],
        stamps: _StampsOf,
        images: Images,
        *,
        fresh: bool = False,
        joint: int | None = None,
    ) -> None:
        self.path, self._key, self._cells, self._stamps = path, dict(key), set(cells), stamps
        self._images, self._joint = images, joint
        self._place_of = {name: place for place, name in enumerate(images.ids)}
        self._now: NDArray[np.int64] | None = None
        """While reading: the current place of each image that the last ``images`` line named; -1 if it is gone."""
        self._are_same = False
        """Whether that line named the current images, in this order."""
        self._of = hash_of_images(images.ids)
        """Hash of the images that that line named."""
        self._known: dict[Cell, NDArray[np.uint64]] = {}
        self._taken: dict[Cell, NDArray[np.bool_]] = {}
        self.pieces: list[Piece] = []
        """Pieces that were finished before and can be used again."""
        self.put_aside: Path | None = None
        """Where the earlier content is now, if it was of another measurement."""
        self.why: str | None = None
        """Why the earlier content is not used, or not all of it; None if all is used, or there was none."""
        self._file = _claim(path)
        self._synced = time.monotonic()
        try:
            end = 0 if fresh else self._read()
            # It is of no use here, but may be hours of work. With `fresh`, nothing was read, and nothing is kept.
            if self.why is not None and end == 0:
                self._put_aside()
            # Behind a line that a kill cut short, the next one would be damaged too.
            self._file.truncate(end)
            if end == 0:
                self.pieces = []
                self._append([as_line({"journal": _VERSION, "key": self._key})])
            if end == 0 or not self._are_same:
                named = {"ids": list(images.ids), "labels": [int(label) for label in images.labels]}
                self._append([as_line({"images": named})])
            self._of = hash_of_images(images.ids)
        except OSError as error:
            self.close()
            raise _cannot_write(path, error) from error

    def add(self, pieces: Iterable[Piece]) -> None:
        """Append finished pieces.

        Raises:
            DataError: If they cannot be written.
        """
        self._append([as_line(entry_of(piece, self._of, self._short_stamps(piece))) for piece in pieces])

    def _put_aside(self) -> None:
        """Keep the journal of another measurement, which may be hours of work, under another name."""
        self._file.seek(0)
        content, aside = self._file.read(), self.path.with_name(f"{self.path.name}.old")
        try:
            with open_regular(aside, "wb") as file:
                file.write(content)
        except OSError as error:
            self.close()
            raise _cannot_write(aside, error) from error
        self.put_aside = aside

    def close(self) -> None:
        """Flush and close the file, which stays for the next evaluation. A second call does nothing."""
        if self._file.closed:
            return
        with suppress(OSError):  # the evaluation has ended, and nobody can act on it
            os.fsync(self._file.fileno())
        self._file.close()

    def remove(self) -> None:
        """Delete the file: the run file is written, and nothing is left to resume."""
        # While the lock is held. After it, another process could have begun to write into the file.
        self.path.unlink(missing_ok=True)
        self.close()

    def _append(self, lines: Sequence[bytes]) -> None:
        try:
            append(self._file, b"".join(lines))
            if time.monotonic() - self._synced > _SYNC:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise _cannot_write(self.path, error) from error

    def _read(self) -> int:
        """Read all whole lines; return where the next one begins, or 0 if the file is of another measurement."""
        with open_regular(self.path) as file:
            first = file.readline()
            if not first.endswith(b"\n"):  # nothing was finished
                return 0
            head = content_of(first)
            self.why = "it is damaged" if head is None else _other(head, self._key)
            if head is None or self.why is not None:
                return 0
            end, changed, damaged = file.tell(), 0, 0
            # Version 1 names no images: its key says which set it is of.
            self._are_same = head["journal"] == 1
            for line in whole_lines(file):
                end = file.tell()
                entry = content_of(line)
                if entry is not None and "images" in entry:
                    damaged += not self._take_images(entry["images"])
                    continue
                piece = None if entry is None else piece_of(entry)
                if entry is None or piece is None or not self._fits(piece, entry):
                    damaged += 1
                else:
                    changed += self._take(piece, entry)
        reasons = [f"{damaged:,} line{'s are' if damaged != 1 else ' is'} damaged"] if damaged else []
        reasons += (
            [f"the files of {changed:,} image{'s' if changed != 1 else ''} have changed since"] if changed else []
        )
        self.why = " and ".join(reasons) or None
        return end

    def _fits(self, piece: Piece, entry: Mapping[str, Any]) -> bool:
        """Whether a piece has images that the ``images`` line before it names, each at most once."""
        if not self._has_trials_of(piece):
            return False
        # The line that names its images was damaged: its places would be of other images.
        if "stamp" not in entry and entry.get("of") != self._of:
            return False
        if piece.cell not in self._cells:
            return True
        places, images = piece.places, len(self._place_of) if self._now is None else len(self._now)
        return bool(((places >= 0) & (places < images)).all()) and len(np.unique(places)) == len(places)

    def _has_trials_of(self, piece: Piece) -> bool:
        """Whether a piece has trials if the measurement has, as many of them."""
        passes, trials = self._key.get("passes"), piece.trials
        if passes is None:
            return trials is None or trials.right is None
        return trials is not None and trials.right is not None and trials.each == passes

    def _take(self, piece: Piece, entry: Mapping[str, Any]) -> int:
        """Use a line again, if possible; return how many of its images have changed since."""
        if piece.cell not in self._cells:
            return 0
        if self._now is not None:
            piece = piece._replace(places=self._now[piece.places])
        there = piece.places >= 0
        # This also makes the cell's row of `_taken`.
        same = there & self._are_unchanged(piece, entry)
        if self._joint is not None and not (same.all() and _is_group(piece, self._joint, len(self._place_of))):
            return int(np.count_nonzero(there & ~same))
        # An image whose file was changed and later restored has two lines, of which one counts.
        kept = piece.part(same & ~self._taken[piece.cell][piece.places])
        if kept is not None and len(kept.places):
            self._taken[piece.cell][kept.places] = True
            self.pieces.append(kept)
        if kept is None and not same[there].all():  # the sums over the unchanged images alone are unknown
            return int(np.count_nonzero(there))
        return int(np.count_nonzero(there & ~same))

    def _are_unchanged(self, piece: Piece, entry: Mapping[str, Any]) -> NDArray[np.bool_]:
        """``(n,)``: which images of a piece come from a file that has not changed."""
        if "stamp" in entry:  # version 1
            same = entry["stamp"] == zlib.crc32(self._stamps_of(piece.cell)[piece.places].tobytes())
            return np.full(len(piece.places), same)
        return unpack(entry["stamps"], np.uint32, len(piece.places)) == self._short_stamps(piece)

    def _take_images(self, named: object) -> bool:
        """Find the images that a line names among the current ones; return False if the line is damaged."""
        ids, labels = (named.get("ids"), named.get("labels")) if isinstance(named, dict) else (None, None)
        if not (isinstance(ids, list) and isinstance(labels, list) and len(ids) == len(labels)):
            return False
        if not all(isinstance(name, str) for name in ids):
            return False
        here = [self._place_of.get(name, -1) for name in ids]
        # An image with another label has another result.
        known = self._images.labels
        now = [place if place >= 0 and known[place] == label else -1 for place, label in zip(here, labels, strict=True)]
        self._now, self._of = np.array(now, np.int64), hash_of_images(ids)
        self._are_same = now == list(range(len(self._place_of)))
        return True

    def _stamps_of(self, cell: Cell) -> NDArray[np.uint64]:
        if cell not in self._known:
            self._known[cell] = self._stamps(cell)
            self._taken[cell] = np.zeros(len(self._known[cell]), np.bool_)
        return self._known[cell]

    def _short_stamps(self, piece: Piece) -> NDArray[np.uint32]:
        """``(n,)``: the lower halves of the stamps of a piece's images."""
        return self._stamps_of(piece.cell)[piece.places].astype(np.uint32)


def _is_group(piece: Piece, size: int, images: int) -> bool:
    """Whether a piece is one of the groups of ``size`` images, of which the last may have fewer."""
    first = int(piece.places[0])
    group = np.arange(first, min(first + size, images))
    return first % size == 0 and np.array_equal(piece.places, group)


def _other(head: Mapping[str, Any], key: JournalKey) -> str | None:
    """Say how the measurement of a journal with this first line differs from another one; None if it does not."""
    version, there = head.get("journal"), head.get("key")
    if version not in (1, _VERSION):
        return "it is of another version of ppbench"
    if key.get("weights") is None:
        return "it is not known whether it is of the same weights"
    if not isinstance(there, dict):
        return "it is damaged"
    # Version 1 was of one set of images, which determines their classes too.
    compared = {*there, *key} - ({"class_names"} if version == 1 else _IMAGES)
    names = [name for name in {**there, **key} if name in compared and there.get(name) != key.get(name)]
    return f"it is of another measurement ({', '.join(names)} differ{'s' * (len(names) == 1)})" if names else None


def is_of(path: Path, key: JournalKey) -> bool:
    """Whether a journal is known to be of this measurement, or does not exist."""
    try:
        with open_regular(path) as file:
            head = content_of(file.readline())
    except OSError:
        return True
    # One with a damaged first line may be taken, because its content is then put aside.
    return head is None or _other(head, key) is None


def _claim(path: Path) -> FileIO:
    """Open the file and lock it."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: a kill must not take lines along that were taken for written.
            file = cast(FileIO, open_regular(path, "a+b", buffering=0))
        except OSError as error:
            raise _cannot_write(path, error) from error
        if not try_lock(file):
            file.close()
            raise UsageError(
                f"another ppbench is writing {path.name.removesuffix('.journal')}",
                "Wait until it has finished, or give another name: `--output FILE`.",
            )
        if _is_at(path, file):
            return file
        file.close()  # the process that had it has just finished and removed it


def _is_at(path: Path, file: FileIO) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _cannot_write(path: Path, error: OSError) -> DataError:
    no_file = path.exists() and not path.is_file()
    return DataError(
        f"cannot write {path}: {error.strerror or error}",
        f"{'Move it away' if no_file else 'Make room'}, or choose another place with `--output FILE`. "
        "What is finished is kept.",
    )
