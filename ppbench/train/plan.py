"""A run that has been found possible: what is trained on what, where, and by how many processes."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ppbench.errors import UsageError
from ppbench.pool import usable_cores
from ppbench.train.batches import steps_per_epoch
from ppbench.train.data import TrainingData
from ppbench.train.images import FileImages, Transforms
from ppbench.train.recipe import TrainRecipe


class TrainPlan(NamedTuple):
    """A run that has been found possible."""

    recipe: TrainRecipe
    data: TrainingData
    cut: Transforms
    device: torch.device
    processes: int
    """That train together."""
    workers: int
    """Processes that load images, of each of them."""
    validate_every: int
    """Epochs between two tests; 0: none."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return steps_per_epoch(len(self.data.train.labels), self.recipe.batch_size, self.processes)

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.recipe.epochs * self.steps_per_epoch


def check_numbers(workers: int | None, validate_every: int) -> None:
    """Make sure that options which are counts are none below 0.

    Raises:
        UsageError: If one is.
    """
    if workers is not None and workers < 0:
        raise UsageError(f"--workers {workers} is not allowed", "It is a number of processes; 0: none.")
    if validate_every < 0:
        raise UsageError(
            f"--validate-every {validate_every} is not allowed",
            "It is a number of epochs; 0: no test before the end.",
        )


def check_device(recipe: TrainRecipe, device: torch.device, devices: int) -> None:
    """Make sure that a recipe can be followed by so many processes on such a device.

    Raises:
        UsageError: If it cannot.
    """
    if devices < 1:
        raise UsageError(f"--devices {devices} is not allowed", "It is the number of processes, at least 1.")
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise UsageError(
            f"--devices {devices} is not allowed: this machine has {torch.cuda.device_count()} GPUs",
            f"`--devices {torch.cuda.device_count()}`",
        )
    if recipe.precision == "fp16" and device.type == "cpu":
        raise UsageError("--precision fp16 is for GPUs", "On the CPU: `--precision bf16`, or fp32.")
    if recipe.batch_size % devices:
        raise UsageError(
            f"--batch-size {recipe.batch_size} cannot be shared evenly by {devices} processes",
            f"It is of all of them together: `--batch-size {devices * max(1, recipe.batch_size // devices)}`.",
        )


def check_enough_images(plan: TrainPlan) -> None:
    """Make sure that an epoch has a step.

    Raises:
        UsageError: If it has none.
    """
    if plan.steps == 0:
        raise UsageError(
            f"{len(plan.data.train.labels)} training images are fewer than {plan.processes} processes",
            "Take more images, or fewer `--devices`.",
        )


def useful_workers(data: TrainingData, where: str, processes: int) -> int:
    """Loading from memory is faster than handing over from another process, unless images are augmented one by one."""
    if isinstance(data.train, FileImages) or where == "image":
        return max(usable_cores() // processes - 1, 0)
    return 0
