"""The plan of a training run: what is trained on which images, where, and by how many processes."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ppbench.errors import UsageError
from ppbench.models.card import Card
from ppbench.pool import usable_cores
from ppbench.train.augment import parse_augmentation
from ppbench.train.batches import steps_per_epoch
from ppbench.train.data import TrainingData
from ppbench.train.images import FileImages, Transforms, transforms_of
from ppbench.train.recipe import TrainRecipe


class TrainPlan(NamedTuple):
    """A training run whose settings have been checked."""

    recipe: TrainRecipe
    data: TrainingData
    cut: Transforms
    device: torch.device
    processes: int
    """Processes that train together."""
    workers: int
    """Processes that load images, for each of them."""
    validate_every: int
    """Epochs between two tests; 0: none before the end."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return steps_per_epoch(len(self.data.train.labels), self.recipe.batch_size, self.processes)

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.recipe.epochs * self.steps_per_epoch


def check_options(
    recipe: TrainRecipe, device: torch.device, devices: int, workers: int | None, validate_every: int
) -> None:
    """Raise `UsageError` for a count that is not allowed, or if the device or the processes do not fit the recipe."""
    if workers is not None and workers < 0:
        raise UsageError(f"--workers {workers} is not allowed", "Give a number of processes; 0: none.")
    if validate_every < 0:
        raise UsageError(
            f"--validate-every {validate_every} is not allowed",
            "Give a number of epochs; 0: no test before the end.",
        )
    if devices < 1:
        raise UsageError(f"--devices {devices} is not allowed", "Give the number of processes, at least 1.")
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise UsageError(
            f"--devices {devices} is not allowed: this machine has {torch.cuda.device_count()} GPUs",
            f"`--devices {torch.cuda.device_count()}`",
        )
    if recipe.precision == "fp16" and device.type == "cpu":
        raise UsageError("--precision fp16 needs a GPU", "On the CPU, use `--precision bf16` or fp32.")
    if recipe.batch_size % devices:
        raise UsageError(
            f"--batch-size {recipe.batch_size} cannot be divided evenly between {devices} processes",
            f"It counts the images of all processes: `--batch-size {devices * max(1, recipe.batch_size // devices)}`.",
        )


def plan_training(
    recipe: TrainRecipe,
    data: TrainingData,
    start: Card | None,
    device: torch.device,
    processes: int,
    workers: int | None,
    validate_every: int,
) -> TrainPlan:
    """Plan a run on ``data``; ``start`` is the card of the network that it starts from, if any.

    Raises:
        UsageError: If the recipe cannot crop these images, or an epoch has no step.
    """
    cut = transforms_of(recipe, data.train)
    if start is not None:
        cut = cut._replace(interpolation=start.interpolation)
    if workers is None:
        # Workers pay off only if images are decoded or augmented one by one: handing over a batch costs more than
        # indexing it in memory.
        pays = isinstance(data.train, FileImages) or parse_augmentation(recipe.augment).where == "image"
        workers = max(usable_cores() // processes - 1, 0) if pays else 0
    plan = TrainPlan(recipe, data, cut, device, processes, workers, validate_every)
    if plan.steps == 0:
        raise UsageError(
            f"{len(data.train.labels)} training images are fewer than {processes} processes",
            "Use more images, or fewer `--devices`.",
        )
    return plan
