"""Train a network: from a recipe and a folder of images to a checkpoint with its card."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from ppbench.files import check_writable
from ppbench.models.card import Card
from ppbench.models.checkpoint import save_checkpoint
from ppbench.models.loaded import Checkpoint
from ppbench.models.normalise import mean_and_std, normalise
from ppbench.models.shapes import canonical_name
from ppbench.models.weights import weights_hash
from ppbench.train.augment import parse_augmentation
from ppbench.train.batches import ValidationBatches
from ppbench.train.data import load_training_data
from ppbench.train.finished import card_of_finished, refusal
from ppbench.train.loaders import Loaders, failures_of_workers, loader, validation_batch_size
from ppbench.train.logs import logs_in
from ppbench.train.module import Classifier
from ppbench.train.plan import TrainPlan, check_options, plan_training
from ppbench.train.processes import Interrupts, environment_for, own_rank
from ppbench.train.recipe import TrainRecipe
from ppbench.train.start import change_of_images, load_start, make_card, make_network
from ppbench.train.state import KeepState, PartFolder, StateFiles

_Log = Callable[[str], None]

_PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


class Trained(NamedTuple):
    """Result of a training: the checkpoint, and the top-1 accuracy on the clean test images, a fraction."""

    path: Path
    clean_accuracy: float


def train(
    recipe: TrainRecipe, data: Path, output: Path, *, initial: Path | Checkpoint | None = None,
    classes: Sequence[str] | None = None, overwrite: bool = False, devices: int = 1, workers: int | None = None,
    validate_every: int = 1, log_dir: Path | None = None, command: str | None = None,
    report: _Log = lambda line: None, callbacks: tuple[Callback, ...] = (),
    device: torch.device | None = None,
) -> Trained | None:  # fmt: skip
    """Train a network and write it, with its card, to ``output``.

    After every epoch the state is written to the folder ``<output>.part``. If such a folder of a run with the same
    recipe and data exists, the run resumes there and ends with the same weights as an uninterrupted run. If ``output``
    was trained with this recipe on the same classes, nothing is done.

    Args:
        recipe: The settings.
        data: Folder of the dataset's files.
        output: The checkpoint to write (safetensors).
        initial: Checkpoint of the same network, or a file that `load_checkpoint` reads, whose weights are the start.
            Mean, std, interpolation and stem of its card are kept. With another number of classes, the last layer
            starts from random weights.
        classes: Names of the classes to use; None: all.
        overwrite: Whether to replace an existing ``output``.
        devices: Processes that train together, each on its share of every batch: one per GPU, or on the CPU.
        workers: Processes that load images, per device; 0: none; None: chosen by the data and the number of cores.
        validate_every: Epochs between two tests on the test images, which do not change the training; 0: only at the
            end.
        log_dir: Folder for metrics.csv and, if TensorBoard is installed, its files.
        command: The command line to record in the card.
        report: Called with lines for people.
        callbacks: Further Lightning callbacks, such as a progress display.
        device: Where to compute; None: the CPU.

    Returns:
        The written or existing checkpoint; None in processes other than the first, which write nothing.

    Raises:
        UsageError: If the model, dataset or augmentation is not known, values do not fit the data or the device,
            ``initial`` is another network, ``<output>.part`` belongs to another run, or ``output`` is something else.
        DataError: If the data or the state of the earlier run cannot be read, or the output cannot be written.
        TrainingDivergedError: If the loss is no longer finite; the state of the last good epoch is kept.
        KeyboardInterrupt: On Ctrl-C; the finished epochs are kept.
        SystemExit: In processes other than the first, if the run fails while they train together.
    """
    device = device or torch.device("cpu")
    # Refuse unknown names and impossible options before anything is read.
    canonical_name(recipe.model)
    parse_augmentation(recipe.augment)
    check_options(recipe, device, devices, workers, validate_every)
    environment_for(devices)  # raises if a launcher has started another number of processes
    check_writable(output)
    start = None if initial is None else load_start(initial, recipe)
    began_with = start and weights_hash(start.model)
    there = None if overwrite else card_of_finished(output, recipe, began_with)
    loaded = load_training_data(recipe, data, classes)
    first = own_rank() == 0
    say = report if first else (lambda line: None)
    if there is not None:
        if there.class_names != loaded.class_names:
            raise refusal(output, "was trained on other classes")
        say(f"already finished: {output} was trained with this recipe (`--overwrite` trains it again)")
        assert there.clean_accuracy is not None  # card_of_finished has checked it
        return Trained(output, there.clean_accuracy) if first else None
    for note in loaded.notes:
        say(note)
    plan = plan_training(recipe, loaded, start and start.card, device, devices, workers, validate_every)
    card = make_card(plan, start, command)
    if start is not None and (change := change_of_images(start.card, card)):
        say(change)
    module = Classifier(make_network(card, start, say), recipe, card, plan.steps)
    logs = logs_in(log_dir, say)
    part = PartFolder(output, recipe, loaded.fingerprint(), began_with)
    _fit(plan, module, part, (*logs.callbacks, *callbacks), logs.logger, part.resume_point(first=first), say)
    if not first:
        return None
    clean = _clean_accuracy(module.trained, card, plan)
    save_checkpoint(output, module.trained, card.model_copy(update={"clean_accuracy": clean}))
    # Only now: until the checkpoint is written, the state is all there is of the training.
    part.remove()
    return Trained(output, clean)


def _fit(
    plan: TrainPlan,
    module: Classifier,
    part: PartFolder,
    callbacks: Sequence[Callback],
    logger: Any,
    state: Path | None,
    say: _Log,
) -> None:
    """Train to the end, from ``state`` if it is given."""
    if state is not None:
        say(f"resuming from {state}")
    with _determinism_restored(), failures_of_workers(plan.workers), Interrupts() as interrupts:
        trainer = _trainer(plan, part, (*callbacks, interrupts), logger)
        trainer.fit(module, datamodule=Loaders(plan), ckpt_path=state, weights_only=True)


def _trainer(plan: TrainPlan, part: PartFolder, callbacks: Sequence[Callback], logger: Any) -> lightning.Trainer:
    """Make Lightning's trainer, which keeps its state after every epoch."""
    on_cpu = plan.device.type == "cpu"
    several = plan.processes > 1
    files = StateFiles(part)
    return lightning.Trainer(
        accelerator=plan.device.type,
        devices=plan.processes if on_cpu or several else [plan.device.index or 0],
        strategy="ddp" if several else "auto",
        precision=_PRECISIONS[plan.recipe.precision],
        max_epochs=plan.recipe.epochs,
        gradient_clip_val=plan.recipe.grad_clip,
        check_val_every_n_epoch=max(plan.validate_every, 1),
        limit_val_batches=None if plan.validate_every else 0,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,  # every epoch has its own draws
        use_distributed_sampler=False,  # the batches are already divided between the processes
        callbacks=[*callbacks, KeepState(files)],
        plugins=[files, environment_for(plan.processes)],
        logger=logger,
        enable_progress_bar=False,
        enable_model_summary=False,
        # On GPUs some operations have no deterministic version; a warning is better than no training.
        deterministic=True if on_cpu else "warn",
    )


def _clean_accuracy(network: nn.Module, card: Card, plan: TrainPlan) -> float:
    """Return the top-1 accuracy on the clean test images in float32, a fraction; move the network back to the CPU."""
    network = network.to(plan.device).eval()
    mean, std = mean_and_std(card, plan.device)
    right = 0
    with failures_of_workers(plan.workers), torch.inference_mode():
        for batch in loader(ValidationBatches(plan.data.test, plan.cut, validation_batch_size(plan)), plan):
            if isinstance(batch, Exception):
                raise batch
            images, labels = (tensor.to(plan.device) for tensor in batch)
            right += int((network(normalise(images, mean, std)).argmax(1) == labels).sum())
    network.cpu()
    return right / len(plan.data.test.labels)


@contextmanager
def _determinism_restored() -> Iterator[None]:
    """Restore torch's switches for determinism, which Lightning's trainer sets for the whole process.

    Inside the context, new memory is not filled, which torch otherwise does with deterministic algorithms. Filling only
    serves to find reads of uninitialised memory, and takes a twentieth of the time of a small network.
    """
    switch: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), switch.fill_uninitialized_memory
    switch.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        switch.fill_uninitialized_memory = before[1]
