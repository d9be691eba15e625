"""``ppbench compare``: runs on the same images against each other, or beside published results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppbench.cli import output
from ppbench.cli.help import page
from ppbench.cli.options import AllowOption, FormatOption, NormalizerOption
from ppbench.cli.output import Format
from ppbench.errors import UsageError
from ppbench.files import is_same_file


@page(
    "Compare runs, paired by image.",
    first=("--baseline", "--allow", "--cells", "--pairs", "--format"),
    examples=("ppbench compare old.json new.json", "ppbench compare run.json --published imagenet-c-resnet50"),
)
def compare_command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run files with their bits beside them.")],
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Run that the others are compared with.", show_default="the first"),
    ] = None,
    normalizer: NormalizerOption = None,
    confidence: Annotated[
        float | None,
        typer.Option(help="Confidence of the intervals; p below 1 minus it is a difference.", show_default="0.95"),
    ] = None,
    allow: AllowOption = None,
    cells: Annotated[
        bool, typer.Option("--cells", help="Print single cells too (JSON and CSV always have them).")
    ] = False,
    all_metrics: Annotated[
        bool,
        typer.Option(
            "--all-metrics",
            help="Print CE, relative CE, calibration and error consistency too (JSON and CSV always have them).",
        ),
    ] = False,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="With three or more runs, print a table of each pair too, with p-values.")
    ] = False,
    published: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Show beside published results instead: a set of `ppbench list published`, or all.",
            show_default=False,
        ),
    ] = None,
    format: FormatOption = Format.RICH,
) -> None:
    """Compare models image by image: differences with intervals, p-values, and what these images could have shown."""
    from ppbench.compare.files import compare_files, files_beside_published
    from ppbench.compare.report import ComparisonReport

    if published is not None:
        given = {
            "--baseline": baseline is not None,
            "--confidence": confidence is not None,
            "--allow": bool(allow),
            "--cells": cells,
            "--all-metrics": all_metrics,
            "--pairs": pairs,
        }
        refused = [option for option, is_given in given.items() if is_given]
        if refused:
            raise UsageError(
                f"{', '.join(refused)} is not allowed with --published",
                "Published results have no bits to pair.",
            )
        output.show(files_beside_published(runs, published, normalizer), format)
        return
    paths = runs if baseline is None else [baseline, *(path for path in runs if not is_same_file(path, baseline))]
    comparisons = compare_files(paths, normalizer, 0.95 if confidence is None else confidence, allow or [])
    output.show(ComparisonReport(comparisons, cells, all_metrics, pairs), format)
