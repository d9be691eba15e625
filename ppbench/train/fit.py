"""The training run: Lightning does the loop, this file says what is optimised and what is written."""

from __future__ import annotations

import platform
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from ppbench.files import check_writable
from ppbench.models.card import Card
from ppbench.models.catalog import parse_model_name
from ppbench.models.checkpoint import build, save_checkpoint
from ppbench.train.data import ArrayBatches, Batch, TrainingData, fingerprint, load_training_data
from ppbench.train.recipe import TrainRecipe
from ppbench.train.state import PartFolder

Report = Callable[[str], None]


class Trained(NamedTuple):
    """Where the checkpoint is and how well it does on the clean test images (top-1, a fraction)."""

    path: Path
    clean_accuracy: float


def train(
    recipe: TrainRecipe,
    data: Path,
    output: Path,
    *,
    command: str | None = None,
    report: Report = lambda line: None,
    callbacks: tuple[Callback, ...] = (),
    device: torch.device | None = None,
) -> Trained:
    """Train a network and write it, with its card, to ``output``.

    After every epoch the state goes to the folder ``<output>.part``. A run with the same recipe and data that finds
    such a folder goes on from there and ends with the same weights as an unbroken one.

    Args:
        recipe: The settings.
        data: Folder of the dataset's files.
        output: The checkpoint to write (safetensors).
        command: The command line to record in the card.
        report: Called with lines for people.
        callbacks: More Lightning callbacks, such as a progress display.
        device: Where to compute; None: the CPU.

    Raises:
        UsageError: If the model or dataset is not known, or ``<output>.part`` is of another run.
        DataError: If data or the state of the earlier run cannot be read, or the output cannot be written.
        KeyboardInterrupt: On Ctrl-C; the finished epochs are kept.
    """
    parse_model_name(recipe.model)
    check_writable(output)
    loaded = load_training_data(recipe.dataset, data)
    card = _card(recipe, loaded, command)
    part = PartFolder(output)
    state = part.resume_point(recipe, fingerprint(loaded))
    if state is not None:
        report(f"resuming from {state}")
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    module = Classifier(build(card), recipe, card)
    trainer = _trainer(recipe, part, device or torch.device("cpu"), callbacks)
    with _interrupts_raised(trainer):
        try:
            trainer.fit(module, datamodule=_Batches(loaded, recipe), ckpt_path=state, weights_only=True)
        except (UnpicklingError, EOFError, RuntimeError) as error:
            if state is None or trainer.global_step > 0:
                raise
            raise part.unreadable(error) from error
    clean = _clean_accuracy(trainer, module, loaded)
    save_checkpoint(output, module.network, card.model_copy(update={"clean_accuracy": clean}))
    part.remove()
    return Trained(output, clean)


def _card(recipe: TrainRecipe, data: TrainingData, command: str | None) -> Card:
    """The card of the network to be trained, complete but for its accuracy."""
    return Card(
        architecture=parse_model_name(recipe.model).name,
        num_classes=data.num_classes,
        in_channels=1 if data.images.shape[1] == 1 else 3,
        input_size=data.images.shape[-1],
        mean=data.mean,
        std=data.std,
        inhibition=recipe.inhibition,
        trainable_inhibition=recipe.trainable_inhibition,
        trained_on=recipe.dataset,
        class_names=data.class_names,
        seed=recipe.seed,
        recipe=recipe.model_dump(),
        versions=_versions(),
        command=command,
    )


def _trainer(
    recipe: TrainRecipe, part: PartFolder, device: torch.device, callbacks: tuple[Callback, ...]
) -> lightning.Trainer:
    """Lightning's loop, keeping its state after every epoch."""
    keep = ModelCheckpoint(part.path, filename=part.state.stem, every_n_epochs=1, enable_version_counter=False)
    return lightning.Trainer(
        accelerator=device.type,
        devices=1 if device.type == "cpu" else [device.index or 0],
        max_epochs=recipe.epochs,
        callbacks=[keep, *callbacks],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        deterministic=True,
    )


@contextmanager
def _interrupts_raised(trainer: lightning.Trainer) -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt, which Lightning turns into an exit with code 1 and a SIGINT ignored."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def _clean_accuracy(trainer: lightning.Trainer, module: Classifier, data: TrainingData) -> float:
    """Top-1 accuracy on the clean test images, a fraction."""
    batches = ArrayBatches(data.test_images, data.test_labels, module.recipe.batch_size)
    return float(trainer.test(module, DataLoader(batches, batch_size=None), verbose=False)[0]["correct"])


class Classifier(lightning.LightningModule):
    """A network with cross entropy, SGD and a one-cycle schedule; batches are uint8 images ``(N, C, H, W)``."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, recipe: TrainRecipe, card: Card) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.recipe = recipe
        for name, values in (("mean", card.mean), ("std", card.std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        x = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        return self.network(x)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Cross entropy of one batch, a scalar."""
        images, labels = batch
        return F.cross_entropy(self(images), labels)

    def test_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Log the fraction of right answers."""
        images, labels = batch
        correct = (self(images).argmax(1) == labels).double().mean()
        self.log("correct", correct, batch_size=len(labels))

    def configure_optimizers(self) -> Any:
        """SGD with momentum and a one-cycle learning rate, stepped per batch."""
        r = self.recipe
        optimizer = torch.optim.SGD(self.parameters(), r.lr_start, r.momentum, weight_decay=r.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            r.lr,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.3,
            div_factor=r.lr / r.lr_start,
            final_div_factor=r.lr_start / r.lr_end,
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Batches(lightning.LightningDataModule):
    """Serves each epoch's batches anew, so that their order depends on (seed, epoch) alone, resumed or not."""

    def __init__(self, data: TrainingData, recipe: TrainRecipe) -> None:
        super().__init__()
        self.data, self.recipe = data, recipe

    def train_dataloader(self) -> DataLoader[Any]:
        r = self.recipe
        batches = _EpochBatches(self, self.data.images, self.data.labels, r.batch_size, r.crop_padding, r.seed)
        return DataLoader(batches, batch_size=None)


class _EpochBatches(ArrayBatches):
    """Takes the epoch from the trainer when the first batch is asked for.

    Not when the iterator is made: a resumed trainer makes it before it has read how far it was.
    """

    def __init__(self, owner: _Batches, *args: Any) -> None:
        super().__init__(*args)
        self.owner = owner

    def __iter__(self) -> Iterator[Batch]:
        assert self.owner.trainer is not None
        self.epoch = self.owner.trainer.global_step // len(self)
        yield from super().__iter__()


def _versions() -> dict[str, str]:
    from ppbench import __version__

    return {
        "ppbench": __version__,
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "python": platform.python_version(),
    }
