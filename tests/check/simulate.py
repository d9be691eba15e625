"""Repeated checks of synthetic models against synthetic baselines: how often which verdict comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.check.judge import check
from ppbench.check.verdict import Status
from ppbench.compare.measured import ComparedRun
from ppbench.run import Run
from ppbench.vocabulary import CLEAN
from tests.builders import make_run
from tests.metrics.synthetic import SAME, draw, truth

SIX = ("gaussian_noise", "shot_noise", "fog", "brightness", "pixelate", "jpeg_compression")
LEVELS = (1, 3, 5)
OF_CORRUPTIONS = SIX[:5]
OF_CELLS = ("fog/1", "fog/5", "pixelate/3", "gaussian_noise/5", "brightness/3")
RULES = dict.fromkeys(("mean", CLEAN, "noise", "weather", "digital", *OF_CORRUPTIONS, *OF_CELLS), 0.0)
"""15 of all kinds, without tolerance."""


class Alarms(NamedTuple):
    """Rates of checks that fail."""

    any_rule: float
    by_rule: dict[str, float]


def alarms(
    runs: int, images: int, *, same: float = SAME, easier: float = 1.0, drop: float = 0.0, seed: int = 0
) -> Alarms:
    """Check models whose true errors are those of their baselines.

    Args:
        runs: Repetitions.
        images: Of each run.
        same: As in `draw`.
        easier: What the errors of ResNet-50 are multiplied by.
        drop: Points by which the models' true accuracies are lower after all.
        seed: Of all draws.
    """
    failed: dict[str, int] = dict.fromkeys(RULES, 0)
    any_rule = 0
    for old, new in pairs(runs, images, same=same, easier=easier, drop=drop, seed=seed):
        verdict = check(new, old, RULES)
        assert len(verdict.outcomes) == len(RULES)
        broken = [outcome.rule.name for outcome in verdict.outcomes if outcome.status is Status.WORSE]
        assert verdict.exit_code == bool(broken)
        any_rule += bool(broken)
        for name in broken:
            failed[name] += 1
    return Alarms(any_rule / runs, {name: count / runs for name, count in failed.items()})


class Verdicts(NamedTuple):
    """Of builds by their worst rule: the rate of each verdict, and of passes of which a rule is powerless."""

    rates: dict[Status, float]
    powerless: float


def verdicts(
    runs: int, images: int, drop: float, rules: Mapping[str, float], *, same: float = SAME, seed: int = 0
) -> Verdicts:
    """Check models of which every cell has lost ``drop`` points.

    Args:
        runs: Repetitions.
        images: Of each run.
        drop: True points lost.
        rules: What is allowed, by name.
        same: As in `draw`.
        seed: Of all draws.
    """
    worst = [check(new, old, rules).worst for old, new in pairs(runs, images, same=same, drop=drop, seed=seed)]
    rates = {status: sum(outcome.status is status for outcome in worst) / runs for status in Status}
    return Verdicts(rates, sum(outcome.is_powerless for outcome in worst) / runs)


def pairs(
    runs: int, images: int, *, same: float, easier: float = 1.0, drop: float = 0.0, seed: int = 0
) -> Iterator[tuple[ComparedRun, ComparedRun]]:
    """Baselines, and models of which every cell has lost ``drop`` points; arguments as in `alarms`."""
    random = np.random.default_rng(seed)
    errors = {key: easier * value for key, value in truth(SIX, LEVELS).items()}
    worse = {key: value + drop / 100 for key, value in errors.items()}
    made = make_run(errors, n=images, corruptions=SIX, severities=LEVELS, total=50_000)
    other = made.model_copy(update={"model": made.model.model_copy(update={"weights_sha256": "1" * 64})})
    for _ in range(runs):
        drawn = draw(random, [errors, worse], images, same=same)
        old, new = (measured(run, wrong, name) for run, wrong, name in zip((made, other), drawn, "ab", strict=True))
        yield old, new


def measured(run: Run, wrong: NDArray[np.bool_], name: str) -> ComparedRun:
    """The run with these ``(cells, n)`` errors: counts and bits."""
    right = {cell.key: ~row for cell, row in zip(run.cells, wrong, strict=True)}
    cells = [cell.model_copy(update={"top1": int(right[cell.key].sum())}) for cell in run.cells]
    return ComparedRun(run.model_copy(update={"cells": tuple(cells)}), right, name=name)
