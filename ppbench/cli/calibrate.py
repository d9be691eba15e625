"""``ppbench calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppbench.cli import output
from ppbench.cli.completion import complete_model
from ppbench.cli.help import page
from ppbench.cli.options import (
    CardArguments,
    ClassesOption,
    DataOption,
    DatasetOption,
    DeviceOption,
    ExifOption,
    OverwriteOption,
    RecipeOption,
    ResizeOption,
    command_line,
    expanded,
)


@expanded
@page(
    "Measure what keeps a stream equally hard (--stream).",
    first=("--model", "--dataset", "--data", "--pairs", "--output"),
    examples=(
        "ppbench calibrate -m torchvision:resnet50 --data val/ -o resnet50.csv",
        "ppbench calibrate -m net.pth --data val/ --stream ccc:hard --pairs -o hard.csv",
    ),
)
def calibrate_command(
    output_file: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.csv", help="Calibration to write.")],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FILE|…",
            help="Model to calibrate with, named as in `ppbench eval`.",
            autocompletion=complete_model,
        ),
    ] = "fashion-mnist-resnet8",
    dataset: DatasetOption = None,
    data: DataOption = None,
    classes: ClassesOption = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv", help="For photographs, a file of path,label.", show_default="the class folders"
        ),
    ] = None,
    exif: ExifOption = False,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs", help="Measure pairs of corruptions, 400 accuracies each; without, multiply those of single ones."
        ),
    ] = False,
    stream: Annotated[
        str, typer.Option(metavar="ccc:easy|medium|hard", help="Stream whose corruptions are needed.")
    ] = "ccc:easy",
    limit: Annotated[int, typer.Option(help="Number of images.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the images, the crops and the corruptions.")] = 0,
    recipe: RecipeOption = None,
    jpeg: Annotated[bool, typer.Option(help="Save images as JPEG 85, as a stream's frames are.")] = True,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over instead of going on where it was interrupted.")
    ] = False,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "auto",
    precision: Annotated[str, typer.Option(help="Precision: fp32, tf32, bf16 or fp16.")] = "fp32",
    *,
    card: CardArguments,
    resize: ResizeOption = None,
) -> None:
    """Measure a network's accuracy under one corruption, or two at once, at each quarter of a severity.

    `ppbench eval --stream` walks along these accuracies. docs/streams.md has the file's format, and how to convert the
    authors' tables. After an interruption the same command goes on.
    """
    from ppbench.cli.loading import downloading
    from ppbench.cli.progress import progress
    from ppbench.evaluation.calibrate import CalibrationRequest, calibrate, rows_of
    from ppbench.evaluation.request import EvalRequest
    from ppbench.lookup import counted
    from ppbench.streams.walk import STREAM_LEVELS, parse_stream

    evaluation = EvalRequest.of(
        models=model, dataset=dataset, data=data, classes=classes, labels=labels, exif=exif, limit=limit, seed=seed,
        recipe=recipe, jpeg=jpeg, device=device, precision=precision, resize=resize, command=command_line(),
        **vars(card),
    )  # fmt: skip
    request = CalibrationRequest(evaluation, output_file, stream, pairs, fresh, overwrite)
    number = sum(1 for _ in rows_of(STREAM_LEVELS[parse_stream(stream).level].corruptions, pairs=pairs))
    with downloading() as on_download, progress(number * limit) as show, output.stdout_for_data():
        made = calibrate(request, on_download, show)
    reused = f", {made.reused:,} of them before" if made.reused else ""
    how = "of pairs" if pairs else "of single corruptions: those of pairs are products of two"
    output.say(f"wrote {output_file}: {counted(made.measured + made.reused, 'accuracy', 'accuracies')}{reused}, {how}")
