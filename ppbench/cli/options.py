"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from ppbench.cli.output import Format

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
