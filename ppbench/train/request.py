"""The request of a training: which network to train, on which images, and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ppbench.errors import UsageError
from ppbench.models.loaded import Checkpoint
from ppbench.train.recipe import TrainRecipe

TrainingProgress = Callable[[], AbstractContextManager[tuple[Any, ...]]]
"""Opens a progress display; yields the Lightning callbacks that feed it."""


@dataclass(frozen=True)
class TrainRequest:
    """A training as the user asked for it; `ppbench.train.fit.train` explains the fields."""

    recipe: TrainRecipe
    data: Path
    output: Path
    initial: Path | Checkpoint | None = None
    classes: Sequence[str] | None = None
    overwrite: bool = False
    devices: int = 1
    workers: int | None = None
    validate_every: int = 1
    log_dir: Path | None = None
    command: str | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def check(self) -> None:
        """Raise `UsageError` for a count that is not allowed, or if device or processes do not fit the recipe."""
        recipe, device, devices = self.recipe, self.device, self.devices
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"--workers {self.workers} is not allowed", "Give a number of processes; 0: none.")
        if self.validate_every < 0:
            raise UsageError(
                f"--validate-every {self.validate_every} is not allowed",
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
            fitting = devices * max(1, recipe.batch_size // devices)
            raise UsageError(
                f"--batch-size {recipe.batch_size} cannot be divided evenly between {devices} processes",
                f"It counts the images of all processes: `--batch-size {fitting}`.",
            )
