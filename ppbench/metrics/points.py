"""The points of a stream's walk, over which its frames are counted together (`ppbench.metrics.of_streams`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ppbench.metrics.intervals import Interval, deviation, fraction_interval, quantile, student_quantile
from ppbench.run import Protocol

FEWEST_POINTS = 8
"""The fewest points whose spread makes an interval of a part of a stream."""


def point_numbers(protocol: Protocol) -> NDArray[np.int64]:
    """The number of the point of the walk that each frame of a run is at, ``(n,)``, without gaps from 0."""
    assert protocol.stream is not None
    lost = [int(name.rpartition("/")[2]) for name in protocol.unreadable or ()]
    frames = np.arange(protocol.n + len(lost))
    kept = np.delete(frames, [place for place in lost if place < len(frames)])
    # Of a part of the images, as in a comparison of runs of other lengths, only the order is known.
    numbers = (kept if len(kept) == protocol.n else np.arange(protocol.n)) // protocol.stream.speed
    return np.unique(numbers, return_inverse=True)[1]


def by_point(wrong: NDArray[np.bool_], protocol: Protocol) -> NDArray[np.float64]:
    """Return a value per point of the walk, whose mean is the share of wrong frames: ``(points,)``.

    With as many frames at each point it is the point's own share. The last point may have fewer: it then counts less,
    by the linear part of the ratio of the two sums.

    Args:
        wrong: ``(n,)`` by frame.
        protocol: The run's.
    """
    numbers = point_numbers(protocol)
    frames = np.bincount(numbers).astype(np.float64)
    errors = np.bincount(numbers, weights=wrong)
    share = errors.sum() / frames.sum()
    return share + (errors - share * frames) * (len(frames) / frames.sum())


def interval_of_points(shares: NDArray[np.float64], value: float, confidence: float) -> Interval | None:
    """The interval of a mean share over some points, a fraction; None if there are fewer than `FEWEST_POINTS`.

    Student's quantile replaces the normal one in the effective number (Korn & Graubard, Survey Methodology 1998), as in
    `ppbench.metrics.by_class`.

    Args:
        shares: ``(points,)``: the shares of frames that are right, or wrong, at each point.
        value: The share over all their frames.
        confidence: Probability of covering it if points were drawn again, independently.
    """
    if len(shares) < FEWEST_POINTS:
        return None
    wider = student_quantile(len(shares), confidence) / quantile(confidence)
    return fraction_interval(value, wider * deviation(shares), len(shares), confidence)
