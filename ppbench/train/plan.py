"""From a request to a plan: weights and images are opened and checked. Nothing is trained yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ppbench.errors import UsageError
from ppbench.files import check_writable
from ppbench.models.card import Card
from ppbench.models.loaded import Checkpoint
from ppbench.models.shapes import canonical_name
from ppbench.models.weights import weights_hash
from ppbench.pool import usable_cores
from ppbench.train.augment import parse_augmentation
from ppbench.train.batches import steps_per_epoch
from ppbench.train.data import TrainingData, load_training_data
from ppbench.train.finished import card_of_finished, refusal
from ppbench.train.images import FileImages, Transforms, transforms_of
from ppbench.train.processes import environment_for
from ppbench.train.recipe import TrainRecipe
from ppbench.train.request import TrainRequest
from ppbench.train.start import change_of_images, load_start, make_card


@dataclass(frozen=True)
class TrainResult:
    """Result of a training: the checkpoint, and the top-1 accuracy on the clean test images, a fraction."""

    path: Path
    clean_accuracy: float


@dataclass(frozen=True)
class TrainPlan:
    """A training run whose settings have been checked."""

    request: TrainRequest
    data: TrainingData
    cut: Transforms
    workers: int
    """Processes that load images, for each process that trains."""
    start: Checkpoint | None
    """The network that the run starts from; None: random weights."""
    began_with: str | None
    """Hash of the weights of ``start``."""
    card: Card
    """Card of the network to train, complete except for its accuracy."""

    @property
    def recipe(self) -> TrainRecipe:
        """The settings of the training."""
        return self.request.recipe

    @property
    def device(self) -> torch.device:
        """The device to train on."""
        return self.request.device

    @property
    def processes(self) -> int:
        """Processes that train together."""
        return self.request.devices

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return steps_per_epoch(len(self.data.train.labels), self.recipe.batch_size, self.processes)

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.recipe.epochs * self.steps_per_epoch


def plan_training(request: TrainRequest, report: Callable[[str], None]) -> TrainPlan | TrainResult:
    """Open the weights and the images of a request and check that they fit each other.

    Args:
        request: What to train.
        report: Called with lines for people.

    Returns:
        The plan; or the result, if the output is the network that this training makes.

    Raises:
        UsageError: If a name or value is not allowed, or the output exists and is something else.
        DataError: If weights or images are missing or damaged, or the output cannot be written.
    """
    # Refuse unknown names and impossible options before anything is read.
    recipe = request.recipe
    canonical_name(recipe.model)
    parse_augmentation(recipe.augment)
    request.check()
    environment_for(request.devices)  # raises if a launcher has started another number of processes
    check_writable(request.output)
    start = None if request.initial is None else load_start(request.initial, recipe)
    began_with = start and weights_hash(start.model)
    there = None if request.overwrite else card_of_finished(request.output, recipe, began_with)
    data = load_training_data(recipe, request.data, request.classes)
    if there is not None:
        if there.class_names != data.class_names:
            raise refusal(request.output, "was trained on other classes")
        report(f"already finished: {request.output} was trained with this recipe (`--overwrite` trains it again)")
        assert there.clean_accuracy is not None  # card_of_finished has checked it
        return TrainResult(request.output, there.clean_accuracy)
    for note in data.notes:
        report(note)
    cut = transforms_of(recipe, data.train)
    if start is not None:
        cut = cut._replace(interpolation=start.card.interpolation)
    if recipe.epochs * steps_per_epoch(len(data.train.labels), recipe.batch_size, request.devices) == 0:
        raise UsageError(
            f"{len(data.train.labels)} training images are fewer than {request.devices} processes",
            "Use more images, or fewer `--devices`.",
        )
    card = make_card(recipe, data, cut, start, request.command)
    if start is not None and (change := change_of_images(start.card, card)):
        report(change)
    return TrainPlan(request, data, cut, _workers(request, data), start, began_with, card)


def _workers(request: TrainRequest, data: TrainingData) -> int:
    """Choose how many processes load images, unless the request says it.

    They pay off only if images are decoded or augmented one by one: handing over a batch costs more than indexing it in
    memory.
    """
    if request.workers is not None:
        return request.workers
    pays = isinstance(data.train, FileImages) or parse_augmentation(request.recipe.augment).where == "image"
    return max(usable_cores() // request.devices - 1, 0) if pays else 0
