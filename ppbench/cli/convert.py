"""``ppbench convert``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ppbench.cli import output
from ppbench.cli.completion import complete_model, complete_training_recipe
from ppbench.cli.help import page
from ppbench.cli.options import (
    ArchitectureOption,
    EmaOption,
    InputSizeOption,
    MeanOption,
    PresetOption,
    StdOption,
    TestSizeOption,
    command_line,
)
from ppbench.cli.training import print_trained, require_lightning, training_shown
from ppbench.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from ppbench.models.card import Card
    from ppbench.models.card_options import CardOptions
    from ppbench.models.loaded import Checkpoint
    from ppbench.train.batch_norm import StatisticsImages
    from ppbench.train.recipe import TrainRecipe


@page(
    "Convert a trained plain network to push-pull.",
    first=("--model", "--push-pull", "--data", "--recipe", "--output"),
    examples=(
        "ppbench convert --model torchvision:resnet50 --push-pull 3 --data train/",
        "ppbench convert --model net.safetensors --data train/ --recipe finetune",
    ),
    groups={"Training": ("--recipe", "--epochs", "--lr"), "Images": ("--keep-statistics",)},
)
def convert(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FILE|torchvision:NAME|timm:NAME",
            help="The trained plain network.",
            autocompletion=complete_model,
        ),
    ],
    push_pull: Annotated[
        int,
        typer.Option(metavar="0|3|5", help="Side of the mean filter over the pull response, in pixels; 0: no filter."),
    ] = 3,
    inhibition: Annotated[float, typer.Option(help="Strength of the pull response.")] = 1.0,
    trainable_inhibition: Annotated[
        bool, typer.Option("--trainable-inhibition", help="Fine-tune the strength, per output channel.")
    ] = False,
    rectified_push: Annotated[
        bool,
        typer.Option(
            "--rectified-push", help="Rectify the push as the paper does; this changes the network at any strength."
        ),
    ] = False,
    output_file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Checkpoint to write.", show_default="MODEL-ppK.safetensors")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing output file.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of training images.", show_default=False)] = None,
    dataset: Annotated[
        str, typer.Option(help="fashion-mnist, cifar10, cifar100, imagenet or imagefolder.")
    ] = "imagefolder",
    images: Annotated[
        int, typer.Option(help="Number of images for the batch-norm statistics, in equal shares of all classes.")
    ] = 2000,
    keep_statistics: Annotated[
        bool, typer.Option("--keep-statistics", help="Keep the batch-norm statistics of the plain network.")
    ] = False,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.toml",
            help="Fine-tune with this recipe, such as finetune.",
            show_default=False,
            autocompletion=complete_training_recipe,
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of fine-tuning, instead of the recipe's.", show_default=False)
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Highest learning rate, instead of the recipe's.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice of images and of the fine-tuning.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    preset: PresetOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    input_size: InputSizeOption = None,
    test_size: TestSizeOption = False,
    architecture: ArchitectureOption = None,
    ema: EmaOption = False,
) -> None:
    """Convert a trained plain network to push-pull.

    The first convolution becomes push-pull and keeps its kernels. Batch norm gets new statistics from a few thousand
    training images. `--recipe finetune` trains the network further. The checkpoint's card records the origin. With
    `--inhibition 0 --keep-statistics`, the outputs do not change.
    """
    from ppbench.models.card_options import parse_card_options
    from ppbench.models.checkpoint import save_checkpoint
    from ppbench.models.loaded import Checkpoint

    if recipe is not None and data is None:
        raise UsageError(f"--recipe {recipe} needs images to train on", "Give them: `--data DIR`.")
    target = output_file or Path(f"{_short(model)}-pp{push_pull}.safetensors")
    _check_target(model, target)
    options = parse_card_options(preset, mean, std, input_size, architecture, ema, test_size)
    plain, made = _convert(
        model, options, push_pull,
        inhibition=inhibition, trainable_inhibition=trainable_inhibition, rectified_push=rectified_push,
    )  # fmt: skip
    overrides = {"epochs": epochs, "lr": lr, "dataset": dataset, "seed": seed}
    settings = None if recipe is None else _training_settings(recipe, made.card, overrides)
    chosen, how = _statistics(made, None if keep_statistics else data, dataset, images, seed, keep_statistics)
    card = made.card.model_copy(
        update={"origin": {**(made.card.origin or {}), "statistics": how}, "command": command_line(), "seed": seed}
    )
    line = f"{target}: {card.architecture}{f' with {card.stem}' if card.stem else ''}"
    if target.is_file() and not overwrite:
        _check_finished(target, card, settings)
        output.say(f"already finished: {target} was made from this network in this way (`--overwrite` makes it again)")
        output.text(line)
        return
    if chosen is not None:
        _estimate(made, chosen, device)
    if chosen is None and data is not None:
        chosen = _images(dataset, data, made.card, images, seed)
    lost = _report_accuracy(plain, made, chosen, device)
    if settings is None or data is None:
        save_checkpoint(target, made.model, card)
        if lost:
            output.say(f"fine-tuning recovers it: {_fine_tuning(target, card, dataset, data)}")
        output.text(line)
        return
    from ppbench.devices import choose_device
    from ppbench.train.fit import train

    with training_shown() as callbacks:
        trained = train(
            settings, data, target, initial=Checkpoint(made.model, card), overwrite=overwrite, command=command_line(),
            report=output.say, callbacks=callbacks, device=choose_device(device),
        )  # fmt: skip
    print_trained(trained)


def _short(model: str) -> str:
    """Return a name for a file: ``resnet50`` for ``torchvision:resnet50``, ``net`` for ``timm:NAME@net.pth``."""
    from ppbench.models.statedict import names_file

    last = model.rpartition("@")[2].rpartition(":")[2]
    return Path(last).stem if names_file(last) else last


def _check_target(model: str, target: Path) -> None:
    """Raise if ``target`` cannot be written, or is the file that ``model`` names (``FILE``, ``NAME@FILE``)."""
    from ppbench.files import check_writable, is_same_file

    if any(is_same_file(Path(text), target) for text in (model, model.rpartition("@")[2])):
        raise UsageError(f"{target} is the network to convert", "Give another `--output`.")
    check_writable(target)


_SAME = ("architecture", "stem", "inhibition", "trainable_inhibition", "rectified_push", "seed")
"""Fields of the card that, together with its origin, identify a conversion."""


def _check_finished(target: Path, card: Card, settings: TrainRecipe | None) -> None:
    """Raise `UsageError` unless ``target`` holds the network that would be made, trained with ``settings`` if given."""
    from ppbench.train.finished import card_there, check_trained, refusal

    there = card_there(target)
    if settings is not None:
        check_trained(target, there, settings)
    origin = {name: value for name, value in (there.origin or {}).items() if name != "initial_weights"}
    different = [name for name in _SAME if getattr(there, name) != getattr(card, name)]
    different += ["origin"] if origin != card.origin else []
    different += ["recipe"] if (there.recipe is None) != (settings is None) else []
    if different:
        raise refusal(target, f"was made in another way ({', '.join(different)})")


def _convert(model: str, options: CardOptions, push_pull: int, **settings: Any) -> tuple[nn.Module, Checkpoint]:
    """Return the plain network and the push-pull network made from it."""
    from copy import deepcopy

    from ppbench.cli.loading import downloading
    from ppbench.models.convert import convert_to_push_pull
    from ppbench.models.load import resolve_model
    from ppbench.models.loaded import Checkpoint

    with downloading() as on_download, output.stdout_for_data():
        subject = resolve_model(model, options, on_download)
    plain = deepcopy(subject.model)  # the conversion changes the network in place
    return plain, convert_to_push_pull(subject.name, Checkpoint(subject.model, subject.card), push_pull, **settings)


def _training_settings(recipe: str, card: Card, overrides: dict[str, Any]) -> TrainRecipe:
    """Return the recipe for the network of ``card``; raise `UsageError` early if it cannot be trained."""
    from ppbench.models.shapes import is_external
    from ppbench.train.recipe import make_recipe, read_recipe

    if is_external(card.architecture):
        raise UsageError(
            f"--recipe {recipe} is for ppbench's own networks, not for {card.architecture}",
            "Leave it out; to train that network, call `ppbench.with_push_pull` in your training code.",
        )
    require_lightning()
    return make_recipe(read_recipe(recipe), {k: v for k, v in overrides.items() if v is not None}, card)


def _statistics(
    made: Checkpoint, data: Path | None, dataset: str, images: int, seed: int, keep: bool
) -> tuple[StatisticsImages | None, str | dict[str, Any]]:
    """Open the images from which to estimate the statistics of batch norm, if any are wanted.

    Returns:
        The images, and for the card: their description, or "kept", or "none" if the network has no statistics.
    """
    from ppbench.models.convert import has_batch_norm

    if not has_batch_norm(made.model):
        output.say("the network has no batch norm: no statistics to estimate")
        return None, "none"
    if keep:
        return None, "kept"
    if data is None:
        raise UsageError(
            "the batch-norm statistics are still those of the plain network",
            "Estimate new ones from training images: `--data DIR --images 2000`. Or keep them: `--keep-statistics`.",
        )
    chosen = _images(dataset, data, made.card, images, seed)
    return chosen, {"dataset": dataset, "images": len(chosen), "seed": seed}


def _images(dataset: str, data: Path, card: Card, images: int, seed: int) -> StatisticsImages:
    from ppbench.train.batch_norm import StatisticsImages

    opened = StatisticsImages(dataset, data, card, images, seed)
    for note in opened.notes:
        output.say(note)
    return opened


def _report_accuracy(plain: nn.Module, made: Checkpoint, images: StatisticsImages | None, device: str) -> bool:
    """Report the accuracy before and after; return whether some is lost, or whether that is not known."""
    if images is None:
        output.say("the accuracy after the conversion is not known: no images were given (`--data DIR`)")
        return True
    if images.num_classes != made.card.num_classes:
        output.say(
            f"the accuracy after the conversion is not known: the images have {images.num_classes} classes, but the "
            f"network has {made.card.num_classes}"
        )
        return True
    from ppbench.devices import choose_device
    from ppbench.models.convert import share_right

    where = choose_device(device)
    before, after = (share_right(net.to(where), images.labelled_batches(where)) for net in (plain, made.model))
    made.model.cpu()
    if before < 2 / images.num_classes:
        output.say(
            f"the accuracy after the conversion is not known: the plain network is right on only {before:.1%} of these "
            "images; their classes may be others, or in another order"
        )
        return True
    output.say(f"accuracy on {len(images):,} training images: {100 * before:.1f} -> {100 * after:.1f} %")
    return before - after > _NOTHING_LOST


_NOTHING_LOST = 0.01
"""Loss of accuracy, a fraction, up to which no fine-tuning is suggested."""


def _fine_tuning(target: Path, card: Card, dataset: str, data: Path | None) -> str:
    """Return the command that fine-tunes, or for networks that ppbench does not train, what to do instead."""
    from ppbench.models.shapes import is_external

    if is_external(card.architecture):
        return "train it further in your own code (`ppbench.with_push_pull`)"
    words = ["ppbench", "train", "--init", str(target), "--dataset", dataset, "--data", str(data or "DIR")]
    if dataset == "imagefolder" and data is not None and not (data / "train").is_dir():
        words += ["--val-fraction", "0.1"]
    words += ["--recipe", "finetune", "-o", str(target.with_name(f"{target.stem}-tuned.safetensors"))]
    return f"`{shlex.join(words)}`"


def _estimate(made: Checkpoint, images: StatisticsImages, device: str) -> None:
    from ppbench.devices import choose_device
    from ppbench.models.convert import estimate_statistics

    where = choose_device(device)
    count = estimate_statistics(made.model.to(where), images.batches(where))
    made.model.cpu()
    output.say(f"batch-norm statistics estimated from {count:,} images")
