"""The cells of a run as a pandas frame. In a module of its own, because pandas takes long to import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

_UNKNOWN = float("nan")


def as_frame(cells: Sequence[Any], *, flips: bool, shares: Sequence[str]) -> pd.DataFrame:
    """Return the cells as rows; see `ppbench.run.Run.to_frame` for the columns.

    Args:
        cells: The ``CellCounts`` of a run. The schema, which has them, imports this module.
        flips: Whether they are of sequences.
        shares: What the share of right images, and that of the others, are called.
    """
    if flips:
        of_pairs = [(*c.key, c.n, c.error, _UNKNOWN if c.distance is None else c.distance) for c in cells]
        return pd.DataFrame(of_pairs, columns=["perturbation", "difficulty", "n", "flip_probability", "top5_distance"])
    rows = [
        (
            *c.key,
            c.n,
            c.top1,
            _UNKNOWN if c.top5 is None else c.top5,
            c.top1 / c.n if c.trials is None else 1 - c.error,
            c.error,
        )
        for c in cells
    ]
    return pd.DataFrame(rows, columns=["corruption", "severity", "n", "top1", "top5", *shares])
