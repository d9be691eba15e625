"""The metrics of perturbation sequences: how often, and how far, predictions change from frame to frame.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR
2019, section 4.3. All sequences weigh the same. Results are fractions and places, not percent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ppbench.errors import UsageError

if TYPE_CHECKING:
    # `ppbench.metrics` offers these functions, and `ppbench show` of a run without bits answers sooner without numpy.
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Distance = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float64]]
    """Of frames from those they are compared with, both ``(sequences, comparisons[, classes])``: one number each."""

TOP = 5
"""Places at the top of the ranking that the top-5 distance looks at."""


def flip_probability(predictions: ArrayLike, *, noise: bool, difficulty: int = 1) -> float:
    """Return how often the prediction differs from that for the frame it is compared with, 0 to 1.

    Args:
        predictions: ``(sequences, frames)``: predicted classes.
        noise: Whether frames are compared with the first one, which is clean, as for the noises. Others are compared
            with the frame before.
        difficulty: How far apart compared frames are, 1 to 3. It does not matter for noise, whose frames themselves
            differ.

    Raises:
        UsageError: If the array has another shape or fewer than two frames to compare.
    """
    return float(flips(predictions, noise=noise, difficulty=difficulty).mean())


def flips(predictions: ArrayLike, *, noise: bool, difficulty: int = 1) -> NDArray[np.float64]:
    """Return the part of the comparisons that flip, for each sequence: ``(sequences,)``. See `flip_probability`."""
    import numpy as np

    values = _sequences(predictions, 2)
    return _mean_over_frames(values, noise, difficulty, lambda new, old: (new != old).astype(np.float64))


def top5_distance(logits: ArrayLike, *, noise: bool, difficulty: int = 1) -> float:
    """Return how far the five highest classes move in the ranking, 0 to 15: the unnormalised uT5D.

    The class at place i of the frame before adds ``|i - min(its new place, 6)|``. The distance is not symmetric.

    Args:
        logits: ``(sequences, frames, classes)``, at least 5 classes. Equal ones rank in the order of the classes.
        noise: See `flip_probability`.
        difficulty: See `flip_probability`.

    Raises:
        UsageError: If the array has another shape, fewer than two frames to compare or fewer than 5 classes, or values
            that are not finite.
    """
    return float(top5_distances(logits, noise=noise, difficulty=difficulty).mean())


def top5_distances(logits: ArrayLike, *, noise: bool, difficulty: int = 1) -> NDArray[np.float64]:
    """Return the mean top-5 distance of each sequence: ``(sequences,)``. See `top5_distance`."""
    values = _logits(logits)
    if values.shape[2] < TOP:
        raise UsageError(f"logits of {values.shape[2]} classes", f"The top-5 distance needs at least {TOP}.")
    return _mean_over_frames(_places(values), noise, difficulty, _moves_at_the_top)


def zipf_distance(logits: ArrayLike, *, noise: bool, difficulty: int = 1) -> float:
    """Return how far all classes move in the ranking, the higher ones counting more.

    The class at place i of the frame before adds ``|1 / i - 1 / its new place| / i``. The published script prints it
    and the paper's tables do not have it.

    Args:
        logits: ``(sequences, frames, classes)``.
        noise: See `flip_probability`.
        difficulty: See `flip_probability`.
    """
    return float(_mean_over_frames(_places(_logits(logits)), noise, difficulty, _moves_by_zipf).mean())


def _moves_at_the_top(new: NDArray[np.int64], old: NDArray[np.int64]) -> NDArray[np.float64]:
    import numpy as np

    moves = np.where(old <= TOP, np.abs(old - np.minimum(new, TOP + 1)), 0)
    return moves.sum(axis=-1).astype(np.float64)


def _moves_by_zipf(new: NDArray[np.int64], old: NDArray[np.int64]) -> NDArray[np.float64]:
    import numpy as np

    return np.asarray((np.abs(1 / old - 1 / new) / old).sum(axis=-1), np.float64)


def _mean_over_frames(values: NDArray[Any], noise: bool, difficulty: int, distance: Distance) -> NDArray[np.float64]:
    """Return the mean distance of each sequence over its comparisons.

    With a difficulty d, the frames o, o + d, o + 2 d, … are compared in order, for each first frame o below d. All
    these comparisons together are each frame with the one d before.
    """
    if isinstance(difficulty, bool) or difficulty not in (1, 2, 3):
        raise UsageError(f"difficulty {difficulty!r} is not allowed", "Difficulties are 1 to 3.")
    apart = 1 if noise else int(difficulty)
    if values.shape[1] <= apart:
        raise UsageError(f"sequences of {values.shape[1]} frames", f"At least {apart + 1} are needed to compare.")
    old = values[:, :1] if noise else values[:, :-apart]
    return distance(values[:, apart:], old).mean(axis=1)


def _sequences(values: ArrayLike, axes: int) -> NDArray[Any]:
    import numpy as np

    array = np.asarray(values)
    if array.ndim != axes or not array.size:
        shape = "(sequences, frames)" if axes == 2 else "(sequences, frames, classes)"
        raise UsageError(f"an array of shape {array.shape}", f"It is {shape}, none of them 0.")
    return array


def _logits(logits: ArrayLike) -> NDArray[Any]:
    import numpy as np

    values = _sequences(logits, 3)
    if not np.isfinite(values).all():
        raise UsageError("logits that are not finite have no ranking", "Leave these sequences out.")
    return values


def _places(logits: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of each class in the ranking, from 1. Of equal logits, the lower class is first."""
    import numpy as np

    order = np.argsort(-logits.astype(np.float64), axis=-1, kind="stable")
    places = np.empty_like(order)
    # The inverse of the order: from the class at each place to the place of each class.
    np.put_along_axis(places, order, np.broadcast_to(np.arange(1, logits.shape[-1] + 1), order.shape), axis=-1)
    return places
