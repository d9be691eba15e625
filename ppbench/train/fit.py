"""Train a network: from a recipe and a folder of images to a checkpoint with its card."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from ppbench.models.card import Card
from ppbench.models.checkpoint import save_checkpoint
from ppbench.models.loaded import Checkpoint
from ppbench.models.normalise import mean_and_std, normalise
from ppbench.train.batches import ValidationBatches
from ppbench.train.loaders import Loaders, failures_of_workers, loader, validation_batch_size
from ppbench.train.logs import logs_in
from ppbench.train.module import Classifier
from ppbench.train.plan import TrainPlan, TrainResult, plan_training
from ppbench.train.processes import Interrupts, environment_for, own_rank
from ppbench.train.recipe import TrainRecipe
from ppbench.train.request import TrainRequest
from ppbench.train.start import make_network
from ppbench.train.state import KeepState, PartFolder, StateFiles

_Log = Callable[[str], None]

_PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def train(
    recipe: TrainRecipe, data: Path, output: Path, *, initial: Path | Checkpoint | None = None,
    classes: Sequence[str] | None = None, overwrite: bool = False, devices: int = 1, workers: int | None = None,
    validate_every: int = 1, log_dir: Path | None = None, command: str | None = None,
    report: _Log = lambda line: None, callbacks: tuple[Callback, ...] = (),
    device: torch.device | None = None,
) -> TrainResult | None:  # fmt: skip
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
    request = TrainRequest(
        recipe, data, output, initial=initial, classes=classes, overwrite=overwrite, devices=devices, workers=workers,
        validate_every=validate_every, log_dir=log_dir, command=command, device=device or torch.device("cpu"),
    )  # fmt: skip
    return run_training(request, report, callbacks)


def run_training(
    request: TrainRequest, report: _Log = lambda line: None, callbacks: Sequence[Callback] = ()
) -> TrainResult | None:
    """Plan a training and carry it out; `train` explains what it does, returns and raises."""
    first = own_rank() == 0
    say = report if first else (lambda line: None)
    plan = plan_training(request, say)
    result = plan if isinstance(plan, TrainResult) else _carry_out(plan, say, callbacks, first=first)
    return result if first else None


def _carry_out(plan: TrainPlan, say: _Log, callbacks: Sequence[Callback], *, first: bool) -> TrainResult | None:
    """Train to the end. The first process tests the network and writes the checkpoint; the others return None."""
    output, recipe = plan.request.output, plan.recipe
    module = Classifier(make_network(plan.card, plan.start, say), recipe, plan.card, plan.steps)
    logs = logs_in(plan.request.log_dir, say)
    part = PartFolder(output, recipe, plan.data.fingerprint(), plan.began_with)
    _fit(plan, module, part, (*logs.callbacks, *callbacks), logs.logger, part.resume_point(first=first), say)
    if not first:
        return None
    clean = _clean_accuracy(module.trained, plan.card, plan)
    save_checkpoint(output, module.trained, plan.card.model_copy(update={"clean_accuracy": clean}))
    # Only now: until the checkpoint is written, the state is all there is of the training.
    part.remove()
    return TrainResult(output, clean)


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
        check_val_every_n_epoch=max(plan.request.validate_every, 1),
        limit_val_batches=None if plan.request.validate_every else 0,
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
