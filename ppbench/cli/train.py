"""``ppbench train``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ppbench.cli import output
from ppbench.errors import UsageError

_OPTIMISER = "Optimiser"


def train(
    model: Annotated[str, typer.Option(help="Network, e.g. resnet20-pp (`ppbench list models`).")],
    data: Annotated[Path, typer.Option(help="Folder of the dataset's files.")],
    dataset: Annotated[str, typer.Option(help="Training dataset.")] = "fashion-mnist",
    output_file: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Checkpoint to write.", show_default="MODEL-DATASET.safetensors"),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 20,
    batch_size: Annotated[int, typer.Option(rich_help_panel=_OPTIMISER)] = 128,
    lr: Annotated[
        float, typer.Option(help="Peak learning rate, 40 times the first.", rich_help_panel=_OPTIMISER)
    ] = 0.2,
    weight_decay: Annotated[float, typer.Option(rich_help_panel=_OPTIMISER)] = 5e-4,
    crop_padding: Annotated[
        int, typer.Option(help="Padding for random crops, pixels.", rich_help_panel=_OPTIMISER)
    ] = 2,
    inhibition: Annotated[float, typer.Option(help="Strength of the pull response.")] = 1.0,
    trainable_inhibition: Annotated[
        bool, typer.Option("--trainable-inhibition", help="Train that strength, per output channel.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Key of weights, order and augmentation.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
) -> None:
    """Train a network and write it with its card.

    SGD with momentum 0.9 and a one-cycle schedule. The state is kept after every epoch: the same command, run again
    after a kill, goes on where it was and ends with the same weights.
    """
    recipe = _recipe(
        model=model,
        dataset=dataset,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        crop_padding=crop_padding,
        inhibition=inhibition,
        trainable_inhibition=trainable_inhibition,
        seed=seed,
    )
    _fit(recipe, data, output_file or Path(f"{model}-{dataset}.safetensors"), device)


def _recipe(**values: Any) -> Any:
    from pydantic import ValidationError

    from ppbench.train.recipe import TrainRecipe

    try:
        return TrainRecipe(**values)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"{option} {first['input']} is not allowed", f"{first['msg']}.") from error


def _fit(recipe: Any, data: Path, path: Path, device: str) -> None:
    try:
        import lightning  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError("`ppbench train` needs Lightning", "`pip install 'ppbench[train]'`") from error
    from ppbench.evaluation.devices import choose_device
    from ppbench.train.fit import train as fit
    from ppbench.train.progress import quiet_lightning, training_progress

    command = shlex.join(["ppbench", *sys.argv[1:]])
    with quiet_lightning(), training_progress(output.progress_console()) as callback:
        trained = fit(
            recipe,
            data,
            path,
            command=command,
            report=output.say,
            callbacks=(callback,),
            device=choose_device(device),
        )
    output.data(f"{trained.path}: {trained.clean_accuracy:.2%} of the clean test images right")
