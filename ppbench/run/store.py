"""Run files and the arrays beside them: reading, writing, and a run with its arrays. Free of torch.

Each file appears whole or not at all. One file beside the run holds its correctness bits and, in newer files, a second
array with the images' keys.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pydantic import ValidationError

from ppbench.errors import DataError
from ppbench.files import atomic_write, read_text
from ppbench.parsing import parse_json
from ppbench.run.attached import is_page, read_attached, run_in_page
from ppbench.run.content import compacted, laid_out, of_this_version
from ppbench.run.fields import as_utf8, first_problem
from ppbench.run.npy import RESTORE, take_array
from ppbench.run.predictions import Predictions, predictions_content, predictions_file
from ppbench.run.schema import PROBABILITY_COUNTS, VERSION, Bits, CellCounts, PredictionsFile, Run
from ppbench.run.trial_counts import TrialsFile
from ppbench.run.trials import Trials, trials_content, trials_file
from ppbench.vocabulary import CLEAN, Cell, cell_in_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class MeasuredRun:
    """One run, with its results image by image."""

    run: Run
    bits: Mapping[Cell, NDArray[np.bool_]]
    """``(n,)`` by cell: which images were right."""
    keys: NDArray[np.uint64] | None = None
    """``(n,)``: keys of the images (`image_keys`); None if unknown, as in files older than keys."""
    predictions: Predictions | None = None
    """The predicted classes in the same order; None if they are not kept."""
    is_part: bool = False
    """Whether it has only a part of the run's images, whose top-1 results alone are known."""
    trials: Trials | None = None
    """The failures in the same order, where images have several trials; None if they have not, or are not kept."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.run}>"

    def write(self, path: Path, *, compact: bool = False) -> Self:
        """Write the run file and the files beside it, as `write_run` does; return the run as written."""
        written = write_run(path, self.run, self.bits, self.keys, self.predictions, self.trials, compact=compact)
        return replace(self, run=written)

    def restricted(self, corruptions: Sequence[str], severities: Sequence[int]) -> Self:
        """Restrict the run to some corruptions and severities; the clean images stay."""
        protocol = self.run.protocol
        wanted = {
            "corruptions": tuple(name for name in protocol.corruptions if name in corruptions),
            "severities": tuple(level for level in protocol.severities if level in severities),
        }
        kept = [
            c
            for c in self.run.cells
            if c.corruption == CLEAN or (c.corruption in corruptions and c.severity in severities)
        ]
        run = self.run.model_copy(update={"protocol": protocol.model_copy(update=wanted), "cells": tuple(kept)})
        return replace(self, run=run)

    def of_images(self, places: NDArray[np.int64], ids_sha256: str) -> Self:
        """Restrict the run to some images. Only the top-1 counts remain, since bits determine no others.

        Args:
            places: ``(k,)``: places of the images, in the order of the result.
            ids_sha256: Hash that identifies these images.
        """
        bits = {cell: right[places] for cell, right in self.bits.items()}
        trials = self.trials and self.trials.of_images(places)
        n = len(places)
        cells = tuple(_of_a_part(cell, n, int(bits[cell.key].sum()), trials) for cell in self.run.cells)
        protocol = self.run.protocol.model_copy(update={"n": n, "ids_sha256": ids_sha256})
        run = self.run.model_copy(update={"protocol": protocol, "cells": cells})
        keys = None if self.keys is None else self.keys[places]
        predictions = self.predictions and self.predictions.of_images(places)
        return replace(self, run=run, bits=bits, keys=keys, predictions=predictions, is_part=True, trials=trials)


def _of_a_part(cell: CellCounts, n: int, top1: int, trials: Trials | None) -> CellCounts:
    """Return the counts of a cell over n of its images: those that are known image by image."""
    counts: dict[str, Any] = dict.fromkeys(PROBABILITY_COUNTS)
    if trials is not None:
        counts |= {"trials": cell.trials, "failures": int(trials.failures[cell.key].sum(dtype="int64"))}
        if trials.distances is not None:
            counts["top5_distance"] = int(trials.distances[cell.key].sum(dtype="int64"))
    return CellCounts(corruption=cell.corruption, severity=cell.severity, n=n, top1=top1, **counts)


def write_run(
    path: Path,
    run: Run,
    bits: Mapping[Cell, NDArray[np.bool_]] | None = None,
    keys: NDArray[np.uint64] | None = None,
    predictions: Predictions | None = None,
    trials: Trials | None = None,
    *,
    compact: bool = False,
) -> Run:
    """Write ``run`` and, beside it, the results image by image; each file appears whole or not at all.

    Args:
        path: The run file (``….json``).
        run: The record; its ``bits``, ``predictions`` and ``trials`` entries are filled in here.
        bits: ``(n,)`` booleans per cell of the run, in the order of the images.
        keys: ``(n,)``, keys of the images (`image_keys`) in the same order. Without them the run can be paired only
            with runs of exactly the same images.
        predictions: The predictions in the same order, if they are kept. A baseline never keeps them.
        trials: The failures in the same order, where images have several trials.
        compact: Whether to write only what a baseline needs, so that runs with equal results have equal files: no
            provenance, no card, no predictions and no nulls.

    Returns:
        The run as written.

    Raises:
        DataError: If the folder cannot be written.
    """
    run, files = with_files(path, run, bits, keys, None if compact else predictions, trials)
    # Before the run file, which then never names a file that is not there.
    for name, content in files.items():
        atomic_write(path.with_name(name), content)
    record = run.model_dump(mode="json")
    atomic_write(path, laid_out(compacted(record) if compact else record) + "\n")
    return _of_file(run, path)


def with_files(
    path: Path,
    run: Run,
    bits: Mapping[Cell, NDArray[np.bool_]] | None = None,
    keys: NDArray[np.uint64] | None = None,
    predictions: Predictions | None = None,
    trials: Trials | None = None,
) -> tuple[Run, dict[str, bytes]]:
    """Return a run that names the files beside it, and these files by name; see `write_run` for the arguments."""
    files: dict[str, bytes] = {}
    entries: dict[str, Any] = {"predictions": None, "trials": None}
    if bits is not None:
        name, content = bits_file(path).name, _bits_content(run, bits, keys)
        files[name] = content
        entries["bits"] = Bits(file=as_utf8(name), sha256=hashlib.sha256(content).hexdigest())
    if predictions is not None and run.cells:
        name, content = predictions_file(path).name, predictions_content(run, predictions)
        files[name] = content
        entries["predictions"] = PredictionsFile(
            file=as_utf8(name), sha256=hashlib.sha256(content).hexdigest(), class_names=predictions.class_names
        )
    if trials is not None and run.cells:
        name, content = trials_file(path).name, trials_content(run, trials)
        files[name] = content
        entries["trials"] = TrialsFile(file=as_utf8(name), sha256=hashlib.sha256(content).hexdigest())
    return run.model_copy(update=entries), files


def read_run(path: Path | str) -> Run:
    """Read a run file of this or an earlier version, or the run inside a page of ``ppbench report``.

    Raises:
        DataError: If the file is missing, is not a run file, is of a later version, or contradicts itself.
    """
    path = Path(path)
    try:
        content = run_in_page(path) if is_page(path) else parse_json(read_text(path))
    except OSError as error:
        raise DataError(f"cannot read the run {path}: {error.strerror}", "`ppbench eval` writes run files.") from error
    except ValueError as error:
        fault = error if is_page(path) else f"it is not JSON ({error})"
        raise DataError(f"{path} is not a run file: {fault}", "`ppbench eval` writes run files.") from error
    version = content.get("version") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise DataError(f"{path} is not a run file: it has no version", "`ppbench eval` writes run files.")
    if version > VERSION:
        raise DataError(
            f"{path} is a run file of version {version}; this ppbench reads up to {VERSION}",
            "Update ppbench: `git pull && uv sync` in its clone.",
        )
    try:
        return _of_file(Run.model_validate(of_this_version(content)), path)
    except ValidationError as error:
        raise DataError(f"{path} is damaged: {first_problem(error)}", RESTORE) from error


def _of_file(run: Run, path: Path) -> Run:
    """The run, which now knows its file. It stays equal to the same run from elsewhere."""
    # Past pydantic, whose model is frozen. Absolute, so that a later change of folder does not lose it.
    vars(run)["path"] = path.absolute()
    return run


class _Arrays(NamedTuple):
    file: Path
    packed: NDArray[np.uint8]
    keys: NDArray[np.uint64] | None


def image_keys(ids: Sequence[str]) -> NDArray[np.uint64] | None:
    """Compute a key for each image, the same in every run: the first 8 bytes of the id's BLAKE2b hash, low byte first.

    Returns:
        ``(n,)`` uint64; None if two images have the same key, so that keys would not distinguish them.
    """
    import numpy as np

    # 8 bytes: among a million images, two share a key with a probability of 3 in 100 million.
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids)
    keys = np.frombuffer(digests, "<u8").astype(np.uint64)
    return keys if len(np.unique(keys)) == len(keys) else None


def bits_file(path: Path) -> Path:
    """Return the path of the bits that belong to a run file, beside it."""
    return path.with_name(f"{path.name.removesuffix('.json')}.bits.npy")


def _bits_content(run: Run, bits: Mapping[Cell, NDArray[np.bool_]], keys: NDArray[np.uint64] | None) -> bytes:
    """Return the content of the file of bits.

    Args:
        run: The run, whose cells give the order.
        bits: ``(n,)`` booleans per cell of the run.
        keys: ``(n,)``, keys of the images (`image_keys`), if they are known.
    """
    import numpy as np

    buffer = io.BytesIO()
    # Two arrays after each other: readers that know only the first read it and stop.
    np.save(buffer, np.stack([np.packbits(bits[cell.key]) for cell in run.cells]), allow_pickle=False)
    if keys is not None:
        np.save(buffer, keys.astype("<u8"), allow_pickle=False)
    return buffer.getvalue()


def read_arrays(path: Path | str, run: Run) -> tuple[dict[Cell, NDArray[np.bool_]], NDArray[np.uint64] | None]:
    """Read the correctness bits and the images' keys (`image_keys`) that belong to the run file at ``path``.

    Returns:
        ``(n,)`` booleans per cell, and ``(n,)`` keys in the same order. The keys are None if the file was written
        without them, as files of earlier versions were.

    Raises:
        DataError: If there are no bits, the file is not the one the run was written with, its bits contradict the run,
            or its keys are malformed or contain a key twice.
    """
    arrays = _read_arrays(path, run)
    return _unpacked(arrays, run), _checked_keys(arrays)


def read_bits(path: Path | str, run: Run) -> dict[Cell, NDArray[np.bool_]]:
    """Read the correctness bits as `read_arrays` does, without checking the keys."""
    return _unpacked(_read_arrays(path, run), run)


def read_image_keys(path: Path | str, run: Run) -> NDArray[np.uint64] | None:
    """Read the images' keys as `read_arrays` does, without checking the bits."""
    return _checked_keys(_read_arrays(path, run))


def _unpacked(arrays: _Arrays, run: Run) -> dict[Cell, NDArray[np.bool_]]:
    import numpy as np

    found = {}
    for cell, row in zip(run.cells, arrays.packed, strict=True):
        found[cell.key] = np.unpackbits(row, count=cell.n).astype(bool)
        if np.count_nonzero(found[cell.key]) != cell.top1:
            fault = f"its bits of {cell_in_words(cell.key)} are not the {cell.top1} right images of the run file"
            raise DataError(f"{arrays.file} is damaged: {fault}", RESTORE)
    return found


def _checked_keys(arrays: _Arrays) -> NDArray[np.uint64] | None:
    import numpy as np

    if arrays.keys is not None and len(np.unique(arrays.keys)) < len(arrays.keys):
        raise DataError(f"{arrays.file} is damaged: its images' keys have one key twice", RESTORE)
    return arrays.keys


def _read_arrays(path: Path | str, run: Run) -> _Arrays:
    if run.bits is None:
        raise DataError(f"{path} has no correctness bits", "Evaluate again to get them.")
    images, shape = run.protocol.n, (len(run.cells), -(-run.protocol.n // 8))
    # The run says how large the file can be; twice that leaves room for the headers.
    most = 2 * (shape[0] * shape[1] + 8 * images) + 2**20
    file, content = read_attached(Path(path), run.bits.file, run.bits.sha256, most)
    packed, end = take_array(file, content, 0, shape, "|u1", "it has")
    if end == len(content):
        return _Arrays(file, packed, None)
    return _Arrays(file, packed, take_array(file, content, end, (images,), "<u8", "its images' keys have")[0])
