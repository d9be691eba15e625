"""Runs of two rows with two seeds each, made of random bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ppbench.reproduce.figures import Results, SeedRun, compute
from ppbench.run import MeasuredRun
from ppbench.vocabulary import C15, CLEAN, SEVERITIES, Cell
from tests.builders import make_run
from tests.reproduce.miniature import make_table

N = 400
Bits = dict[Cell, NDArray[np.bool_]]
TABLE = make_table()


def draw(seed: int, shift: float) -> Bits:
    """Where a model is wrong: images have a difficulty of their own, the same for all models."""
    difficulty = np.random.default_rng(99).normal(size=N)
    random = np.random.default_rng(seed)
    keys = [(CLEAN, 0), *((c, s) for c in C15 for s in SEVERITIES)]
    return {
        key: difficulty + random.normal(size=N) + shift + 0.25 * key[1] + 0.05 * (len(key[0]) % 5) > 1.2 for key in keys
    }


def measured(seed: int, wrong: Bits, name: str = "net") -> SeedRun:
    run = make_run({key: hit.mean() for key, hit in wrong.items()}, name=name, n=N)
    return SeedRun(seed, MeasuredRun(run, {key: ~hit for key, hit in wrong.items()}))


PLAIN = [draw(1, 0.0), draw(2, 0.1)]
OTHER = [draw(3, -0.1), draw(4, -0.2)]


def make_results() -> Results:
    networks = {
        "plain": [measured(seed, wrong) for seed, wrong in enumerate(PLAIN)],
        "pp3": [measured(seed, wrong) for seed, wrong in enumerate(OTHER)],
    }
    return compute(TABLE, TABLE.rows, networks, {})
