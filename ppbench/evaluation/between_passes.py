"""What varies between passes in which all images share draws, while an evaluation may still stop. Free of torch.

More images say ever better what these passes are, and nothing about others. So an interval that is waited for gets a
part of its own for them: Student's, from the variance between the passes. Each part has half of the error probability,
so that both hold at once. The first one holds at every look. The second one is about one number that no look changes,
the distance of these passes from all that there could be; only its estimate becomes better.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ppbench.evaluation.tally import Tally
from ppbench.metrics.intervals import Interval, student_quantile
from ppbench.metrics.metric import Weights


class BetweenPasses:
    """A metric in each pass, over the images of the chunks that were looked at.

    Args:
        weights: Weights of an image's errors in the metric, by cell.
        chunk_of: ``(n,)``: the chunk of each image.
        confidence: Probability of covering what other passes would give.
        baseline: ``(passes,)``: what is subtracted from each; None: nothing.
    """

    def __init__(
        self, weights: Weights, chunk_of: NDArray[np.int64], confidence: float, baseline: NDArray[np.float64] | None
    ) -> None:
        self._weights, self._chunk_of, self._confidence, self._baseline = weights, chunk_of, confidence, baseline
        self._waiting: dict[int, NDArray[np.float64]] = {}
        self._sums: NDArray[np.float64] | None = None
        self._counted = self._images = 0

    def look(self, tally: Tally, chunk: int, images: int) -> None:
        """Take a chunk, all of whose images are in the tally.

        Args:
            tally: The model's; each of its pieces is within one chunk.
            chunk: Number of the chunk.
            images: How many of its images could be read.
        """
        for piece in tally.pieces[self._counted :]:
            weight = self._weights.get(piece.cell, 0.0)
            if weight and piece.trials is not None and piece.trials.right is not None and len(piece.places):
                wrong = weight * np.count_nonzero(~piece.trials.right, axis=0)
                place = int(self._chunk_of[piece.places[0]])
                self._waiting[place] = self._waiting.get(place, 0.0) + wrong
        self._counted = len(tally.pieces)
        found = self._waiting.pop(chunk, None)
        if found is not None:
            self._sums = found if self._sums is None else self._sums + found
        self._images += images

    @property
    def reach(self) -> float:
        """Half-width of this part of the interval, a fraction; 0 with one pass, which says nothing of others."""
        if self._sums is None or len(self._sums) < 2:
            return 0.0
        values = self._sums / self._images
        values = values if self._baseline is None else values - self._baseline
        return student_quantile(len(values), self._confidence) * float(values.std(ddof=1)) / math.sqrt(len(values))

    def widened(self, interval: Interval, bounds: tuple[float, float]) -> Interval:
        """Add this part to the interval over images, within the bounds of the metric."""
        reach = self.reach
        return interval._replace(low=max(bounds[0], interval.low - reach), high=min(bounds[1], interval.high + reach))
