"""The training run: Lightning does the loop, this file says what is optimised and what is written."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from ppbench.files import atomic_write, check_writable
from ppbench.models.card import Card
from ppbench.models.catalog import parse_model_name
from ppbench.models.checkpoint import build, save_checkpoint
from ppbench.train.data import ArrayBatches, Batch, TrainingData, load_training_data
from ppbench.train.recipe import TrainRecipe

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
    accelerator: str = "auto",
) -> Trained:
    """Train a network and write it, with its card, to ``output``.

    After every epoch the state goes to the folder ``<output>.part``. A run with the same recipe that finds such a
    folder goes on from there and ends with the same weights as an unbroken one; with another recipe it starts anew.

    Args:
        recipe: The settings.
        data: Folder of the dataset's files.
        output: The checkpoint to write (safetensors).
        command: The command line to record in the card.
        report: Called with lines for people.
        callbacks: More Lightning callbacks, such as a progress display.
        accelerator: Lightning's name of the device: "auto", "cpu", "cuda", "mps".

    Raises:
        UsageError: If the model or dataset is not known.
        DataError: If data cannot be read or the output cannot be written.
    """
    architecture = parse_model_name(recipe.model)
    check_writable(output)
    loaded = load_training_data(recipe.dataset, data)
    card = Card(
        architecture=architecture.name,
        num_classes=loaded.num_classes,
        in_channels=1 if loaded.images.shape[1] == 1 else 3,
        input_size=loaded.images.shape[-1],
        mean=loaded.mean,
        std=loaded.std,
        inhibition=recipe.inhibition,
        trainable_inhibition=recipe.trainable_inhibition,
        trained_on=recipe.dataset,
        class_names=loaded.class_names,
        seed=recipe.seed,
        recipe=recipe.model_dump(),
        versions=_versions(),
        command=command,
    )
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    module = Classifier(build(card), recipe, card)
    part = output.with_name(output.name + ".part")
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        max_epochs=recipe.epochs,
        callbacks=[
            ModelCheckpoint(part, filename="last", every_n_epochs=1, enable_version_counter=False),
            *callbacks,
        ],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        deterministic=True,
    )
    trainer.fit(module, datamodule=_Batches(loaded, recipe), ckpt_path=_resume_point(part, recipe, report))
    accuracy = trainer.test(module, DataLoader(_test_batches(loaded, recipe), batch_size=None), verbose=False)
    clean = float(accuracy[0]["correct"])
    save_checkpoint(output, module.network, card.model_copy(update={"clean_accuracy": clean}))
    rmtree(part)
    return Trained(output, clean)


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


def _test_batches(data: TrainingData, recipe: TrainRecipe) -> ArrayBatches:
    return ArrayBatches(data.test_images, data.test_labels, recipe.batch_size)


def _resume_point(part: Path, recipe: TrainRecipe, report: Report) -> str | None:
    """The state of an earlier, killed run of the same recipe, or None after clearing what another left."""
    note, state = part / "recipe.json", part / "last.ckpt"
    text = recipe.model_dump_json(indent=1)
    same = note.is_file() and note.read_text() == text
    if same and state.is_file():
        report(f"resuming from {state}")
        return str(state)
    if part.exists():
        why = "it has not finished an epoch" if same else "its recipe differs"
        report(f"starting anew: {part} is of an earlier run, but {why}")
        rmtree(part)
    atomic_write(note, text)
    return None


def _versions() -> dict[str, str]:
    from ppbench import __version__

    return {
        "ppbench": __version__,
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "python": platform.python_version(),
    }
