"""The failed trials of each image, where images have several (`ppbench.run.trial_counts`), and the file of them.

It is beside the run file. Free of torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ppbench.errors import DataError
from ppbench.run.attached import read_attached
from ppbench.run.npy import RESTORE, bytes_of_gzip, gzip_of_arrays, take_array
from ppbench.run.trial_counts import LARGEST_DISTANCE
from ppbench.vocabulary import Cell, cell_in_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ppbench.run.schema import Run


@dataclass(frozen=True, eq=False)
class Trials:
    """The failed trials of each image in each cell."""

    failures: Mapping[Cell, NDArray[np.uint8]]
    """``(n,)`` by cell: trials of each image that failed."""
    distances: Mapping[Cell, NDArray[np.uint16]] | None = None
    """``(n,)`` by cell: the summed top-5 distance of the pairs of each sequence; None if it is not known."""

    def of_images(self, places: NDArray[np.int64]) -> Self:
        """Restrict them to the images at these places ``(k,)``, in this order."""
        distances = self.distances and {cell: values[places] for cell, values in self.distances.items()}
        return type(self)({cell: values[places] for cell, values in self.failures.items()}, distances)

    def bits(self) -> dict[Cell, NDArray[np.bool_]]:
        """``(n,)`` by cell: the images without a failure, which are the correctness bits of such a run."""
        return {cell: failed == 0 for cell, failed in self.failures.items()}


def trials_file(path: Path) -> Path:
    """Return the path of the trials that belong to a run file, beside it."""
    return path.with_name(f"{path.name.removesuffix('.json')}.trials.npy.gz")


def trials_content(run: Run, trials: Trials) -> bytes:
    """Return the content of the file of trials, which any tool can read: arrays of ``.npy`` in one gzip stream.

    These are failures ``(cells, n)`` uint8 and, if they are known, top-5 distances ``(cells, n)`` uint16.
    """
    import numpy as np

    keys = [cell.key for cell in run.cells]
    arrays = [np.stack([trials.failures[key] for key in keys]).astype("|u1")]
    if trials.distances is not None:
        arrays.append(np.stack([trials.distances[key] for key in keys]).astype("<u2"))
    return gzip_of_arrays(arrays)


def read_trials(path: Path | str, run: Run) -> Trials:
    """Read the trials that belong to the run file at ``path``.

    Raises:
        DataError: If there are none, the file is not the one the run was written with, or it contradicts the run.
    """
    if run.trials is None:
        raise DataError(f"{path} has no trials image by image", "Evaluate again to get them.")
    shape = (len(run.cells), run.protocol.n)
    # The run says how large the arrays can be; the rest is for their headers.
    most = 3 * shape[0] * shape[1] + 2**16
    file, packed = read_attached(Path(path), run.trials.file, run.trials.sha256, most + 2**20)
    content = bytes_of_gzip(file, packed, most)
    keys = [cell.key for cell in run.cells]
    failures, end = take_array(file, content, 0, shape, "|u1", "its failures have")
    distances = None
    if end < len(content):
        rows, _ = take_array(file, content, end, shape, "<u2", "its distances have")
        distances = dict(zip(keys, rows, strict=True))
    trials = Trials(dict(zip(keys, failures, strict=True)), distances)
    if problem := contradiction(run, trials):
        raise DataError(f"{file} is damaged: {problem}", RESTORE)
    return trials


def trials_if_any(path: Path | str, run: Run) -> Trials | None:
    """Read the trials of a run whose images have several, as `read_trials` does; None for any other run."""
    return read_trials(path, run) if run.protocol.has_trials else None


def contradiction(run: Run, trials: Trials) -> str | None:
    """Say in which cell trials are not those of a run file; None if all are."""
    import numpy as np

    for cell in run.cells:
        failed = trials.failures[cell.key]
        found = (int(failed.sum(dtype=np.int64)), int((failed == 0).sum()))
        where = cell_in_words(cell.key)
        if found != (cell.failures, cell.top1) or int(failed.max(initial=0)) > (cell.trials or 0):
            return f"its failures of {where} are not the {cell.failures} of the run file"
        distance = None if trials.distances is None else trials.distances[cell.key]
        if distance is None and cell.top5_distance is None:
            continue
        if distance is None or int(distance.sum(dtype=np.int64)) != cell.top5_distance:
            return f"its distances of {where} are not the {cell.top5_distance} of the run file"
        if int(distance.max(initial=0)) > LARGEST_DISTANCE * (cell.trials or 0):
            return f"a distance of {where} is larger than {LARGEST_DISTANCE} for each pair of frames"
    return None
