"""Learning rate and momentum of every step."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ppbench.train.recipe import TrainRecipe


class Schedule(LambdaLR):
    """Sets an optimizer's learning rate, and the momentum of SGD, before every step.

    Args:
        optimizer: The optimizer, with the recipe's highest learning rate.
        recipe: The settings.
        steps: Optimizer steps of the whole run.
    """

    def __init__(self, optimizer: Optimizer, recipe: TrainRecipe, steps: int) -> None:
        self._momentum_at = lambda step: momentum(recipe, step, steps)
        super().__init__(optimizer, lambda step: learning_rate(recipe, step, steps) / recipe.lr)

    def step(self, epoch: int | None = None) -> None:
        """Advance by one step; torch itself makes the first call, which sets the values of step 0."""
        super().step(epoch)
        for group in self.optimizer.param_groups:
            if "momentum" in group:
                group["momentum"] = self._momentum_at(self.last_epoch)

    def state_dict(self) -> dict[str, object]:
        """Return the state without the momentum function, which cannot be saved and follows from the recipe."""
        return {name: value for name, value in super().state_dict().items() if name != "_momentum_at"}


def learning_rate(recipe: TrainRecipe, step: int, steps: int) -> float:
    """Return the learning rate of a step, counted from 0, in a run of ``steps``.

    "one-cycle" is the schedule of Smith and Topin (2019) as in torch's `OneCycleLR`: up in the share ``warmup`` of
    the steps and down in the rest, each along half a cosine wave; the highest rate is at step ``warmup * steps - 1``.
    """
    r = recipe
    if r.schedule == "constant":
        return r.lr
    if r.schedule == "cosine":
        return _cosine(r.lr, r.lr_end, step / max(steps - 1, 1))
    return _one_cycle(r.lr_start, r.lr, r.lr_end, r.warmup * steps - 1, step, steps)


def momentum(recipe: TrainRecipe, step: int, steps: int) -> float:
    """Return SGD's momentum at a step, counted from 0, in a run of ``steps``.

    In "one-cycle" with ``momentum_low`` it moves against the learning rate, as in torch's `OneCycleLR`: from
    ``momentum`` down to ``momentum_low`` at the highest rate, and back. Otherwise it is constant.
    """
    r = recipe
    if r.momentum_low is None or r.schedule != "one-cycle":
        return r.momentum
    return _one_cycle(r.momentum, r.momentum_low, r.momentum, r.warmup * steps - 1, step, steps)


def _one_cycle(start: float, middle: float, end: float, top: float, step: int, steps: int) -> float:
    """Interpolate from ``start`` to ``middle`` at step ``top`` (at 0 if that is negative), then to ``end``."""
    if step <= top:
        return _cosine(start, middle, step / top if top > 0 else 1.0)
    return _cosine(middle, end, (step - max(top, 0)) / max(steps - 1 - max(top, 0), 1))


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(part, 1.0))) / 2
