"""The Lightning module of a recipe: its loss, its optimizer and its schedule."""

from __future__ import annotations

import math
import time
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ppbench.devices import in_channels_last
from ppbench.errors import PpbenchError
from ppbench.models.card import Card
from ppbench.models.normalise import mean_and_std
from ppbench.train.augment import batch_augmentation, parse_augmentation
from ppbench.train.batches import LabelledBatch
from ppbench.train.draws import key_of
from ppbench.train.processes import raise_together, several_processes
from ppbench.train.recipe import TrainRecipe
from ppbench.train.schedule import Schedule

NEVER = 2**62
"""Initial value of ``first_bad``: no loss was infinite or NaN, and no image unreadable, at any step so far."""


class TrainingDivergedError(PpbenchError):
    """The loss, or a weight, is no longer a finite number (exit code 1)."""


class Classifier(lightning.LightningModule):
    """A network with its loss, optimizer and schedule.

    Args:
        network: The network to train.
        recipe: The settings.
        card: Mean, std and input size of the network.
        steps: Optimizer steps of the whole run.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, recipe: TrainRecipe, card: Card, steps: int) -> None:
        super().__init__()
        self.network = in_channels_last(network)
        self.recipe, self.steps = recipe, steps
        self.loss = math.nan
        """Mean training loss of the last finished epoch."""
        self.accuracy: float | None = None
        """Accuracy on the test images in this epoch, a fraction; None: not tested."""
        self.last_accuracy: float | None = None
        """Accuracy in the last epoch with a test."""
        self.epoch_start = time.monotonic()
        self.average = _moving_average(self.network, recipe.ema)
        in_batches = parse_augmentation(recipe.augment).where == "batch"
        self.augmentation = batch_augmentation(recipe.augment, card.input_size) if in_batches else None
        for name, values in zip(("mean", "std"), mean_and_std(card), strict=True):
            self.register_buffer(name, values, persistent=False)
        # Tensors on the device, because reading a number from it waits for all earlier work. They are not buffers:
        # before every step, all processes would get the first one's values.
        self.loss_sum = torch.zeros(())
        self.first_bad = torch.tensor(NEVER)
        self.right = torch.zeros(2, dtype=torch.int64)
        self.broken: PpbenchError | None = None
        """The first batch of this process that could not be read."""

    @property
    def trained(self) -> nn.Module:
        """The network whose weights are the result: the moving average, if there is one."""
        return self.network if self.average is None else self.average.module

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` with values in [0, 1] to logits ``(N, classes)``."""
        return self.network(self._normalised(images))

    def training_step(self, batch: LabelledBatch | PpbenchError, index: int) -> Tensor:
        """Return the loss of one batch, a scalar."""
        if isinstance(batch, PpbenchError):
            return self._stand_in(batch)
        images, labels = batch
        logits = self(self._views(images))
        loss = self._loss(logits, labels)
        self._note(loss.detach())
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:
        """Update the moving average, check at intervals that the loss is finite, and take its mean at the end."""
        if self.average is not None:
            self.average.update_parameters(self.network)
        if index % 50 == 49:  # not at every step, because reading the loss waits for the device
            self.check_finite()
        if self.trainer.is_last_batch:
            mean = self.loss_sum / (self.steps // self.recipe.epochs)
            self.loss = float(self.trainer.strategy.reduce(mean, reduce_op="mean"))

    def validation_step(self, batch: LabelledBatch | PpbenchError, index: int) -> None:
        """Count the images that are classified correctly."""
        if isinstance(batch, PpbenchError):
            self._keep_error(batch)
            return
        images, labels = batch
        logits = self.trained(self._normalised(images.float() / 255))
        self.right += torch.stack([(logits.argmax(1) == labels).sum(), torch.tensor(len(labels), device=self.device)])

    def on_train_epoch_start(self) -> None:
        """Reset the sums of the epoch."""
        self.epoch_start, self.accuracy = time.monotonic(), None
        self.loss_sum = torch.zeros((), device=self.device)
        self.first_bad = self.first_bad.to(self.device)

    def on_validation_epoch_start(self) -> None:
        """Reset the counts."""
        self.right = torch.zeros(2, dtype=torch.int64, device=self.device)

    def on_validation_epoch_end(self) -> None:
        """Compute the accuracy over all processes."""
        raise_together(self.broken)
        right, seen = self.trainer.strategy.reduce(self.right.clone(), reduce_op="sum").tolist()
        self.accuracy = self.last_accuracy = right / seen

    def check_finite(self, *, weights: bool = False) -> None:
        """Stop a run that cannot recover, in all its processes.

        Args:
            weights: Whether to check the weights too: the last step may have made them infinite or NaN.

        Raises:
            PpbenchError: If a process could not read its images.
            TrainingDivergedError: If a loss or a weight is not finite.
            SystemExit: In processes other than the first, in both cases.
        """
        step = int(self.trainer.strategy.reduce(self.first_bad.clone(), reduce_op="min"))
        if step == NEVER and weights and not all(bool(p.isfinite().all()) for p in self.network.parameters()):
            step = self.trainer.global_step - 1
        if step != NEVER:
            raise_together(self.broken)
            per_epoch = self.steps // self.recipe.epochs
            raise_together(
                TrainingDivergedError(
                    f"the loss is not a finite number at epoch {step // per_epoch + 1}, step {step % per_epoch + 1} "
                    f"of {per_epoch}",
                    self._what_to_try(),
                )
            )

    def configure_optimizers(self) -> Any:
        """Return the recipe's optimizer, and the schedule that sets learning rate and momentum for every batch."""
        r = self.recipe
        optimizer: torch.optim.Optimizer
        if r.optimizer == "adamw":
            optimizer = torch.optim.AdamW(self.network.parameters(), r.lr, weight_decay=r.weight_decay)
        else:
            optimizer = torch.optim.SGD(
                self.network.parameters(), r.lr, r.momentum, weight_decay=r.weight_decay, nesterov=r.nesterov
            )
        schedule = Schedule(optimizer, r, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _views(self, images: Tensor) -> Tensor:
        """Return all views of the images, with values in [0, 1]; augmentations of whole batches are applied here."""
        x = images.float() / 255
        if self.augmentation is None:
            return x
        generator = torch.Generator(self.device)
        generator.manual_seed(key_of("batch", self.recipe.seed, self.global_step, self.global_rank))
        # In float32, also where the network computes in half precision.
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            made = [self.augmentation(x, generator) for _ in range(2 if self.recipe.jsd else 1)]
        return torch.cat([x, *made] if self.recipe.jsd else made)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if not self.recipe.jsd:
            return F.cross_entropy(logits, labels)
        clean, first, second = logits.chunk(3)
        return jensen_shannon_loss(clean, first, second, labels)

    def _normalised(self, images: Tensor) -> Tensor:
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def _note(self, loss: Tensor) -> None:
        self.loss_sum += loss
        step = torch.full_like(self.first_bad, self.trainer.global_step)
        self.first_bad = torch.where(loss.isfinite(), self.first_bad, torch.minimum(self.first_bad, step))

    def _stand_in(self, error: PpbenchError) -> Tensor:
        """Return a loss without a gradient, with which this process continues until all processes stop together.

        Asking the others at every step would make the device wait at every step.
        """
        self._keep_error(error)
        self.first_bad = self.first_bad.clamp(max=self.trainer.global_step)
        # Of all parameters, because the processes wait for the gradient of each.
        return 0 * torch.stack([parameter.sum() for parameter in self.network.parameters()]).sum()

    def _keep_error(self, error: PpbenchError) -> None:
        """Keep the error of a batch that could not be read; a process that trains alone stops at once."""
        self.broken = self.broken or error
        if not several_processes():
            raise error

    def _what_to_try(self) -> str:
        tries = [f"a lower learning rate (`--lr {self.recipe.lr / 4:g}`)"]
        if self.recipe.grad_clip is None:
            tries.append("`--grad-clip 1`")
        if self.recipe.precision == "fp16":
            tries.append("`--precision bf16`")
        return "Try " + ", or ".join(tries) + "."


def _moving_average(network: nn.Module, decay: float | None) -> AveragedModel | None:
    """Return a moving average of weights and batch-norm statistics; it starts with the values after the first step."""
    if decay is None:
        return None
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    return average.requires_grad_(False)


def jensen_shannon_loss(clean: Tensor, first: Tensor, second: Tensor, labels: Tensor, weight: float = 12.0) -> Tensor:
    """AugMix's loss: cross entropy of the clean images, and agreement with two augmented versions of each.

    ``CE(clean, labels) + weight * JS``, where JS is the mean over the images of the Jensen-Shannon divergence of the
    three predicted distributions: their mean Kullback-Leibler divergence from their average.

    Source: Hendrycks et al., "AugMix: A simple data processing method to improve robustness and uncertainty", ICLR 2020
    (weight 12). The average is clipped to at least 1e-7, as in the authors' code.

    Args:
        clean: Logits ``(N, classes)`` of the clean images.
        first: Logits of an augmented version of each image, of the same shape.
        second: Logits of a second augmented version.
        labels: ``(N,)`` int64.
        weight: Weight of the divergence.

    Returns:
        A scalar, in nats.
    """
    # In float32: divergences of nearly equal distributions are differences of nearly equal numbers.
    logarithms = torch.stack((clean, first, second)).float().log_softmax(dim=2)
    probabilities = logarithms.exp()
    average = probabilities.mean(0).clamp(1e-7, 1).log()
    divergence = (probabilities * (logarithms - average)).sum(2).mean()
    return F.cross_entropy(clean.float(), labels) + weight * divergence
