"""The command ``convert``, from a request to a checkpoint: convert, estimate statistics, measure, perhaps fine-tune."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ppbench.devices import choose_device
from ppbench.errors import UsageError
from ppbench.extras import import_extra
from ppbench.files import check_writable, is_same_file
from ppbench.lookup import counted
from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions
from ppbench.models.checkpoint import save_checkpoint
from ppbench.models.convert import convert_to_push_pull, estimate_statistics, has_batch_norm, share_right
from ppbench.models.foreign import refuse_foreign
from ppbench.models.load import resolve_model
from ppbench.models.loaded import Checkpoint
from ppbench.models.shapes import is_external
from ppbench.models.statedict import names_file
from ppbench.train.batch_norm import StatisticsImages
from ppbench.train.finished import card_there, check_trained, refusal
from ppbench.train.recipe import TrainRecipe, make_recipe, read_recipe
from ppbench.train.request import TrainingProgress, TrainRequest

if TYPE_CHECKING:  # it imports Lightning, which converting alone does not need
    from ppbench.train.plan import TrainResult

_NOTHING_LOST = 0.01
"""Loss of accuracy, a fraction, up to which no fine-tuning is suggested."""

_SAME = ("architecture", "stem", "inhibition", "trainable_inhibition", "rectified_push", "seed")
"""Fields of the card that, together with its origin, identify a conversion."""

_Log = Callable[[str], None]


@dataclass(frozen=True)
class ConvertRequest:
    """The network to convert, and how."""

    model: str
    """As `ppbench.models.load.resolve_model` takes it."""
    output: Path | None = None
    """The checkpoint to write; None: called like the model."""
    push_pull: int = 3
    """Side of the mean filter over the pull response, in pixels; 0: no filter."""
    inhibition: float = 1.0
    trainable_inhibition: bool = False
    rectified_push: bool = False
    card_options: CardOptions | None = None
    data: Path | None = None
    """Folder of training images."""
    dataset: str = "imagefolder"
    images: int = 2000
    """Number of images for the statistics of batch norm."""
    keep_statistics: bool = False
    recipe: str | None = None
    """Name or file of the recipe of the fine-tuning; None: no fine-tuning."""
    epochs: int | None = None
    """Epochs of the fine-tuning; None: the recipe's."""
    lr: float | None = None
    """Highest learning rate; None: the recipe's."""
    overwrite: bool = False
    seed: int = 0
    device: str = "auto"
    command: str | None = None
    """The command line, for the card."""

    @property
    def target(self) -> Path:
        """The checkpoint to write: for ``torchvision:resnet50``, ``resnet50-pp3.safetensors``."""
        last = self.model.rpartition("@")[2].rpartition(":")[2]
        return self.output or Path(f"{Path(last).stem if names_file(last) else last}-pp{self.push_pull}.safetensors")

    def check(self) -> None:
        """Raise unless there are images to train on, and the target can be written and is not the model itself."""
        if self.recipe is not None and self.data is None:
            raise UsageError(f"--recipe {self.recipe} needs images to train on", "Give them: `--data DIR`.")
        if any(is_same_file(Path(text), self.target) for text in (self.model, self.model.rpartition("@")[2])):
            raise UsageError(f"{self.target} is the network to convert", "Give another `--output`.")
        check_writable(self.target)


@dataclass(frozen=True)
class ConvertPlan:
    """A converted network, whose statistics are still to be estimated, with the images that this takes."""

    request: ConvertRequest
    plain: nn.Module
    """The network before the conversion."""
    made: Checkpoint
    """The converted network, and the complete card."""
    statistics: StatisticsImages | None
    """Images for the statistics of batch norm; None: there are none to estimate, or they are kept."""
    recipe: TrainRecipe | None
    """Settings of the fine-tuning, if it is wanted."""
    finished: bool
    """Whether the output holds this network already."""

    @property
    def device(self) -> torch.device:
        """The device to compute on."""
        return choose_device(self.request.device)


@dataclass(frozen=True)
class ConvertReport:
    """The checkpoint that was written, or that existed."""

    path: Path
    card: Card
    trained: TrainResult | None = None
    """Result of the fine-tuning."""

    def text(self) -> str:
        """One line: ``net-pp3.safetensors: resnet50-pp3``."""
        return f"{self.path}: {self.card.architecture}{f' with {self.card.stem}' if self.card.stem else ''}"


def plan_conversion(
    request: ConvertRequest, say: _Log, on_download: Callable[[int, int], None] | None = None
) -> ConvertPlan:
    """Open the network and the images of a request, and convert the network.

    Args:
        request: What to convert.
        say: Called with lines for people.
        on_download: Called with the bytes downloaded so far and their total.

    Raises:
        UsageError: If a value is not allowed, the network cannot be converted or trained, or the output exists and is
            something else.
        DataError: If weights or images are missing or do not fit, or the output cannot be written.
    """
    request.check()
    subject = resolve_model(request.model, request.card_options, on_download)
    instead = "Convert the torch network that it was made from, then `ppbench export` the result."
    refuse_foreign(subject.model, "ppbench convert", "replaces the first convolution", instead)
    plain = deepcopy(subject.model)  # the conversion changes the network in place
    made = convert_to_push_pull(
        subject.name, Checkpoint(subject.model, subject.card), request.push_pull, inhibition=request.inhibition,
        trainable_inhibition=request.trainable_inhibition, rectified_push=request.rectified_push,
    )  # fmt: skip
    recipe = None if request.recipe is None else _recipe(request.recipe, made.card, request)
    chosen, how = _statistics(made, request, say)
    origin = {**(made.card.origin or {}), "statistics": how}
    card = made.card.model_copy(update={"origin": origin, "command": request.command, "seed": request.seed})
    finished = request.target.is_file() and not request.overwrite
    if finished:
        _check_finished(request.target, card, recipe)
    return ConvertPlan(request, plain, Checkpoint(made.model, card), chosen, recipe, finished)


def convert_network(plan: ConvertPlan, say: _Log, progress: TrainingProgress) -> ConvertReport:
    """Estimate the statistics of a converted network, measure its accuracy, and save it or train it further.

    Args:
        plan: The plan.
        say: Called with lines for people.
        progress: Shows the progress of a fine-tuning.

    Raises:
        DataError: If an image cannot be read, or the output cannot be written.
        As `ppbench.train.fit.train`, if the network is trained further.
    """
    request, target, card = plan.request, plan.request.target, plan.made.card
    if plan.finished:
        say(f"already finished: {target} was made from this network in this way (`--overwrite` makes it again)")
        return ConvertReport(target, card)
    images = plan.statistics
    if images is not None:
        count = estimate_statistics(plan.made.model.to(plan.device), images.batches(plan.device))
        plan.made.model.cpu()
        say(f"batch-norm statistics estimated from {counted(count, 'image')}")
    elif request.data is not None:
        images = _images(request.data, card, request, say)
    lost = _report_accuracy(plan, images, say)
    if plan.recipe is None or request.data is None:
        save_checkpoint(target, plan.made.model, card)
        if lost:
            say(f"fine-tuning recovers it: {_fine_tuning(plan)}")
        return ConvertReport(target, card)
    from ppbench.train.fit import run_training

    training = TrainRequest(
        plan.recipe, request.data, target, initial=plan.made, overwrite=request.overwrite, command=request.command,
        device=plan.device,
    )  # fmt: skip
    with progress() as callbacks:
        return ConvertReport(target, card, run_training(training, say, callbacks))


def _recipe(name: str, card: Card, request: ConvertRequest) -> TrainRecipe:
    """Return the recipe for the network of ``card``; raise `UsageError` early if it cannot be trained."""
    if is_external(card.architecture):
        raise UsageError(
            f"--recipe {name} is for ppbench's own networks, not for {card.architecture}",
            "Leave it out; to train that network, call `ppbench.with_push_pull` in your training code.",
        )
    import_extra("lightning", "train", "`ppbench train`")
    overrides = {"epochs": request.epochs, "lr": request.lr, "dataset": request.dataset, "seed": request.seed}
    return make_recipe(read_recipe(name), {k: v for k, v in overrides.items() if v is not None}, card)


def _statistics(
    made: Checkpoint, request: ConvertRequest, say: _Log
) -> tuple[StatisticsImages | None, str | dict[str, Any]]:
    """Open the images from which to estimate the statistics of batch norm, if any are wanted.

    Returns:
        The images, and for the card: their description, or "kept", or "none" if the network has no statistics.
    """
    if not has_batch_norm(made.model):
        say("the network has no batch norm: no statistics to estimate")
        return None, "none"
    if request.keep_statistics:
        return None, "kept"
    if request.data is None:
        raise UsageError(
            "the batch-norm statistics are still those of the plain network",
            "Estimate new ones from training images: `--data DIR --images 2000`. Or keep them: `--keep-statistics`.",
        )
    chosen = _images(request.data, made.card, request, say)
    return chosen, {"dataset": request.dataset, "images": len(chosen), "seed": request.seed}


def _images(data: Path, card: Card, request: ConvertRequest, say: _Log) -> StatisticsImages:
    opened = StatisticsImages(request.dataset, data, card, request.images, request.seed)
    for note in opened.notes:
        say(note)
    return opened


def _check_finished(target: Path, card: Card, recipe: TrainRecipe | None) -> None:
    """Raise `UsageError` unless ``target`` holds the network that would be made, trained with ``recipe`` if given."""
    there = card_there(target)
    if recipe is not None:
        check_trained(target, there, recipe)
    origin = {name: value for name, value in (there.origin or {}).items() if name != "initial_weights"}
    different = [name for name in _SAME if getattr(there, name) != getattr(card, name)]
    different += ["origin"] if origin != card.origin else []
    different += ["recipe"] if (there.recipe is None) != (recipe is None) else []
    if different:
        raise refusal(target, f"was made in another way ({', '.join(different)})")


def _report_accuracy(plan: ConvertPlan, images: StatisticsImages | None, say: _Log) -> bool:
    """Report the accuracy before and after; return whether some is lost, or whether that is not known."""
    unknown, made = "the accuracy after the conversion is not known", plan.made
    if images is None:
        say(f"{unknown}: no images were given (`--data DIR`)")
        return True
    if images.num_classes != made.card.num_classes:
        say(f"{unknown}: the images have {images.num_classes} classes, but the network has {made.card.num_classes}")
        return True
    device = plan.device
    before, after = (share_right(net.to(device), images.labelled_batches(device)) for net in (plan.plain, made.model))
    made.model.cpu()
    if before < 2 / images.num_classes:
        say(
            f"{unknown}: the plain network is right on only {before:.1%} of these images; their classes may be others, "
            "or in another order"
        )
        return True
    say(f"accuracy on {len(images):,} training images: {100 * before:.1f} -> {100 * after:.1f} %")
    return before - after > _NOTHING_LOST


def _fine_tuning(plan: ConvertPlan) -> str:
    """Return the command that fine-tunes, or for networks that ppbench does not train, what to do instead."""
    target, dataset, data = plan.request.target, plan.request.dataset, plan.request.data
    if is_external(plan.made.card.architecture):
        return "train it further in your own code (`ppbench.with_push_pull`)"
    words = ["ppbench", "train", "--init", str(target), "--dataset", dataset, "--data", str(data or "DIR")]
    if dataset == "imagefolder" and data is not None and not (data / "train").is_dir():
        words += ["--val-fraction", "0.1"]
    words += ["--recipe", "finetune", "-o", str(target.with_name(f"{target.stem}-tuned.safetensors"))]
    return f"`{shlex.join(words)}`"
