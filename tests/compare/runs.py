"""Pairs of synthetic runs of which the images agree as those of two trainings do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ppbench.compare.measured import ComparedRun
from ppbench.run import Run, write_run
from ppbench.vocabulary import family_of
from tests.builders import Key, make_errors, make_run


def make_measured(
    errors: Mapping[Key, float],
    *,
    name: str = "net",
    seed: int = 0,
    spread: float = 0.05,
    weights: str = "0",
    **run: Any,
) -> ComparedRun:
    """A run of which the hardest images are wrong; ``seed`` and ``spread`` say how differently it sees what is hard."""
    made = make_run(errors, name=name, **run)
    model = made.model.model_copy(update={"weights_sha256": weights * 64})
    made = made.model_copy(update={"model": model})
    return ComparedRun(made, hardest_wrong(made, seed, spread), name=name)


def hardest_wrong(run: Run, seed: int, spread: float) -> dict[Key, Any]:
    """Bits that agree with a run's counts."""
    n = run.protocol.n
    hardness = np.random.default_rng(99).random(n)
    own = np.random.default_rng(seed)
    bits = {}
    for cell in run.cells:
        order = np.argsort(hardness + spread * own.standard_normal(n), kind="stable")
        bits[cell.key] = np.zeros(n, bool)
        bits[cell.key][order[: cell.top1]] = True
    return bits


def write_measured(path: Path, measured: ComparedRun) -> Path:
    """Write the run and its bits."""
    write_run(path, measured.run, measured.bits)
    return path


def shifted(errors: Mapping[Key, float], family: str, points: float) -> dict[Key, float]:
    """The errors with those of one family higher by some points."""
    return {key: value + (points / 100 if family_of(key[0]) == family else 0) for key, value in errors.items()}


ERRORS = make_errors(0)
OLD = make_measured(ERRORS, name="old", n=2000)
NOISY = make_measured(shifted(ERRORS, "noise", -2.0), name="new", seed=1, n=2000, weights="1")
"""The same with two points fewer errors on noise."""
