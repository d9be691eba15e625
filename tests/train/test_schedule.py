"""Learning rate and momentum of every step, against torch's own schedulers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from ppbench.train.recipe import TrainRecipe, make_recipe, read_recipe, recipe_names
from ppbench.train.schedule import Schedule, learning_rate, momentum


def recipe(**values: object) -> TrainRecipe:
    return TrainRecipe(model="resnet8", dataset="fashion-mnist", **values)  # type: ignore[arg-type]


def optimizer_of(r: TrainRecipe) -> torch.optim.Optimizer:
    return torch.optim.SGD(nn.Linear(1, 1).parameters(), r.lr, r.momentum)


def of_torch(r: TrainRecipe, steps: int) -> lr_scheduler.LRScheduler:
    """torch's scheduler of the same name."""
    optimizer = optimizer_of(r)
    if r.schedule == "constant":
        return lr_scheduler.ConstantLR(optimizer, factor=1.0)
    if r.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, steps - 1, r.lr_end)
    return lr_scheduler.OneCycleLR(
        optimizer, r.lr, steps, pct_start=r.warmup, div_factor=r.lr / r.lr_start,
        final_div_factor=r.lr_start / r.lr_end, cycle_momentum=r.momentum_low is not None,
        base_momentum=r.momentum_low or 0.0, max_momentum=r.momentum,
    )  # fmt: skip


def course(schedule: lr_scheduler.LRScheduler, steps: int) -> list[tuple[float, float]]:
    """Learning rate and momentum with which the optimizer makes each step."""
    seen = []
    for step in range(steps):
        (group,) = schedule.optimizer.param_groups
        seen.append((group["lr"], group["momentum"]))
        schedule.optimizer.step()
        if step + 1 < steps:
            schedule.step()
    return seen


def check(r: TrainRecipe, steps: int) -> list[tuple[float, float]]:
    own = course(Schedule(optimizer_of(r), r, steps), steps)
    for mine, theirs in zip(own, course(of_torch(r, steps), steps), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-12)
    return own


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipes_steps_are_torchs(name: str) -> None:
    own = check(make_recipe(read_recipe(name), {"model": "resnet8", "dataset": "cifar10"}), 977)
    momenta = {round(m, 9) for _, m in own}
    if name.startswith("paper-"):
        assert (own[0][1], min(momenta), own[-1][1]) == pytest.approx((0.95, 0.85, 0.95), abs=1e-5)
    else:
        assert momenta == {0.9}


@pytest.mark.parametrize("steps", [11, 30, 100])
@pytest.mark.parametrize("warmup", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("low", [None, 0.5])
def test_one_cycle_is_torchs(steps: int, warmup: float, low: float | None) -> None:
    check(recipe(lr=0.2, lr_start=5e-3, lr_end=5e-6, warmup=warmup, momentum_low=low), steps)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_cosine_and_constant_are_torchs_and_hold_the_momentum(schedule: str) -> None:
    r = recipe(schedule=schedule, lr=0.1, lr_end=1e-3, momentum=0.8, momentum_low=0.7)
    assert {m for _, m in check(r, 11)} == {0.8}
    if schedule == "cosine":
        rates = [learning_rate(r, step, 11) for step in range(11)]
        assert rates == pytest.approx([1e-3 + (0.1 - 1e-3) * (1 + math.cos(math.pi * i / 10)) / 2 for i in range(11)])


def test_the_state_is_data_and_goes_on_where_it_was() -> None:
    r = recipe(momentum=0.95, momentum_low=0.85)
    whole = course(Schedule(optimizer_of(r), r, 20), 20)
    first = Schedule(optimizer_of(r), r, 20)
    for _ in range(7):
        first.optimizer.step()
        first.step()
    assert all(isinstance(value, int | float | list | bool | None) for value in first.state_dict().values())
    second = Schedule(optimizer_of(r), r, 20)
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    assert course(second, 13) == whole[7:]


def test_adamw_keeps_its_betas() -> None:
    r = recipe(optimizer="adamw", momentum=0.95, momentum_low=0.85)
    schedule = Schedule(torch.optim.AdamW(nn.Linear(1, 1).parameters(), r.lr), r, 10)
    schedule.optimizer.step()
    schedule.step()
    assert schedule.optimizer.param_groups[0]["betas"] == (0.9, 0.999)
    assert "momentum" not in schedule.optimizer.param_groups[0]


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_runs_have_rates_and_momenta(schedule: str, steps: int) -> None:
    r = recipe(schedule=schedule, momentum=0.95, momentum_low=0.85)
    assert all(0 < learning_rate(r, step, steps) <= r.lr for step in range(steps + 1))
    assert all(0.85 <= momentum(r, step, steps) <= 0.95 for step in range(steps + 1))
