"""Options that several commands share."""

from __future__ import annotations

import inspect
import shlex
import sys
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, cast, get_type_hints

import typer

from ppbench.cli.completion import complete_dataset, complete_metric, complete_recipe
from ppbench.cli.help import Function
from ppbench.cli.output import Format
from ppbench.errors import UsageError

FormatOption = Annotated[Format, typer.Option("--format", help="Format of the result on stdout.")]

DatasetOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|pkg.mod:factory|hf:ORG/NAME",
        help="Images to evaluate on (`ppbench list datasets`).",
        show_default="imagefolder with --data, else fashion-mnist-2k",
        autocompletion=complete_dataset,
    ),
]

DataOption = Annotated[
    Path | None,
    typer.Option(
        help="A published corrupted set, or clean images: a folder, .tar, .parquet, or a pattern of such files.",
        show_default=False,
    ),
]

NormalizerOption = Annotated[
    str | None,
    typer.Option(
        "--normalizer",
        metavar="alexnet|none|RUN|CSV",
        help="Denominators of CE and mCE, or FR and mFR. [default: alexnet for ImageNet-C and CSVs, else the baseline]",
        show_default=False,
    ),
]

BaselineOption = Annotated[
    str | None,
    typer.Option(
        "--baseline", metavar="RUN|CSV", help="Run of the model that R_net compares with.", show_default=False
    ),
]

RecipeOption = Annotated[
    str | None,
    typer.Option(
        help="Constants of the corruptions (`ppbench list recipes`).",
        show_default="by image size",
        autocompletion=complete_recipe,
    ),
]

ConfidenceOption = Annotated[
    float, typer.Option(help="Confidence of the intervals, which need the correctness bits beside the run.")
]

AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="FIELD",
        help="Protocol field that may differ, such as precision; ids: use the images that both runs saw; repeatable.",
    ),
]

ResizeOption = Annotated[
    int | None,
    typer.Option(
        help="Resize images to this shorter side, then cut them to the model's size.",
        show_default="never",
    ),
]

AdaptOption = Annotated[
    str | None,
    typer.Option(
        metavar="batchnorm[:N]",
        help="Estimate batch-norm statistics from each cell's images; :N mixes in the network's own as N images.",
        show_default="never",
    ),
]

NoPredictionsOption = Annotated[
    bool,
    typer.Option("--no-predictions", help="Keep only which images are right, not which class each image was given."),
]

PassesOption = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="Passes over each image of a network that draws random numbers, with draws keyed by image.",
        show_default="one, draws not keyed",
    ),
]

UntilMetricOption = Annotated[
    str | None,
    typer.Option(
        help="Metric of --until and --until-decided.",
        show_default="mean_error; for --until mCE if AlexNet is customary",
        autocompletion=complete_metric,
    ),
]

WeightsFileOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="File with weights of your own code beside torch's tensors; repeatable.",
        show_default="none",
    ),
]

ClassesOption = Annotated[
    Path | None, typer.Option(help="File with the classes to use, one name (wnid) per line.", show_default="all")
]

ExifOption = Annotated[
    bool,
    typer.Option("--exif", help="Turn photographs upright by EXIF, and convert them to sRGB by their colour profiles."),
]

ClassNamesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Classes of a zero-shot model, one per line: the text, or the folder's name, a tab and the text.",
        show_default="the images' classes",
    ),
]

TemplatesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Prompts of a zero-shot model, one per line, with {} for the class.",
        show_default="a photo of a {}.",
    ),
]

TrustRemoteCodeOption = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run the Python code of a Hugging Face repository. Read it first; the run file records it.",
    ),
]

LabelsOption = Annotated[
    str | None,
    typer.Option(
        metavar="predicted|FILE.csv",
        help="For photographs without labels, the model's own clean predictions; or a file of path,label.",
        show_default="the class folders",
    ),
]

StreamOption = Annotated[
    str | None,
    typer.Option(
        metavar="ccc[:easy|medium|hard[:N]]",
        help="Continually changing corruptions instead of cells, N frames (1000) at a point; needs --calibration.",
        show_default="no stream",
    ),
]

CalibrationOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="Accuracies by which a stream stays equally hard; `ppbench calibrate` makes them.",
        show_default=False,
    ),
]

DeviceOption = Annotated[str, typer.Option(help="Device: auto, cpu, cuda or cuda:1.")]

OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output file.")]

NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Network, as `ppbench eval --model` takes it: NAME, FILE, torchvision:NAME, timm:NAME, …",
    ),
]

CompileOption = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Compile the network, which takes a minute, and a GPU's corruptions; the run says so.",
    ),
]

DecodeOption = Annotated[
    str,
    typer.Option(
        metavar="pillow|cuda",
        help="What decodes JPEG files; cuda (nvJPEG) has other pixels, and is compared with such runs alone.",
    ),
]

ProfileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json",
        help="Write a trace of some batches (what CPU and GPU do when) in Chrome's format; changes no result.",
        show_default="none",
    ),
]  # fmt: skip


@dataclass(frozen=True)
class CardArguments:
    """Options of a network's card, for every command that takes a network. They replace values of the card."""

    preset: Annotated[
        str | None,
        typer.Option(
            help="Preprocessing preset: imagenet, cifar10, cifar100, half or unit.",
            show_default="the model's own",
        ),
    ] = None
    mean: Annotated[
        str | None,
        typer.Option(metavar="R,G,B", help="Channel means for pixel values in [0, 1], such as 0.485,0.456,0.406."),
    ] = None
    std: Annotated[
        str | None,
        typer.Option(metavar="R,G,B", help="Channel standard deviations, such as 0.229,0.224,0.225."),
    ] = None
    input_size: Annotated[int | None, typer.Option(help="Side of the images that enter the network, in px.")] = None
    test_size: Annotated[
        bool,
        typer.Option(
            "--test-size",
            help="For timm's networks, use the size and crop of timm's validation, not of its training.",
        ),
    ] = False
    architecture: Annotated[
        str | None, typer.Option(help="Name of the network in a bare state dict (`ppbench list models`).")
    ] = None
    ema: Annotated[
        bool,
        typer.Option("--ema", help="Use the averaged (EMA) weights of a file that has both."),
    ] = False


def expanded(command: Function) -> Function:
    """Let a command have the fields of a dataclass, one of its parameters, as options of its own.

    Options that several commands have together are thus declared once. Typer itself knows single parameters only.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: one.annotation for name, one in signature.parameters.items() if is_dataclass(one.annotation)
    }
    parameters = []
    for name, parameter in signature.parameters.items():
        if name not in groups:
            parameters.append(parameter)
            continue
        hints = get_type_hints(groups[name], include_extras=True)
        parameters += [
            parameter.replace(name=one.name, default=one.default, annotation=hints[one.name])
            for one in fields(groups[name])
        ]

    @wraps(command)
    def run(**given: Any) -> object:
        for name, group in groups.items():
            given[name] = group(**{one.name: given.pop(one.name) for one in fields(group)})
        return command(**given)

    run.__annotations__ = {one.name: one.annotation for one in parameters}
    vars(run)["__signature__"] = signature.replace(parameters=parameters)
    return cast(Function, run)


def command_line() -> str:
    """The command as it was typed, for run files and cards."""
    return shlex.join(["ppbench", *sys.argv[1:]])


def split_values(option: str, values: list[str], default: str, lists: str = "ppbench list corruptions") -> list[str]:
    """Split the values of a repeatable option at commas and blanks.

    Args:
        option: The option's name, for the error.
        values: The values as they were given.
        default: In words, what the command does without the option.
        lists: The command that lists values.

    Raises:
        UsageError: If the option has no value.
    """
    found = [part for value in values for part in value.replace(",", " ").split()]
    if not found:
        raise UsageError(f"{option} has no value", f"Leave it out for {default}, or see `{lists}`.")
    return found
