"""Options that several commands share."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from ppbench.cli.output import Format
from ppbench.errors import UsageError

FormatOption = Annotated[Format, typer.Option("--format", help="How the result is printed on stdout.")]

NormalizerOption = Annotated[
    str | None,
    typer.Option(
        "--normalizer",
        metavar="alexnet|none|RUN|CSV",
        help="Denominators of CE and mCE. [default: alexnet for ImageNet's sets and CSVs, else the baseline]",
        show_default=False,
    ),
]

BaselineOption = Annotated[
    str | None,
    typer.Option("--baseline", metavar="RUN|CSV", help="The model that R_net compares with.", show_default=False),
]

AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow", metavar="FIELD", help="A field of the protocol that may differ (precision), or ids; repeatable."
    ),
]


PresetOption = Annotated[
    str | None,
    typer.Option(
        help="Preprocessing: imagenet, cifar10, cifar100, half or unit.",
        show_default="the model's own",
    ),
]

MeanOption = Annotated[
    str | None,
    typer.Option(metavar="R,G,B", help="Of values in [0, 1], such as 0.485,0.456,0.406."),
]

StdOption = Annotated[
    str | None,
    typer.Option(metavar="R,G,B", help="Of values in [0, 1], such as 0.229,0.224,0.225."),
]

InputSizeOption = Annotated[int | None, typer.Option(help="Side of the images that enter the network, in px.")]

TestSizeOption = Annotated[
    bool,
    typer.Option(
        "--test-size",
        help="Of timm's networks: the size and crop of timm's validation, not of its training.",
    ),
]

ArchitectureOption = Annotated[str | None, typer.Option(help="Network of a bare state dict (`ppbench list models`).")]

EmaOption = Annotated[
    bool,
    typer.Option("--ema", help="Take the weights averaged over the training, of a file with both."),
]


def command_line() -> str:
    """The command as it was typed, for run files and cards."""
    return shlex.join(["ppbench", *sys.argv[1:]])


def words(option: str, values: list[str], default: str) -> list[str]:
    """Option values, also those given as one list with commas.

    Args:
        option: Its name.
        values: As given.
        default: What leaving it out means, in words.

    Raises:
        UsageError: If the option was given without any.
    """
    words = [word for value in values for word in value.replace(",", " ").split()]
    if not words:
        raise UsageError(f"{option} has no value", f"Leave it out for {default}, or see `ppbench list corruptions`.")
    return words
