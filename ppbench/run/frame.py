"""The cells of a run as a pandas frame. In a module of its own, because pandas takes long to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from ppbench.run.schema import Run

_UNKNOWN = float("nan")


def as_frame(run: Run) -> pd.DataFrame:
    """Return the cells as rows; see `ppbench.run.Run.to_frame` for the columns."""
    if run.protocol.sequences is not None:
        of_pairs = [(*c.key, c.n, c.error, _UNKNOWN if c.distance is None else c.distance) for c in run.cells]
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
        for c in run.cells
    ]
    shares = ["accuracy", "error"] if run.protocol.labels is None else ["agreement", "flip_rate"]
    return pd.DataFrame(rows, columns=["corruption", "severity", "n", "top1", "top5", *shares])
