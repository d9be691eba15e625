"""``ppbench convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppbench.cli import output
from ppbench.cli.completion import complete_model, complete_training_recipe
from ppbench.cli.help import page
from ppbench.cli.options import CardArguments, DeviceOption, OverwriteOption, command_line, expanded
from ppbench.cli.training import print_trained, training_shown


@expanded
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
    overwrite: OverwriteOption = False,
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
    device: DeviceOption = "auto",
    *,
    card: CardArguments,
) -> None:
    """Convert a trained plain network to push-pull.

    The first convolution becomes push-pull and keeps its kernels. Batch norm gets new statistics from a few thousand
    training images. `--recipe finetune` trains the network further. The checkpoint's card records the origin. With
    `--inhibition 0 --keep-statistics`, the outputs do not change. Not for ONNX files and functions, whose layers torch
    does not see.
    """
    from ppbench.cli.loading import downloading
    from ppbench.models.card_options import parse_card_options
    from ppbench.train.conversion import ConvertRequest, convert_network, plan_conversion

    request = ConvertRequest(
        model=model,
        output=output_file,
        push_pull=push_pull,
        inhibition=inhibition,
        trainable_inhibition=trainable_inhibition,
        rectified_push=rectified_push,
        card_options=parse_card_options(**vars(card)),
        data=data,
        dataset=dataset,
        images=images,
        keep_statistics=keep_statistics,
        recipe=recipe,
        epochs=epochs,
        lr=lr,
        overwrite=overwrite,
        seed=seed,
        device=device,
        command=command_line(),
    )
    with downloading() as on_download, output.stdout_for_data():  # a network of the user's code may print
        plan = plan_conversion(request, output.say, on_download)
    report = convert_network(plan, output.say, training_shown)
    if plan.finished or plan.recipe is None:
        output.text(report.text())
    else:
        print_trained(report.trained)
