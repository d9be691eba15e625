"""The tables of docs/statistics.md on ending early: ``python -m tests.bench.simulate_stopping`` (some minutes).

Populations in which few images, far from all others, make the mean, so that a first look may show nothing of them; and
ordinary ones, for what the guard against the former costs. A last table is of intervals for a fixed number of images,
which have no such guard.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from math import isnan

import numpy as np

from tests.metrics.stopping import (
    Ended,
    Images,
    Once,
    awaited,
    breaking,
    compared,
    compared_once,
    hard,
    lognormal,
    nearly_perfect,
    ordinary,
    rare,
    shown_once,
    wrong_or_right,
)

LOOKS = (10, 32, 128)
"""Images between looks; the last is what `ppbench eval` has."""


def spread_jump(random: np.random.Generator, count: int) -> np.ndarray:
    """Images that lose 0.4 to 0.8."""
    return random.uniform(0.4, 0.8, count)


def whole_jump(random: np.random.Generator, count: int) -> np.ndarray:
    """Images that lose all cells."""
    return np.ones(count)


COMPARED: Mapping[str, tuple[Images, float]] = {
    "1.5 % break in all 75 cells, 0.2 % of cells flip": (breaking(0.015), 0.5),
    "2 % break, 0.2 % of cells flip": (breaking(0.02), 1.0),
    "1 % lose 0.4 to 0.8, others sd 0.005": (rare(0.01, spread_jump, 0.005, 0.6), 0.5),
    "the same, less allowed": (rare(0.01, spread_jump, 0.005, 0.6), 0.3),
    "0.6 % lose all, others sd 0.05": (rare(0.006, whole_jump, 0.05, 1.0), 0.5),
    "0.3 % lose all, no other differs": (rare(0.003, whole_jump, 0.0, 1.0, 6000), 0.25),
    "2.2 % lose all, others sd 0.005": (rare(0.022, whole_jump, 0.005, 1.0), 2.0),
    "mCE: 1.5 % break, 0.2 % of cells flip": (breaking(0.015, "mCE"), 0.5),
    "relative mCE: the same": (breaking(0.015, "relative_mCE"), 2.0),
    "none breaks, 0.2 % of cells flip": (breaking(0.0), 0.5),
    "none breaks, others sd 0.1": (rare(0.0, whole_jump, 0.1, 1.0), 1.0),
}
"""Differences of two models, and what is allowed, in points."""

AWAITED: Mapping[str, tuple[Images, float, bool]] = {
    "4 % hard images near 0.8": (hard(0.04), 1.0, False),
    "the same": (hard(0.04), 0.5, False),
    "lognormal (-5, 1.5), clipped at 1": (lognormal(-5, 1.5), 0.5, False),
    "lognormal (-7, 2), clipped at 1": (lognormal(-7, 2), 0.5, False),
    "lognormal (-4, 2), clipped at 1": (lognormal(-4, 2), 1.0, False),
    "0.3 % wrong, one cell": (wrong_or_right(0.003), 0.5, False),
    "the same, narrower": (wrong_or_right(0.003, 6000), 0.25, False),
    "1.1 % wrong, one cell": (wrong_or_right(0.011), 1.0, False),
    "0.5 % wrong in all cells, 0.2 % of the rest": (nearly_perfect(0.005), 0.5, False),
    "the same, the mean of these 2,000": (nearly_perfect(0.005, most=2000), 0.5, True),
    "0.3 % wrong, the mean of these 1,000": (wrong_or_right(0.003, 1000), 0.5, True),
    "mCE: 0.5 % wrong in all cells": (nearly_perfect(0.005, "mCE"), 0.5, False),
    "relative mCE: the same": (nearly_perfect(0.005, "relative_mCE"), 2.0, False),
    "ordinary: 37.5 % wrong": (ordinary(), 3.0, False),
}
"""Errors, and the half-width that is waited for, in points."""

FIXED = (200, 500, 1000, 2000)
"""Images that are evaluated, whatever they show."""

ONCE: Mapping[str, tuple[Images, Callable[..., Once]]] = {
    "difference: 0.5 % break, 0.2 % of cells flip": (breaking(0.005), compared_once),
    "difference: 1.5 % break, 0.2 % of cells flip": (breaking(0.015), compared_once),
    "error: 0.5 % wrong in all cells, 0.2 % of the rest": (nearly_perfect(0.005), shown_once),
    "error: 1.5 % wrong in all cells, 0.2 % of the rest": (nearly_perfect(0.015), shown_once),
}
"""Images, and the interval for a fixed number of them."""


def main() -> None:
    """Print all tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=600, help="Repetitions of each simulation.")
    runs = parser.parse_args().runs
    print(f"{runs} runs; the worst of looks after every {', '.join(map(str, LOOKS))} images; images after every 128\n")
    _head("difference", "allowed", "wrong")
    for name, (images, allowed) in COMPARED.items():
        _print_row(name, images, allowed, partial(compared, images, allowed / 100, runs=runs))
    print()
    _head("error", "±", "misses")
    for name, (images, width, finite) in AWAITED.items():
        _print_row(name, images, width, partial(awaited, images, width / 100, runs=runs, finite=finite))
    print()
    _print_once(runs)


def _print_once(runs: int) -> None:
    columns = (
        "interval of",
        "true",
        "images",
        "interval covers",
        "none of the rare drawn",
        "covers if one is drawn",
        "detects if none is",
    )
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for name, (images, simulate) in ONCE.items():
        for count in FIXED:
            found = simulate(images, count, runs)
            shows = "–" if isnan(found.shows) else f"{found.shows:.2f}"
            rates = (found.covers, found.none_drawn, found.covers_if_drawn)
            written = " | ".join(f"{100 * rate:.1f} %" for rate in rates)
            print(f"| {name} | {100 * images.true:.2f} | {count:,} | {written} | {shows} |", flush=True)


def _head(what: str, goal: str, wrong: str) -> None:
    columns = (
        what, "true", goal, wrong, "right at every look", "images", "found", f"by the range seen: {wrong}", "images",
    )  # fmt: skip
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")


def _print_row(name: str, images: Images, goal: float, simulate: Callable[..., Ended]) -> None:
    by_look = [simulate(chunk=chunk) for chunk in LOOKS]
    before = [simulate(chunk=chunk, range_seen=True) for chunk in LOOKS]
    columns = (
        name,
        f"{100 * images.true:.2f}",
        f"{goal:g}",
        f"{100 * max(found.wrong for found in by_look):.1f} %",
        f"{100 * min(found.right for found in by_look):.1f} %",
        f"{by_look[-1].images:,.0f}",
        f"{100 * by_look[-1].found:.2f}",
        f"{100 * max(found.wrong for found in before):.1f} %",
        f"{before[-1].images:,.0f}",
    )
    print(f"| {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
