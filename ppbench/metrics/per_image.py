"""Which images a model got wrong, and which images two runs have in common.

The images are the sample of every interval and every test, because all cells share them. A metric is therefore written
as one number per image (`PerImage.weighted` with a quantity's weights), whose mean is the metric.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import DataError
from ppbench.metrics.metric import Unavailable, Weights
from ppbench.metrics.points import by_point
from ppbench.run import CONFIDENCE_STEPS, Predictions, Run, Trials
from ppbench.vocabulary import CLEAN, Cell

BLOCK = 8192
"""The number of images converted to floating point at once; it bounds the memory needed."""

FEWEST = 2
"""The fewest images that have a standard deviation."""


@dataclass(frozen=True, eq=False)
class PerImage:
    """Which images a model got wrong, cell by cell."""

    source: str
    """The model's name."""
    errors: NDArray[np.bool_] | NDArray[np.float32] | NDArray[np.float64]
    """``(cells, n)``, True where the model is wrong; or another number of each image, such as the share of its trials
    that failed, or the confidence lost."""
    cells: Mapping[Cell, int]
    """Row of ``errors`` by (corruption, severity)."""

    @classmethod
    def from_run(cls, run: Run, bits: Mapping[Cell, NDArray[np.bool_]], trials: Trials | None = None) -> PerImage:
        """Return the errors of a run; of a stream those of the points of its walk (`ppbench.metrics.points`).

        Args:
            run: The counts.
            bits: Its correctness bits (`ppbench.run.read_bits`): True where it is right.
            trials: Its trials (`ppbench.run.read_trials`), which it must have if images have several. The errors are
                then the shares of them that failed.

        Raises:
            DataError: If images have several trials, and they are not given.
        """
        keys = [cell.key for cell in run.cells]
        if run.protocol.has_trials:
            if trials is None:
                raise DataError(f"{run.called} has no trials image by image", "Evaluate again to get them.")
            return cls(run.called, _shares(run, trials.failures), {key: row for row, key in enumerate(keys)})
        if run.protocol.stream is not None:
            points = [by_point(~bits[key], run.protocol) for key in keys]
            values = np.stack(points) if points else np.zeros((0, 0))
            return cls(run.called, values, {key: row for row, key in enumerate(keys)})
        rows = [~bits[key] for key in keys]
        errors = np.stack(rows) if rows else np.zeros((0, run.protocol.n), bool)
        return cls(run.called, errors, {key: row for row, key in enumerate(keys)})

    @classmethod
    def of_distances(cls, run: Run, trials: Trials) -> PerImage | None:
        """The mean top-5 distance of each sequence, 0 to 15, in place of errors, float32; None if it is not known."""
        if trials.distances is None:
            return None
        return cls(run.called, _shares(run, trials.distances), {cell.key: row for row, cell in enumerate(run.cells)})

    @classmethod
    def of_confidence(cls, run: Run, predictions: Predictions) -> PerImage | None:
        """The confidence lost in each cell, a fraction: the clean prediction's probability before minus after.

        Returns:
            Values in place of errors, float32; None if there are no probabilities of the labels.
        """
        known = predictions.label_confidences
        if known is None or (CLEAN, 0) not in known:
            return None
        keys = [cell.key for cell in run.cells]
        clean = known[CLEAN, 0].astype(np.float32)
        values = (np.stack([clean - known[key] for key in keys]) / CONFIDENCE_STEPS).astype(np.float32)
        return cls(run.model.name, values, {key: row for row, key in enumerate(keys)})

    @property
    def n(self) -> int:
        """The number of images."""
        return self.errors.shape[1]

    def weighted(self, weights: Weights) -> NDArray[np.float64]:
        """``(n,)`` float64: each image's errors, weighted by cell and summed.

        Raises:
            Unavailable: If one of the cells is missing.
        """
        factors = np.zeros(len(self.errors))
        factors[self.rows(weights)] = list(weights.values())
        # Only the cells with a weight are converted, which takes eight times their memory.
        used = np.flatnonzero(factors)
        starts = range(0, self.n, BLOCK)
        parts = [factors[used] @ self.errors[used, start : start + BLOCK].astype(np.float64) for start in starts]
        return np.concatenate(parts) if parts else np.zeros(0)

    def rows(self, cells: Iterable[Cell]) -> list[int]:
        """Rows of these cells in ``errors``.

        Raises:
            Unavailable: If one of them is missing.
        """
        cells = list(cells)
        missing = [cell for cell in cells if cell not in self.cells]
        if missing:
            raise Unavailable.for_cells(self.source, missing, len(cells))
        return [self.cells[cell] for cell in cells]


def _shares(run: Run, sums: Mapping[Cell, NDArray[Any]]) -> NDArray[np.float32]:
    """Divide the sums over each image's trials by their number: ``(cells, n)``."""
    rows = [sums[cell.key].astype(np.float32) / np.float32(cell.trials or 1) for cell in run.cells]
    return np.stack(rows) if rows else np.zeros((0, run.protocol.n), np.float32)


class SharedImages(NamedTuple):
    """Images that are on both sides."""

    one: NDArray[np.int64]
    """``(k,)`` their places on the first side, in the order of the keys, whichever side is the first."""
    other: NDArray[np.int64]
    """``(k,)`` on the second, in the same order."""


def shared_images(one: NDArray[np.uint64] | None, other: NDArray[np.uint64] | None) -> SharedImages | None:
    """Find the images that are on both sides by their keys (`ppbench.run.image_keys`).

    Args:
        one: ``(n,)``, no two the same; None if unknown.
        other: ``(m,)``, the same of the other side.

    Returns:
        Their places; None if a side has no keys.
    """
    if one is None or other is None:
        return None
    _, here, there = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return SharedImages(here, there)
