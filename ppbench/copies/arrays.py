"""Copies of an array: images are corrupted chunk by chunk into one file per cell, moved into place when complete."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ppbench.copies.layout import ArrayLayout
from ppbench.copies.makers import CellMaker, maker_for
from ppbench.copies.naming import cell_key
from ppbench.copies.plan import CopyPlan
from ppbench.copies.records import Failure, cannot_write
from ppbench.copies.sequences import shape_of_frames
from ppbench.copies.sources import ImageArray
from ppbench.copies.work import SourceResult, WorkerContext, begin_sources, has_size, known_copies
from ppbench.data.npy import map_array
from ppbench.errors import DataError, UsageError
from ppbench.files import whole_lines
from ppbench.parsing import parse_json
from ppbench.pool import ordered_map
from ppbench.vocabulary import Cell

CHUNKS = "chunks"
"""File in the scratch folder that lists finished chunks, so that an interrupted job can be resumed."""


class _Filling(NamedTuple):
    """An array whose copies are being filled, as all workers know it."""

    context: WorkerContext
    path: Path
    layout: ArrayLayout
    output: str
    """Name of its copies."""
    missing: tuple[Cell, ...]

    def unfinished(self, cell: Cell) -> Path:
        """The unfinished file of a cell."""
        return self.context.scratch / f"{cell[0]}-{cell[1]}.npy"

    def place(self, cell: Cell) -> Path:
        """The finished file of a cell."""
        return self.context.dest / self.context.file(cell, self.output)

    def shape(self, cell: Cell) -> tuple[int, ...]:
        """Shape of the array of a cell."""
        layout, settings = self.layout, self.context.settings
        if not settings.sequences:
            return layout.shape
        frames = shape_of_frames(cell[0], settings.recipe, layout.height, layout.width)
        return (layout.number, *frames, layout.channels)

    def size(self, cell: Cell) -> int:
        """Bytes of the file of a cell."""
        return len(_head(self.shape(cell))) + math.prod(self.shape(cell))


class _Chunk(NamedTuple):
    """Outcome of some images of an array."""

    start: int
    stop: int
    failed: dict[str, tuple[str, str]]
    """Cell -> message and hint."""


def copy_array(plan: CopyPlan, source: ImageArray, advance: Callable[[int], None]) -> Iterator[SourceResult]:
    """Make the missing copies of an array.

    Args:
        plan: The copies to make.
        source: The array.
        advance: Called with the number of images just finished.

    Raises:
        DataError: If a file cannot be written.
    """
    context, path, layout = WorkerContext.of(plan), source.path, source.layout
    (task,) = begin_sources(plan, source.names)
    sha256, result = _hash(path), SourceResult(path.name)
    files, missing, result.kept = known_copies(context, task, sha256)
    if not missing:
        advance(layout.number)
        yield result
        return
    filling = _Filling(context, path, layout, task.output, missing)
    try:
        failed = _fill(filling, sha256, plan.batch_size, plan.workers, advance)
    except OSError as error:
        raise cannot_write(plan.dest, error) from error
    for cell in missing:
        key = cell_key(cell)
        if key in failed:
            result.failures.append(Failure(path.name, key, *failed[key]))
            filling.unfinished(cell).unlink(missing_ok=True)
            continue
        name = context.file(cell, task.output)
        files[name] = _place(filling.unfinished(cell), filling.place(cell))
        result.written += 1
        result.bytes += files[name]["bytes"]
    if files:
        result.record = {"sha256": sha256, "files": files}
    yield result


def start_filling(filling: _Filling) -> Callable[[int, int], _Chunk]:
    """Prepare a worker; return the function that corrupts a range of images."""
    corruptor = maker_for(filling.context.settings, filling.context.device)
    return partial(_fill_chunk, filling, corruptor)


def _fill_chunk(filling: _Filling, corruptor: CellMaker, start: int, stop: int) -> _Chunk:
    layout, failed = filling.layout, {}
    make = corruptor.load(layout.images(map_array(filling.path), start, stop))
    # The id of an image is its place, so that the draws do not depend on the size of the batches.
    ids = [str(place) for place in range(start, stop)]
    for cell in filling.missing:
        try:
            made = make(cell, ids)
        except (UsageError, DataError) as error:
            failed[cell_key(cell)] = (error.message, error.hint)
            continue
        part = made if filling.context.settings.sequences else layout.part(made)
        path = filling.unfinished(cell)
        try:
            # Workers write different parts of the file, which has its full size already.
            with path.open("r+b") as file:
                file.seek(filling.size(cell) - (layout.number - start) * (part.nbytes // len(part)))
                file.write(part.data)
                _to_disk(file)  # before the chunk is listed as finished
        except OSError as error:
            raise cannot_write(path, error) from error
    return _Chunk(start, stop, failed)


def _fill(
    filling: _Filling, sha256: str, size: int, workers: int, advance: Callable[[int], None]
) -> dict[str, tuple[str, str]]:
    """Fill the unfinished files; return the cells that cannot be made, with message and hint.

    Chunks of an interrupted job are kept if array, batch size and cells are the same; otherwise all are made again.
    """
    path = filling.context.scratch / CHUNKS
    head = json.dumps([sha256, size, [cell_key(cell) for cell in filling.missing]])
    finished = {chunk.start: chunk for chunk in _finished(path, head)}
    starts = range(0, filling.layout.number, size)
    if not _is_there(filling, finished.values(), whole=len(finished) == len(starts)):
        finished = {}
        for cell in filling.missing:
            with filling.unfinished(cell).open("wb") as file:
                file.write(_head(filling.shape(cell)))
                file.truncate(filling.size(cell))
    # Rewritten, so that a damaged or outdated line is not read again after the next interruption.
    path.write_text("".join(f"{line}\n" for line in (head, *map(json.dumps, finished.values()))))
    for chunk in finished.values():
        advance(chunk.stop - chunk.start)
    tasks = [(start, min(start + size, filling.layout.number)) for start in starts if start not in finished]
    start_worker = partial(start_filling, filling)
    # Closed at once if anything fails here, which ends the workers.
    with path.open("a") as journal, closing(ordered_map(start_worker, tasks, min(workers, len(tasks)))) as chunks:
        for chunk in chunks:
            # The data of a listed chunk are on the disk already: its worker flushed them.
            journal.write(json.dumps(chunk) + "\n")
            _to_disk(journal)
            finished[chunk.start] = chunk
            advance(chunk.stop - chunk.start)
    return {cell: why for chunk in finished.values() for cell, why in chunk.failed.items()}


def _is_there(filling: _Filling, finished: Collection[_Chunk], *, whole: bool) -> bool:
    """Whether all files with finished chunks exist; once all chunks are finished, files may be in their places."""
    failed = {key for chunk in finished for key in chunk.failed}
    return bool(finished) and all(
        has_size(filling.unfinished(cell), filling.size(cell))
        or (whole and (cell_key(cell) in failed or has_size(filling.place(cell), filling.size(cell))))
        for cell in filling.missing
    )


def _finished(path: Path, head: str) -> Iterator[_Chunk]:
    """The chunks that an interrupted job with the same head finished. A line cut off by a kill is skipped."""
    if not path.exists():
        return
    with path.open("rb") as file:
        lines = list(whole_lines(file))
    if lines[:1] != [f"{head}\n".encode()]:
        return
    for line in lines[1:]:
        try:
            start, stop, failed = parse_json(line)
            yield _Chunk(int(start), int(stop), {cell: (why[0], why[1]) for cell, why in failed.items()})
        except (ValueError, TypeError, AttributeError, LookupError):  # damaged: its images are made again
            continue


def _place(unfinished: Path, path: Path) -> dict[str, Any]:
    """Move a filled file into place; it is there already if a job was interrupted here."""
    try:
        if unfinished.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("r+b") as file:
                _to_disk(file)
            unfinished.replace(path)
        return {"bytes": path.stat().st_size, "sha256": _hash(path)}
    except OSError as error:
        raise cannot_write(path, error) from error


def _to_disk(file: IO[Any]) -> None:
    """Flush a file to disk.

    Copies of image files do not need this: their size shows whether they are complete. Arrays have their full size
    from the start.
    """
    file.flush()
    os.fsync(file.fileno())


def _head(shape: Sequence[int]) -> bytes:
    """Header of a ``.npy`` file of uint8 values."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)})
    return file.getvalue()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
