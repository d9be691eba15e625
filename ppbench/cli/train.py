"""``ppbench train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppbench.cli import output
from ppbench.cli.completion import complete_network, complete_training_recipe
from ppbench.cli.help import page
from ppbench.cli.options import DeviceOption, OverwriteOption, command_line
from ppbench.cli.training import print_trained, require_lightning, training_shown
from ppbench.errors import UsageError
from ppbench.files import is_same_file
from ppbench.train.choices import OptimizerName, PrecisionName, ScheduleName


@page(
    "Train a network and save it with its card.",
    first=("--model", "--dataset", "--data", "--recipe", "--output"),
    examples=(
        "ppbench train --model resnet20-pp --dataset cifar10 --data cifar-10/",
        "ppbench train --model resnet50-pp3 --recipe paper-imagenet-20 --data imagenet/",
    ),
    groups={
        "Training": (
            "--recipe",
            "--epochs",
            "--batch-size",
            "--optimizer",
            "--momentum",
            "--momentum-low",
            "--nesterov",
            "--weight-decay",
            "--schedule",
            "--lr",
            "--lr-start",
            "--lr-end",
            "--warmup",
            "--grad-clip",
            "--ema",
            "--jsd",
            "--validate-every",
            "--seed",
        ),
        "Images": ("--resize", "--crop-size", "--crop-padding", "--flip", "--test-resize", "--augment"),
    },
)
def train_command(
    data: Annotated[Path, typer.Option(help="Folder of the dataset.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="Network, e.g. resnet50-pp3 (`ppbench list models`).",
            show_default=False,
            autocompletion=complete_network,
        ),
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
            help="Recipe with the settings, which other options override (`ppbench list training-recipes`). "
            "[default: the dataset's]",
            show_default=False,
            autocompletion=complete_training_recipe,
        ),
    ] = None,
    output_file: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Checkpoint to write.", show_default="MODEL-DATASET.safetensors"),
    ] = None,
    overwrite: OverwriteOption = False,
    init: Annotated[
        Path | None, typer.Option(help="Checkpoint of the same network, to start from its weights.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="File with the names of the classes to use, one per line.")
    ] = None,
    fraction: Annotated[
        float | None, typer.Option(help="Share of the training images to use, equal in each class.")
    ] = None,
    val_fraction: Annotated[
        float | None, typer.Option(help="Share of the images kept for testing, if the folder has no train and val.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step, of all devices together.")] = None,
    optimizer: Annotated[OptimizerName | None, typer.Option(help="Optimizer.", show_default=False)] = None,
    momentum: Annotated[
        float | None, typer.Option(help="Momentum of SGD. Given alone, it is constant even if the recipe cycles it.")
    ] = None,
    momentum_low: Annotated[
        float | None, typer.Option(help="Momentum at the highest learning rate of one-cycle; 0: constant momentum.")
    ] = None,
    nesterov: Annotated[
        bool | None, typer.Option("--nesterov/--no-nesterov", help="Nesterov momentum, for SGD.")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Weight decay of the optimizer.")] = None,
    schedule: Annotated[ScheduleName | None, typer.Option(help="Learning-rate schedule.", show_default=False)] = None,
    lr: Annotated[
        float | None, typer.Option(help="Highest learning rate; the recipe's start and end change in proportion.")
    ] = None,
    lr_start: Annotated[float | None, typer.Option(help="Learning rate at the start of one-cycle.")] = None,
    lr_end: Annotated[float | None, typer.Option(help="Learning rate at the end of one-cycle or cosine.")] = None,
    warmup: Annotated[
        float | None, typer.Option(help="Share of the steps in which the learning rate of one-cycle rises.")
    ] = None,
    grad_clip: Annotated[float | None, typer.Option(help="Largest norm of the gradients; 0: no limit.")] = None,
    ema: Annotated[
        float | None, typer.Option(help="Decay of a moving average of the weights, e.g. 0.999; 0: none.")
    ] = None,
    resize: Annotated[int | None, typer.Option(help="Shorter side before the crop, in pixels; 0: no resize.")] = None,
    crop_size: Annotated[int | None, typer.Option(help="Side of the random crops, in pixels.")] = None,
    crop_padding: Annotated[
        int | None, typer.Option(help="Border of zeros around an image before the crop, in pixels.")
    ] = None,
    flip: Annotated[bool | None, typer.Option("--flip/--no-flip", help="Mirror half of the images.")] = None,
    test_resize: Annotated[
        int | None, typer.Option(help="Shorter side of test images before the centre crop, in pixels; 0: no resize.")
    ] = None,
    augment: Annotated[
        str | None, typer.Option(help="none, autoaugment, augmix, augmix-strict, randaugment, trivialaugment or prime.")
    ] = None,
    jsd: Annotated[
        bool | None,
        typer.Option("--jsd/--no-jsd", help="Jensen-Shannon loss between an image and two augmented views."),
    ] = None,
    inhibition: Annotated[float | None, typer.Option(help="Strength of the pull response.")] = None,
    trainable_inhibition: Annotated[
        bool | None,
        typer.Option("--trainable-inhibition/--fixed-inhibition", help="Train the strength, per output channel."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and augmentation. [default: 0]")] = None,
    precision: Annotated[
        PrecisionName | None, typer.Option(help="Precision; fp16 needs a GPU.", show_default=False)
    ] = None,
    device: DeviceOption = "auto",
    devices: Annotated[int, typer.Option(help="Number of GPUs, or of processes on the CPU.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes per device that load images. [default: by the cores, if it pays]", show_default=False
        ),
    ] = None,
    validate_every: Annotated[int, typer.Option(help="Epochs between tests; 0: only at the end.")] = 1,
    log_dir: Annotated[Path | None, typer.Option(help="Folder for metrics.csv and TensorBoard's files.")] = None,
) -> None:
    """Train a network and save it with its card.

    A recipe gives the settings, and every option overrides one of them. The state is saved after every epoch: after an
    interruption, the same command resumes and ends with the same weights.
    """
    given = locals()  # the arguments by name
    from ppbench.models.read_card import read_card
    from ppbench.train.augment import parse_augmentation
    from ppbench.train.recipe import TrainRecipe, make_recipe, read_recipe

    chosen = {name: given[name] for name in TrainRecipe.model_fields if given.get(name) is not None}
    start = None if init is None else read_card(init)
    settings = make_recipe(None if recipe is None else read_recipe(recipe), chosen, start)
    parse_augmentation(settings.augment)  # raises for unknown names before Lightning is loaded, which takes seconds
    target = output_file or Path(f"{settings.model}-{settings.dataset}.safetensors")
    if init is not None and is_same_file(init, target):
        raise UsageError(f"{target} is the network given as `--init`", "Give another `--output`.")
    require_lightning()
    from ppbench.devices import choose_device
    from ppbench.train.data import read_class_names
    from ppbench.train.fit import run_training
    from ppbench.train.request import TrainRequest

    request = TrainRequest(
        settings,
        data,
        target,
        initial=init,
        classes=None if classes is None else read_class_names(classes),
        overwrite=overwrite,
        devices=devices,
        workers=workers,
        validate_every=validate_every,
        log_dir=log_dir,
        command=command_line(),
        device=choose_device(device),
    )
    with training_shown() as callbacks:
        result = run_training(request, output.say, callbacks)
    print_trained(result)
