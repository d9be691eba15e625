"""``ppbench train``."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ppbench.cli import output
from ppbench.errors import UsageError
from ppbench.extras import import_extra
from ppbench.files import is_same_file

if TYPE_CHECKING:
    from ppbench.models.card import Card

_DATA, _OPTIMISER, _IMAGES, _RUN = "Data", "Optimiser", "Images", "Run"


class Precision(StrEnum):
    """How the network computes."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class Optimizer(StrEnum):
    """What makes steps of gradients."""

    SGD = "sgd"
    ADAMW = "adamw"


class Schedule(StrEnum):
    """How the learning rate changes."""

    ONE_CYCLE = "one-cycle"
    COSINE = "cosine"
    CONSTANT = "constant"


def train(
    data: Annotated[Path, typer.Option(help="Folder of the dataset's files.")],
    model: Annotated[
        str | None, typer.Option(help="Network, e.g. resnet50-pp3 (`ppbench list models`).", show_default=False)
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="fashion-mnist, cifar10, cifar100, imagenet or imagefolder. [default: the recipe's]",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.toml",
            help="Settings that the options below replace one by one (`ppbench list training-recipes`). "
            "[default: the dataset's]",
            show_default=False,
        ),
    ] = None,
    output_file: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Checkpoint to write.", show_default="MODEL-DATASET.safetensors"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an OUTPUT that is there.")] = False,
    init: Annotated[
        Path | None, typer.Option(help="Checkpoint of the same network whose weights are the start.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="File of the class names to use, one a line.", rich_help_panel=_DATA)
    ] = None,
    fraction: Annotated[
        float | None, typer.Option(help="Share of the training images, the same of each class.", rich_help_panel=_DATA)
    ] = None,
    val_fraction: Annotated[
        float | None,
        typer.Option(help="Share kept for testing, of a folder without train and val.", rich_help_panel=_DATA),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images per step, of all devices together.", rich_help_panel=_OPTIMISER)
    ] = None,
    optimizer: Annotated[Optimizer | None, typer.Option(rich_help_panel=_OPTIMISER, show_default=False)] = None,
    momentum: Annotated[
        float | None,
        typer.Option(help="Of SGD; given alone, it is held where the recipe cycles it.", rich_help_panel=_OPTIMISER),
    ] = None,
    momentum_low: Annotated[
        float | None,
        typer.Option(
            help="Momentum at the highest learning rate of one-cycle; 0: it is held.", rich_help_panel=_OPTIMISER
        ),
    ] = None,
    nesterov: Annotated[
        bool | None, typer.Option("--nesterov/--no-nesterov", help="Of SGD.", rich_help_panel=_OPTIMISER)
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(rich_help_panel=_OPTIMISER)] = None,
    schedule: Annotated[Schedule | None, typer.Option(rich_help_panel=_OPTIMISER, show_default=False)] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help="Highest learning rate; the recipe's start and end change in proportion.", rich_help_panel=_OPTIMISER
        ),
    ] = None,
    lr_start: Annotated[float | None, typer.Option(help="Of one-cycle.", rich_help_panel=_OPTIMISER)] = None,
    lr_end: Annotated[float | None, typer.Option(help="Of one-cycle and cosine.", rich_help_panel=_OPTIMISER)] = None,
    warmup: Annotated[
        float | None, typer.Option(help="Share of the steps on the way up.", rich_help_panel=_OPTIMISER)
    ] = None,
    grad_clip: Annotated[
        float | None, typer.Option(help="Highest norm of the gradients; 0: any.", rich_help_panel=_OPTIMISER)
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(help="Decay of a moving average of the weights, e.g. 0.999; 0: none.", rich_help_panel=_OPTIMISER),
    ] = None,
    resize: Annotated[
        int | None, typer.Option(help="Shorter side before the crop, pixels; 0: as it is.", rich_help_panel=_IMAGES)
    ] = None,
    crop_size: Annotated[int | None, typer.Option(help="Random crops, pixels.", rich_help_panel=_IMAGES)] = None,
    crop_padding: Annotated[
        int | None, typer.Option(help="Zeros around an image before the crop, pixels.", rich_help_panel=_IMAGES)
    ] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="Mirror half of the images.", rich_help_panel=_IMAGES)
    ] = None,
    test_resize: Annotated[
        int | None,
        typer.Option(help="Shorter side of test images before the centre crop; 0: as it is.", rich_help_panel=_IMAGES),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            help="none, autoaugment, augmix, augmix-strict, randaugment, trivialaugment or prime.",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    jsd: Annotated[
        bool | None,
        typer.Option("--jsd/--no-jsd", help="Jensen-Shannon loss of two augmented views.", rich_help_panel=_IMAGES),
    ] = None,
    inhibition: Annotated[float | None, typer.Option(help="Strength of the pull response.")] = None,
    trainable_inhibition: Annotated[
        bool | None,
        typer.Option("--trainable-inhibition/--fixed-inhibition", help="Train that strength, per output channel."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Key of weights, order and augmentation. [default: 0]")] = None,
    precision: Annotated[Precision | None, typer.Option(rich_help_panel=_RUN, show_default=False)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.", rich_help_panel=_RUN)] = "auto",
    devices: Annotated[int, typer.Option(help="GPUs, or processes on the CPU.", rich_help_panel=_RUN)] = 1,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that load images, per device. [default: the cores, where it pays]",
            rich_help_panel=_RUN,
            show_default=False,
        ),
    ] = None,
    validate_every: Annotated[
        int, typer.Option(help="Epochs between tests; 0: at the end only.", rich_help_panel=_RUN)
    ] = 1,
    log_dir: Annotated[
        Path | None, typer.Option(help="Folder for metrics.csv and TensorBoard's files.", rich_help_panel=_RUN)
    ] = None,
) -> None:
    """Train a network and write it with its card.

    A recipe gives the settings; every option replaces one of them. The state is kept after every epoch: the same
    command, run again after a kill, goes on where it was and ends with the same weights.
    """
    given = {
        "model": model, "dataset": dataset, "fraction": fraction, "val_fraction": val_fraction,
        "epochs": epochs, "batch_size": batch_size, "optimizer": optimizer, "momentum": momentum,
        "momentum_low": momentum_low, "nesterov": nesterov, "weight_decay": weight_decay, "schedule": schedule,
        "lr": lr, "lr_start": lr_start, "lr_end": lr_end, "warmup": warmup, "grad_clip": grad_clip, "ema": ema,
        "resize": resize, "crop_size": crop_size, "crop_padding": crop_padding, "flip": flip,
        "test_resize": test_resize,
        "augment": augment, "jsd": jsd, "inhibition": inhibition, "trainable_inhibition": trainable_inhibition,
        "seed": seed, "precision": precision,
    }  # fmt: skip
    chosen = {name: value for name, value in given.items() if value is not None}
    start = _card_of(init)
    settings = _recipe(recipe, {**_network_of(start), **chosen}, start)
    target = output_file or Path(f"{settings.model}-{settings.dataset}.safetensors")
    if init is not None and is_same_file(init, target):
        raise UsageError(f"{target} is the network to begin with", "Give another `--output`.")
    run = {
        "initial": init, "overwrite": overwrite, "classes": _classes(classes), "devices": devices, "workers": workers,
        "validate_every": validate_every, "log_dir": log_dir,
    }  # fmt: skip
    run_training(settings, data, target, device, run)


def _recipe(name: str | None, given: dict[str, Any], start: Card | None) -> Any:
    from ppbench.train.augment import parse_augmentation
    from ppbench.train.recipe import make_recipe, read_recipe

    settings = make_recipe(None if name is None else read_recipe(name), given, start)
    parse_augmentation(settings.augment)  # tells of unknown names before Lightning is loaded
    return settings


def _card_of(init: Path | None) -> Card | None:
    if init is None:
        return None
    from ppbench.models.read_card import read_card

    return read_card(init)


def _network_of(card: Card | None) -> dict[str, Any]:
    """What a checkpoint says of its network, which need not be said again."""
    if card is None:
        return {}
    return {
        "model": card.architecture,
        "inhibition": card.inhibition,
        "trainable_inhibition": card.trainable_inhibition,
    }


def _classes(file: Path | None) -> list[str] | None:
    if file is None:
        return None
    require_lightning()
    from ppbench.train.data import read_class_names

    return read_class_names(file)


def run_training(recipe: Any, data: Path, path: Path, device: str, run: dict[str, Any]) -> None:
    """Train under a progress display and print what came of it; ``run``: more options of `ppbench.train.fit.train`."""
    require_lightning()
    from ppbench.devices import choose_device
    from ppbench.train.fit import train as fit
    from ppbench.train.progress import quiet_lightning, training_progress

    command = shlex.join(["ppbench", *sys.argv[1:]])
    with quiet_lightning(), training_progress(output.progress_console(), output.say) as callback:
        trained = fit(
            recipe,
            data,
            path,
            command=command,
            report=output.say,
            callbacks=(callback,),
            device=choose_device(device),
            **run,
        )
    if trained is not None:
        output.text(f"{trained.path}: {trained.clean_accuracy:.2%} of the clean test images right")


def require_lightning() -> None:
    """Raise `UsageError` if the extra for training is not installed."""
    import_extra("lightning", "train", "`ppbench train`")
