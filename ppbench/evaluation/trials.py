"""What is counted of images with several trials. Free of torch.

The trials are the compared frames of a sequence, of which some flip, or the passes of a network, of which some are
wrong.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ppbench.run import LARGEST_DISTANCE


class TrialCounts(NamedTuple):
    """The trials of some images of one cell."""

    each: int
    """Trials of each image, at most 255."""
    failures: NDArray[np.uint8]
    """``(n,)``: how many of them failed."""
    distances: NDArray[np.uint16] | None = None
    """``(n,)``: sums of the top-5 distances; None if there are none, as for fewer than five classes."""
    right: NDArray[np.bool_] | None = None
    """``(n, each)``: which passes were right; None if the trials are no passes."""

    @classmethod
    def of_passes(cls, right: NDArray[np.bool_]) -> TrialCounts:
        """The trials of images that are right in some passes, ``(n, passes)``."""
        return cls(right.shape[1], np.count_nonzero(~right, axis=1).astype(np.uint8), right=right)

    def part(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Restrict them to some images."""
        distances = None if self.distances is None else self.distances[keep]
        right = None if self.right is None else self.right[keep]
        return self._replace(failures=self.failures[keep], distances=distances, right=right)

    def totals(self) -> NDArray[np.int64]:
        """``(2,)``: the sums of failures and of distances."""
        distances = 0 if self.distances is None else self.distances.sum(dtype=np.int64)
        return np.array([self.failures.sum(dtype=np.int64), distances], np.int64)

    def are_possible(self) -> bool:
        """Whether the counts fit the number of trials."""
        far = 0 if self.distances is None else int(self.distances.max(initial=0))
        most = int(self.failures.max(initial=0))
        return 1 <= self.each <= np.iinfo(np.uint8).max and most <= self.each and far <= LARGEST_DISTANCE * self.each

    @classmethod
    def joined(cls, parts: list[TrialCounts]) -> TrialCounts:
        """Put the trials of some pieces of one cell after each other."""
        known = [part.distances for part in parts if part.distances is not None]
        failures = np.concatenate([part.failures for part in parts])
        right = [part.right for part in parts if part.right is not None]
        return cls(
            parts[0].each,
            failures,
            np.concatenate(known) if len(known) == len(parts) else None,
            np.concatenate(right) if len(right) == len(parts) else None,
        )

    def as_counts(self) -> dict[str, Any]:
        """The counts as the cells of a run file name them."""
        failures, distance = self.totals().tolist()
        found: dict[str, Any] = {"trials": self.each, "failures": failures}
        if self.right is not None:
            found["right_by_pass"] = tuple(self.right.sum(0, dtype=np.int64).tolist())
        return found if self.distances is None else found | {"top5_distance": distance}
