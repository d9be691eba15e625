"""The learning rate of every step, against torch's own schedule."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ppbench.train.module import learning_rate
from ppbench.train.recipe import TrainRecipe


def recipe(**values: object) -> TrainRecipe:
    return TrainRecipe(model="resnet8", dataset="fashion-mnist", **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [11, 30, 100, 977])
@pytest.mark.parametrize("warmup", [0.1, 0.3, 0.5])
def test_one_cycle_is_torchs(steps: int, warmup: float) -> None:
    r = recipe(lr=0.2, lr_start=5e-3, lr_end=5e-6, warmup=warmup)
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), 1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, r.lr, steps, pct_start=warmup, div_factor=r.lr / r.lr_start,
        final_div_factor=r.lr_start / r.lr_end, cycle_momentum=False,
    )  # fmt: skip
    for step in range(steps):
        assert learning_rate(r, step, steps) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9, abs=1e-12)
        optimizer.step()
        if step + 1 < steps:
            schedule.step()


def test_cosine_and_constant() -> None:
    r = recipe(schedule="cosine", lr=0.1, lr_end=1e-3)
    rates = [learning_rate(r, step, 11) for step in range(11)]
    assert rates == pytest.approx([1e-3 + (0.1 - 1e-3) * (1 + math.cos(math.pi * i / 10)) / 2 for i in range(11)])
    assert (rates[0], rates[-1]) == pytest.approx((0.1, 1e-3))
    assert {learning_rate(recipe(schedule="constant", lr=0.1), step, 5) for step in range(5)} == {0.1}


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_runs_have_rates(schedule: str, steps: int) -> None:
    r = recipe(schedule=schedule)
    assert all(0 < learning_rate(r, step, steps) <= r.lr for step in range(steps + 1))
