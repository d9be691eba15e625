"""Options that several commands share."""

from __future__ import annotations

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
