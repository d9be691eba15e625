"""The journal of an evaluation: what is finished, so that it need not be done again after a kill. Free of torch.

A text file beside the run file: a first line that says of which measurement it is, then a line for each piece (some
images of one cell), each with its checksum. Lines are appended and handed to the system at once, so that a killed
process loses none, and flushed to the disk every other second, so that a loss of power costs seconds.

A measurement is known by its content (`key`), never by its name. A piece counts only if the files that its images
came from are as they were.
"""

from __future__ import annotations

import base64
import json
import os
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.data.source import Cell
from ppbench.errors import DataError, UsageError
from ppbench.evaluation.tally import SUMS, Record, adds_up
from ppbench.files import try_lock
from ppbench.parsing import parse_json

VERSION = 1
_SYNC = 2.0
"""Seconds between two flushes to the disk."""

Key = Mapping[str, Any]
"""All that tells one measurement from another, JSON values by name."""

Stamps = Callable[[Cell], NDArray[np.uint64]]
"""Of a cell, ``(n,)``: a number per image that changes when its file does."""


class Journal:
    """What was finished of one measurement, and what is finished from now on.

    Args:
        path: Its file; made if missing, with the folder it is in.
        key: Of the measurement.
        cells: That are wanted now; what is known of others stays in the file.
        stamps: Of the images of these cells.
        fresh: Whether to begin anew whatever the file holds.

    Raises:
        UsageError: If another process is at work on the same file.
        DataError: If the file cannot be written.
    """

    def __init__(self, path: Path, key: Key, cells: Collection[Cell], stamps: Stamps, *, fresh: bool = False) -> None:
        self.path, self._key, self._cells, self._stamps = path, dict(key), set(cells), stamps
        self._known: dict[Cell, NDArray[np.uint64]] = {}
        self._taken: dict[Cell, NDArray[np.bool_]] = {}
        self.records: list[Record] = []
        """What was finished before, and may be used again."""
        self.put_aside: Path | None = None
        """Where what the file held is now, if it was of another measurement."""
        self.why: str | None = None
        """Why what the file held is not used; None if all of it is, or it held nothing."""
        self._file = _claim(path)
        self._synced = time.monotonic()
        try:
            end = 0 if fresh else self._read()
            if self.why is not None and end == 0:
                self._put_aside()
            self._file.truncate(end)
            if end == 0:
                self.records = []
                self._append([_line({"journal": VERSION, "key": self._key})])
        except OSError as error:
            self.close()
            raise _cannot_write(path, error) from error

    def add(self, records: Iterable[Record]) -> None:
        """Write down what is finished.

        Raises:
            DataError: If it cannot be written.
        """
        self._append([_line(self._entry(record)) for record in records])

    def _put_aside(self) -> None:
        """Keep another measurement's journal, which may be hours of work, under another name."""
        self.put_aside = self.path.with_name(f"{self.path.name}.old")
        self._file.seek(0)
        self.put_aside.write_bytes(self._file.read())

    def close(self) -> None:
        """Flush and let go of the file, which stays for the next time; once more does nothing."""
        if self._file.closed:
            return
        with suppress(OSError):  # of no use to whoever ends
            os.fsync(self._file.fileno())
        self._file.close()

    def remove(self) -> None:
        """The run file is written: there is nothing left to go on with."""
        self.path.unlink(missing_ok=True)
        self.close()

    def _append(self, lines: Sequence[bytes]) -> None:
        try:
            content = memoryview(b"".join(lines))
            while content:  # unbuffered: what is not written now is never written later
                content = content[self._file.write(content) or 0 :]
            if time.monotonic() - self._synced > _SYNC:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise _cannot_write(self.path, error) from error

    def _read(self) -> int:
        """Take in all whole lines; where the next one begins, or 0 if the file is of another measurement."""
        with self.path.open("rb") as file:
            first = file.readline()
            if not first.endswith(b"\n"):  # nothing was finished
                return 0
            head = _content(first)
            self.why = "it is damaged" if head is None else self._other(head)
            if self.why is not None:
                return 0
            end, changed, damaged = file.tell(), 0, 0
            while (line := file.readline()).endswith(b"\n"):  # a kill may have torn the last one
                end = file.tell()
                entry = _content(line)
                record = None if entry is None else _record(entry)
                if entry is None or record is None or not self._fits(record):
                    damaged += 1
                else:
                    changed += self._take(record, entry.get("stamp"))
        reasons = [f"{damaged:,} line{'s are' if damaged != 1 else ' is'} damaged"] if damaged else []
        reasons += (
            [f"the files of {changed:,} image{'s' if changed != 1 else ''} were changed since"] if changed else []
        )
        self.why = " and ".join(reasons) or None
        return end

    def _fits(self, record: Record) -> bool:
        """Whether a record is of images that there are, each once."""
        if record.cell not in self._cells:
            return True
        places, images = record.places, len(self._stamps_of(record.cell))
        return bool(((places >= 0) & (places < images)).all()) and len(np.unique(places)) == len(places)

    def _take(self, record: Record, stamp: object) -> int:
        """Use a line again, if it can be; how many of its images were changed since."""
        if record.cell not in self._cells:
            return 0
        if stamp != self._stamp(record):
            return len(record.places)
        if self._is_new(record):
            self.records.append(record)
        return 0

    def _other(self, head: Mapping[str, Any]) -> str | None:
        """What tells another measurement from this one, in words."""
        if head.get("journal") != VERSION:
            return "it is of another version of ppbench"
        if self._key.get("weights") is None:
            return "it is not known whether it is of the same weights"
        there = head.get("key")
        if not isinstance(there, dict):
            return "it is damaged"
        names = [name for name in {**there, **self._key} if there.get(name) != self._key.get(name)]
        return f"it is of another measurement ({', '.join(names)} differ{'s' * (len(names) == 1)})" if names else None

    def _is_new(self, record: Record) -> bool:
        """Whether no earlier line has one of the images: files that were changed and then put back make two count."""
        taken = self._taken.setdefault(record.cell, np.zeros(len(self._known[record.cell]), np.bool_))
        is_new = not taken[record.places].any()
        taken[record.places] |= is_new
        return is_new

    def _stamp(self, record: Record) -> int:
        return zlib.crc32(self._stamps_of(record.cell)[record.places].tobytes())

    def _stamps_of(self, cell: Cell) -> NDArray[np.uint64]:
        if cell not in self._known:
            self._known[cell] = self._stamps(cell)
        return self._known[cell]

    def _entry(self, record: Record) -> dict[str, Any]:
        return {
            "cell": list(record.cell),
            "places": _pack_places(record.places),
            "right": base64.b64encode(np.packbits(record.right).tobytes()).decode(),
            "sums": None if record.sums is None else record.sums.tolist(),
            "stamp": self._stamp(record),
        }


def is_of(path: Path, key: Key) -> bool:
    """Whether a journal is known to be of one measurement, or there is none."""
    try:
        with path.open("rb") as file:
            head = _content(file.readline())
    except OSError:
        return True
    if head is None:
        return True
    return head.get("journal") == VERSION and head.get("key") == dict(key) and key.get("weights") is not None


def _claim(path: Path) -> FileIO:
    """Open the file and lock it."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b", buffering=0)
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
        file.close()  # whoever had it has just finished and removed it


def _is_at(path: Path, file: FileIO) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _line(content: Mapping[str, Any]) -> bytes:
    text = json.dumps(content, separators=(",", ":")).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _content(line: bytes) -> dict[str, Any] | None:
    """What a line holds; None if it is not whole, as the last one may be after a kill."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        content = parse_json(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _record(entry: Mapping[str, Any]) -> Record | None:
    """What a line is of; None if it says what no ppbench wrote."""
    try:
        corruption, severity = entry["cell"]
        packed = base64.b64decode(entry["right"], validate=True)
        places = _unpack_places(entry["places"], most=8 * len(packed))
        right = np.unpackbits(np.frombuffer(packed, np.uint8), count=len(places)).astype(bool)
        sums = None if entry["sums"] is None else np.array(entry["sums"], np.int64)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if not (isinstance(corruption, str) and isinstance(severity, int)) or (sums is not None and sums.shape != (SUMS,)):
        return None
    record = Record((corruption, severity), places, right, sums)
    return record if adds_up(record) else None


def _pack_places(places: NDArray[np.int64]) -> list[int] | dict[str, int]:
    """``{"first": …, "step": …, "count": …}`` where they are evenly spaced."""
    steps = np.diff(places)
    step = int(steps[0]) if len(steps) else 1
    if (steps == step).all():
        return {"first": int(places[0]), "step": step, "count": len(places)}
    return [int(place) for place in places]


def _unpack_places(packed: Sequence[int] | Mapping[str, int], most: int) -> NDArray[np.int64]:
    """The places, ``most`` at most.

    Raises:
        ValueError: If there are more, or fewer than one.
    """
    count = packed["count"] if isinstance(packed, Mapping) else len(packed)
    if not 0 < count <= most:
        raise ValueError(f"{count} places for {most} results")
    if isinstance(packed, Mapping):
        return packed["first"] + packed["step"] * np.arange(count, dtype=np.int64)
    places = np.array(packed, np.int64)
    if places.ndim != 1:
        raise ValueError(f"places of shape {places.shape}")
    return places


def _cannot_write(path: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot write {path}: {error.strerror or error}",
        "Make room, or choose another place with `--output FILE`. What is finished is kept.",
    )
