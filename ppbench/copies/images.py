"""Copies of image files: each is decoded once, corrupted with others of its shape, and written cell by cell."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.copies.encode import check_format_fits
from ppbench.copies.makers import CellMaker, maker_for
from ppbench.copies.naming import cell_key
from ppbench.copies.plan import CopyPlan
from ppbench.copies.records import Failure
from ppbench.copies.sequences import decode_colours
from ppbench.copies.work import Known, SourceResult, Task, WorkerContext, begin_sources, known_copies
from ppbench.copies.writing import encoded, write_copy
from ppbench.data.image_file import read_regular
from ppbench.data.whole import decode_whole
from ppbench.errors import DataError, UsageError
from ppbench.pool import ordered_map
from ppbench.vocabulary import Cell


def copy_images(plan: CopyPlan, advance: Callable[[int], None]) -> Iterator[SourceResult]:
    """Make the missing copies of image files, batch by batch.

    Args:
        plan: The copies to make.
        advance: Called with the number of images just finished.

    Raises:
        DataError: If a file cannot be written.
    """
    names, size = plan.source.names, plan.batch_size
    # One by one, so that the journal names the files of a batch only when it is handed out.
    tasks = ((begin_sources(plan, names[start : start + size]),) for start in range(0, len(names), size))
    start_worker = partial(start_copying, WorkerContext.of(plan))
    with closing(ordered_map(start_worker, tasks, plan.workers, ahead=4)) as batches:
        for batch in batches:
            yield from batch
            advance(len(batch))


def start_copying(context: WorkerContext) -> Callable[[Sequence[Task]], list[SourceResult]]:
    """Prepare a worker; return the function that makes the copies of some sources."""
    corruptor = maker_for(context.settings, context.device)
    return lambda tasks: list(_copy(context, corruptor, tasks))


class _Decoded(NamedTuple):
    """A source with cells to make."""

    result: SourceResult
    output: str
    """Name of its files in each cell."""
    pixels: NDArray[np.uint8]
    sha256: str
    known: Known

    @property
    def kind(self) -> tuple[Any, ...]:
        """Sources of the same kind can be corrupted in one call."""
        return self.pixels.shape, self.known.missing


def _copy(context: WorkerContext, corruptor: CellMaker, tasks: Sequence[Task]) -> Iterator[SourceResult]:
    decoded: list[_Decoded] = []
    held = 0
    for task in tasks:
        result = SourceResult(task.name)
        source = _decode(context, task, result)
        if source is None:
            yield result
            continue
        values = source.pixels.size
        # Large images of different shapes are not held all at once: those before are written first.
        if decoded and context.most_values is not None and held + values > context.most_values:
            yield from _make_all(context, corruptor, decoded)
            decoded, held = [], 0
        decoded.append(source)
        held += values
    yield from _make_all(context, corruptor, decoded)


def _decode(context: WorkerContext, task: Task, result: SourceResult) -> _Decoded | None:
    """Decode a source. None if no cell is missing, or if it fails; ``result`` then has the failure."""
    try:
        task.name.encode()  # other names cannot be written to the manifest
        data = read_regular(context.root / task.name)
        sha256 = hashlib.sha256(data).hexdigest()
        # Before decoding, which is not needed if all copies exist.
        known = known_copies(context, task, sha256)
        result.kept = known.kept
        if not known.missing:
            return None
        settings = context.settings
        pixels = decode_colours(data) if settings.sequences else decode_whole(data, settings.size)
        check_format_fits(pixels.shape, task.output)
        return _Decoded(result, task.output, pixels, sha256, known)
    except UnicodeEncodeError:
        result.failures.append(Failure(task.name, None, "its name is not valid UTF-8", "Rename it."))
    except OSError as error:
        result.failures.append(
            Failure(task.name, None, f"cannot be read: {error.strerror}", "Make it readable, or remove it.")
        )
    except DataError as error:
        result.failures.append(Failure(task.name, None, error.message, error.hint))
    return None


def _make_all(context: WorkerContext, corruptor: CellMaker, decoded: list[_Decoded]) -> Iterator[SourceResult]:
    for _, group in groupby(sorted(decoded, key=lambda source: source.kind), key=lambda source: source.kind):
        yield from _make(context, corruptor, list(group))


def _make(context: WorkerContext, corruptor: CellMaker, sources: list[_Decoded]) -> Iterator[SourceResult]:
    """Make and write the missing cells of sources of one shape."""
    make = corruptor.load(np.stack([source.pixels for source in sources]))
    ids = [source.result.name for source in sources]
    for cell in sources[0].known.missing:
        try:
            made = make(cell, ids)
        except (UsageError, DataError) as error:  # a corruption that cannot work at this size: the others can
            for source in sources:
                failure = Failure(source.result.name, cell_key(cell), error.message, error.hint)
                source.result.failures.append(failure)
            continue
        for source, pixels in zip(sources, made, strict=True):
            _write(context, source, cell, pixels)
    for source in sources:
        if source.known.files:
            source.result.record = {"sha256": source.sha256, "files": source.known.files}
        yield source.result


def _write(context: WorkerContext, source: _Decoded, cell: Cell, pixels: NDArray[np.uint8]) -> None:
    name = context.file(cell, source.output)
    try:
        files = encoded(pixels, name, cell)
    except DataError as error:
        source.result.failures.append(Failure(source.result.name, cell_key(cell), error.message, error.hint))
        return
    entry = write_copy(context.dest, name, files, context.scratch)
    source.known.files[name] = entry
    source.result.written += 1
    source.result.bytes += entry["bytes"]
