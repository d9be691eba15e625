"""Arrays of images in a ``.npy`` file: which shapes are which images, and the job that corrupts them in pieces."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.copies.corruptor import Corruptor
from ppbench.copies.records import Failure, Record, cannot_write
from ppbench.copies.worker import Done, Work, cell_key, file_name, has_size
from ppbench.corruptions.types import Pixels
from ppbench.data.cifar import CIFAR_ROW, rows_to_images
from ppbench.data.npy import map_array
from ppbench.errors import DataError, UsageError
from ppbench.files import whole_lines
from ppbench.parsing import parse_json
from ppbench.pool import ordered_map
from ppbench.vocabulary import Cell

CHUNKS = "chunks"
_CHANNELS = (1, 3, 4)


class Layout(NamedTuple):
    """How images lie in an array."""

    shape: tuple[int, ...]
    """Of the array."""
    is_cifar: bool
    """Rows of a red, a green and a blue plane of 32 x 32, as in CIFAR's own files."""
    number: int
    height: int
    width: int
    channels: int
    """1 grey, 3 RGB, 4 RGB and alpha."""

    @property
    def values(self) -> int:
        """Per image."""
        return self.height * self.width * self.channels

    def images(self, part: NDArray[Any]) -> Pixels:
        """Some of the array's images as ``(n, H, W, C)``."""
        if self.is_cifar:
            return rows_to_images(part)
        return np.ascontiguousarray(part.reshape(-1, self.height, self.width, self.channels))

    def part(self, images: Pixels) -> Pixels:
        """Images ``(n, H, W, C)`` in the order of values that the array has."""
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2) if self.is_cifar else images)


def find_layout(path: Path) -> Layout:
    """Tell which images an array holds.

    ``(N, 3072)``: CIFAR's rows; ``(N, H, W, C)``, ``(N, H, W)``: many; ``(H, W)``, ``(H, W, C)``: one. C is 1, 3 or 4.

    Raises:
        DataError: If it cannot be read, is not uint8, or has another shape.
    """
    array = map_array(path)
    if array.dtype != np.uint8:
        raise DataError(
            f"{path} holds {array.dtype}; images are uint8, 0 to 255",
            "Values from 0 to 1: `np.save(FILE, (array * 255).round().astype(np.uint8))`.",
        )
    shape = array.shape
    layout = _layout(shape)
    if layout is None or 0 in shape:
        axes = "`np.save(FILE, array.transpose(0, 2, 3, 1))` puts channels last." if shape[1:2] in ((1,), (3,)) else ""
        raise DataError(
            f"{path} has the shape {shape}; images are (N, H, W, 3), (N, H, W, 1), (N, H, W), (N, 3072) as CIFAR's, "
            "or one (H, W, 3) or (H, W)",
            axes or "Save it in one of these shapes.",
        )
    return layout


def _layout(shape: tuple[int, ...]) -> Layout | None:
    if len(shape) == 2 and shape[1] == CIFAR_ROW:
        return Layout(shape, True, shape[0], 32, 32, 3)
    if len(shape) == 2:
        return Layout(shape, False, 1, *shape, 1)
    if len(shape) == 3 and shape[2] in _CHANNELS:
        return Layout(shape, False, 1, *shape)
    if len(shape) == 3:
        return Layout(shape, False, *shape, 1)
    return Layout(shape, False, *shape) if len(shape) == 4 and shape[3] in _CHANNELS else None


class ArrayWork(NamedTuple):
    """What all workers know of an array."""

    work: Work
    path: Path
    layout: Layout
    missing: tuple[Cell, ...]


class Chunk(NamedTuple):
    """What became of some images of an array."""

    start: int
    stop: int
    failed: dict[str, tuple[str, str]]
    """Cell -> message and hint."""


def corrupt_array(
    work: Work, path: Path, layout: Layout, record: Record | None, chunk: int, workers: int,
    advance: Callable[[int], None],
) -> Done:  # fmt: skip
    """Make every missing cell of an array, chunk by chunk, and put the files in place once they are whole.

    Args:
        work: The job.
        path: The array.
        layout: Its images.
        record: What is known of it.
        chunk: Images at a time.
        workers: Processes.
        advance: Told how many more images are done.

    Raises:
        DataError: If a file cannot be written.
    """
    sha256, done = _hash(path), Done(path.name)
    files = _there(work, path.name, record, sha256)
    before = {(c, int(s)) for c, s, _ in (name.split("/", 2) for name in (record or {"files": {}})["files"])}
    wanted = {*work.cells} if record is None or record["sha256"] == sha256 else {*work.cells, *before}
    missing = tuple(sorted(cell for cell in wanted if file_name(cell, path.name) not in files))
    done.kept = sum(file_name(cell, path.name) in files for cell in work.cells)
    array = ArrayWork(work, path, layout, missing)
    if not missing:
        advance(layout.number)
        return done
    try:
        failed = _fill(array, sha256, chunk, workers, advance)
    except OSError as error:
        raise cannot_write(work.dest, error) from error
    for cell in missing:
        key = cell_key(cell)
        if key in failed:
            done.failures.append(Failure(path.name, key, *failed[key]))
            _part(work, cell).unlink(missing_ok=True)
            continue
        name = file_name(cell, path.name)
        files[name] = _place(work, cell, name)
        done.written += 1
        done.bytes += files[name]["bytes"]
    if files:
        done.record = {"sha256": sha256, "files": files}
    return done


def start_array_worker(array: ArrayWork) -> Callable[[tuple[int, int]], Chunk]:
    """Get ready; returns what does the images from one place to another."""
    corruptor = Corruptor(array.work.settings, array.work.device)
    return lambda part: _do(array, corruptor, *part)


def _do(array: ArrayWork, corruptor: Corruptor, start: int, stop: int) -> Chunk:
    layout, failed = array.layout, {}
    whole = map_array(array.path)
    images = layout.images(whole if layout.number == 1 else whole[start:stop])
    make = corruptor.load(images)
    ids = [str(place) for place in range(start, stop)]
    for cell in array.missing:
        try:
            made = make(cell, ids)
        except UsageError as error:
            failed[cell_key(cell)] = (error.message, error.hint)
            continue
        values = layout.part(made)
        path = _part(array.work, cell)
        try:
            with path.open("r+b") as file:
                file.seek(len(_head(layout.shape)) + start * layout.values)
                file.write(values.data)
                _to_disk(file)  # before it is written down that the chunk is done
        except OSError as error:
            raise cannot_write(path, error) from error
    return Chunk(start, stop, failed)


def _fill(
    array: ArrayWork, sha256: str, chunk: int, workers: int, advance: Callable[[int], None]
) -> dict[str, tuple[str, str]]:
    """Fill the unfinished files; returns the cells that cannot be made.

    Which chunks are done is kept in a file, so that an interrupted job goes on; if anything about it differs, it
    begins anew.
    """
    path = array.work.scratch / CHUNKS
    head = json.dumps([sha256, chunk, [cell_key(cell) for cell in array.missing]])
    finished = {made.start: made for made in _finished(path, head)}
    starts = range(0, array.layout.number, chunk)
    if not _is_there(array, finished.values(), whole=len(finished) == len(starts)):
        finished = {}
        for cell in array.missing:
            with _part(array.work, cell).open("wb") as part:
                part.write(_head(array.layout.shape))
                part.truncate(part.tell() + array.layout.number * array.layout.values)
    path.write_text("".join(f"{line}\n" for line in (head, *map(json.dumps, finished.values()))))
    for made in finished.values():
        advance(made.stop - made.start)
    tasks = [(start, min(start + chunk, array.layout.number)) for start in starts if start not in finished]
    with (
        path.open("a") as journal,
        closing(ordered_map(partial(start_array_worker, array), tasks, min(workers, len(tasks)))) as results,
    ):
        for made in results:
            journal.write(json.dumps(made) + "\n")
            _to_disk(journal)
            finished[made.start] = made
            advance(made.stop - made.start)
    return {cell: why for made in finished.values() for cell, why in made.failed.items()}


def _is_there(array: ArrayWork, finished: Collection[Chunk], *, whole: bool) -> bool:
    """Whether all that the finished chunks were written to is there; whole files may lie in their places already."""
    size = len(_head(array.layout.shape)) + array.layout.number * array.layout.values
    failed = {key for made in finished for key in made.failed}
    return bool(finished) and all(
        has_size(_part(array.work, cell), size)
        or (whole and (cell_key(cell) in failed or has_size(array.work.dest / file_name(cell, array.path.name), size)))
        for cell in array.missing
    )


def _finished(path: Path, head: str) -> Iterator[Chunk]:
    """The chunks done by an interrupted job of the same head; a line torn by a kill is left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        lines = list(whole_lines(file))
    if lines[:1] != [f"{head}\n".encode()]:
        return
    for line in lines[1:]:
        try:
            start, stop, failed = parse_json(line)
            chunk = Chunk(int(start), int(stop), {cell: (why[0], why[1]) for cell, why in failed.items()})
        except (ValueError, TypeError, AttributeError, IndexError, KeyError):  # damaged: its images are made again
            continue
        yield chunk


def _there(work: Work, name: str, record: Record | None, sha256: str) -> dict[str, Any]:
    """The files of the record, without those of wanted cells that are gone."""
    if record is None or record["sha256"] != sha256:
        return {}
    wanted = {file_name(cell, name) for cell in work.cells}
    known = record["files"].items()
    return {path: file for path, file in known if path not in wanted or has_size(work.dest / path, file["bytes"])}


def _place(work: Work, cell: Cell, name: str) -> dict[str, Any]:
    """Move a finished file into place; it lies there already if a job was interrupted here."""
    part, path = _part(work, cell), work.dest / name
    try:
        if part.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("r+b") as file:
                _to_disk(file)
            part.replace(path)
        return {"bytes": path.stat().st_size, "sha256": _hash(path)}
    except OSError as error:
        raise cannot_write(path, error) from error


def _to_disk(file: IO[Any]) -> None:
    """The size tells nothing of a file that has all its length from the start, as it does elsewhere."""
    file.flush()
    os.fsync(file.fileno())


def _part(work: Work, cell: Cell) -> Path:
    return work.scratch / f"{cell[0]}-{cell[1]}.npy"


def _head(shape: Sequence[int]) -> bytes:
    """What stands before the values in a ``.npy`` file of uint8."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)})
    return file.getvalue()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
