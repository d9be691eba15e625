"""What a worker process does with some image files: decode each once, make its cells, write them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.copies.corruptor import Corruptor
from ppbench.copies.encode import check_fits, encode
from ppbench.copies.records import Failure, Record, cannot_write
from ppbench.copies.settings import Settings
from ppbench.data.decode import decode_whole
from ppbench.data.image_file import read_regular
from ppbench.errors import DataError, UsageError
from ppbench.vocabulary import Cell


@dataclass(frozen=True)
class Work:
    """What all workers of a job know."""

    root: Path
    """Folder of the sources."""
    dest: Path
    scratch: Path
    settings: Settings
    cells: tuple[Cell, ...]
    device: str
    most_values: int | None
    """Values of decoded images that are held before they are corrupted; None: as many as a call is given."""


class Task(NamedTuple):
    """One source."""

    name: str
    """Relative to the root: also its id."""
    output: str
    """Name of its files in each cell."""
    record: Record | None
    """What is known of it."""


@dataclass
class Done:
    """What became of one source."""

    name: str
    record: Record | None = None
    """None: nothing new is known of it."""
    written: int = 0
    """Files."""
    bytes: int = 0
    kept: int = 0
    """Files that were there already."""
    failures: list[Failure] = field(default_factory=list)


def start_worker(work: Work) -> Callable[[Sequence[Task]], list[Done]]:
    """Get ready; returns what does some sources."""
    corruptor = Corruptor(work.settings, work.device)
    return lambda tasks: list(_do(work, corruptor, tasks))


class _Open(NamedTuple):
    """A source with cells to make."""

    done: Done
    output: str
    """Name of its files in each cell."""
    pixels: NDArray[np.uint8]
    sha256: str
    files: dict[str, Any]
    """Of the record: what is there already."""
    missing: tuple[Cell, ...]


def _do(work: Work, corruptor: Corruptor, tasks: Sequence[Task]) -> Iterator[Done]:
    opened: list[_Open] = []
    held = 0
    for task in tasks:
        done = Done(task.name)
        source = _open(work, task, done)
        if source is None:
            yield done
            continue
        values = source.pixels.size
        if opened and work.most_values is not None and held + values > work.most_values:
            yield from _make_all(work, corruptor, opened)
            opened, held = [], 0
        opened.append(source)
        held += values
    yield from _make_all(work, corruptor, opened)


def _make_all(work: Work, corruptor: Corruptor, opened: list[_Open]) -> Iterator[Done]:
    for _, group in groupby(sorted(opened, key=_kind), key=_kind):
        yield from _make(work, corruptor, list(group))


def _kind(source: _Open) -> tuple[Any, ...]:
    """Sources with the same can be corrupted in one call."""
    return source.pixels.shape, source.missing


def _open(work: Work, task: Task, done: Done) -> _Open | None:
    """Decode a source if any of its cells is missing."""
    try:
        task.name.encode()
        data = read_regular(work.root / task.name)
        sha256 = hashlib.sha256(data).hexdigest()
        files, missing = _missing(work, task, sha256)
        done.kept = sum(file_name(cell, task.output) in files for cell in work.cells)
        if not missing:
            return None
        pixels = decode_whole(data, work.settings.size)
        check_fits(pixels.shape, task.output)
        return _Open(done, task.output, pixels, sha256, files, missing)
    except UnicodeEncodeError:
        done.failures.append(Failure(task.name, None, "its name is not valid UTF-8", "Rename it."))
    except OSError as error:
        done.failures.append(Failure(task.name, None, f"cannot be read: {error.strerror}", "Mend or remove it."))
    except DataError as error:
        done.failures.append(Failure(task.name, None, error.message, error.hint))
    return None


def _missing(work: Work, task: Task, sha256: str) -> tuple[dict[str, Any], tuple[Cell, ...]]:
    """The files that are there, and the cells to make.

    If the source was changed since, these are also the cells that were made of what it was.
    """
    known = task.record["files"] if task.record else {}
    if task.record is None or task.record["sha256"] != sha256:
        before = {(c, int(s)) for c, s, _ in (name.split("/", 2) for name in known)}
        return {}, tuple(sorted({*work.cells, *before}))
    names = {file_name(cell, task.output): cell for cell in work.cells}
    gone = {name for name in names if name not in known or not has_size(work.dest / name, known[name]["bytes"])}
    there = {name: file for name, file in known.items() if name not in gone}
    return there, tuple(sorted(names[name] for name in gone))


def has_size(path: Path, size: int) -> bool:
    """Whether a file was not removed, nor cut short by a loss of power."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _make(work: Work, corruptor: Corruptor, sources: list[_Open]) -> Iterator[Done]:
    """Make and write the missing cells of sources of one shape."""
    make = corruptor.load(np.stack([source.pixels for source in sources]))
    ids = [source.done.name for source in sources]
    for cell in sources[0].missing:
        try:
            made = make(cell, ids)
        except UsageError as error:  # a corruption that cannot work at this size: the others can
            for source in sources:
                failure = Failure(source.done.name, cell_key(cell), error.message, error.hint)
                source.done.failures.append(failure)
            continue
        for source, pixels in zip(sources, made, strict=True):
            _write(work, source, cell, pixels)
    for source in sources:
        if source.files:
            source.done.record = {"sha256": source.sha256, "files": source.files}
        yield source.done


def _write(work: Work, source: _Open, cell: Cell, pixels: NDArray[np.uint8]) -> None:
    name = file_name(cell, source.output)
    data = encode(pixels, name)
    write_whole(work.dest / name, data, work.scratch)
    source.files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    source.done.written += 1
    source.done.bytes += len(data)


def cell_key(cell: Cell) -> str:
    """``fog/3``."""
    return f"{cell[0]}/{cell[1]}"


def file_name(cell: Cell, output: str) -> str:
    """``fog/3/a/b.jpg``: where a source's corrupted image lies below the folder written to."""
    return f"{cell_key(cell)}/{output}"


def write_whole(path: Path, data: bytes, scratch: Path) -> None:
    """Write a file so that it appears whole or not at all: under another name first. Parent folders are made.

    Not flushed to the disk, which would take longer than making the image: after a loss of power its size tells.

    Args:
        path: The file.
        data: Its content.
        scratch: A folder on the same file system.

    Raises:
        DataError: If the disk is full, or the folder cannot be written.
    """
    part = scratch / f"{os.getpid()}.part"
    try:
        part.write_bytes(data)
        try:
            part.replace(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
