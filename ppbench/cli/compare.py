"""``ppbench compare``: runs on the same images against each other, or beside published results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ppbench.cli import output
from ppbench.cli.options import FormatOption, NormalizerOption
from ppbench.cli.output import Format
from ppbench.errors import UsageError
from ppbench.files import is_same_file

if TYPE_CHECKING:
    from ppbench.compare.comparison import Comparison
    from ppbench.tables.sheet import Sheet

AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow", metavar="FIELD", help="A field of the protocol that may differ (precision), or ids; repeatable."
    ),
]
ConfidenceOption = Annotated[
    float | None, typer.Option(help="Of the intervals; p-values are held to 1 less this.", show_default="0.95")
]


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN…", help="Run files with their bits beside them.")],
    baseline: Annotated[
        Path | None, typer.Option(metavar="RUN", help="What the others are compared with.", show_default="the first")
    ] = None,
    normalizer: NormalizerOption = None,
    confidence: ConfidenceOption = None,
    allow: AllowOption = None,
    cells: Annotated[bool, typer.Option("--cells", help="Single cells too (JSON and CSV always have them).")] = False,
    all_metrics: Annotated[
        bool,
        typer.Option(
            "--all-metrics",
            help="CE, relative CE and calibration by corruption too (JSON and CSV always have them).",
        ),
    ] = False,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Of three and more runs: a table of each pair too, with p-values.")
    ] = False,
    published: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Beside published results instead: imagenet-c-resnet50.", show_default=False),
    ] = None,
    format: FormatOption = Format.RICH,
) -> None:
    """Compare models image by image: differences with intervals, p-values, and what these images could have shown."""
    if published is not None:
        given = {
            "--baseline": baseline is not None,
            "--normalizer": normalizer is not None,
            "--confidence": confidence is not None,
            "--allow": bool(allow),
            "--cells": cells,
            "--all-metrics": all_metrics,
            "--pairs": pairs,
        }
        _refuse_beside_published([option for option, is_given in given.items() if is_given])
        _print_published(runs, published, format)
        return
    paths = runs if baseline is None else [baseline, *(path for path in runs if not is_same_file(path, baseline))]
    if len(paths) < 2:
        raise UsageError("one run is nothing to compare", "Give two or more: `ppbench compare OLD.json NEW.json`.")
    comparisons = compare_files(paths, normalizer, 0.95 if confidence is None else confidence, allow or [])
    if format is Format.RICH:
        from ppbench.compare.sheets import sheets

        print_sheets(sheets(comparisons, cells=cells, all_metrics=all_metrics, pairs=pairs))
    else:
        from ppbench.compare.export import export

        output.data(export(comparisons, format, cells=cells, all_metrics=all_metrics, pairs=pairs))


def compare_files(paths: list[Path], normalizer: str | None, confidence: float, allow: list[str]) -> list[Comparison]:
    """Compare all but the first run with the first.

    Raises:
        UsageError: If an option's value is not allowed, or a run is given twice.
        DataError: If a file is missing or damaged, or has no bits.
        NotComparableError: If protocols differ in what is not allowed.
    """
    from ppbench.cli.show import customary_normalizer, load_normalizer
    from ppbench.compare.comparability import check_allowed
    from ppbench.compare.comparison import compare as compare_two
    from ppbench.compare.measured import read_compared
    from ppbench.compare.pairing import pair
    from ppbench.metrics.intervals import quantile

    quantile(confidence)  # refuses what is none
    check_allowed(allow)
    _refuse_twins(paths)
    reference, *others = read_compared(paths)
    if normalizer is None:
        divisor = customary_normalizer(reference.run, reference.accuracies)
    else:
        divisor = reference.accuracies if is_same_file(Path(normalizer), paths[0]) else load_normalizer(normalizer)
    comparisons = []
    for other in others:
        first, second, allowed, remarks = pair(reference, other, allow)
        own = first.accuracies if divisor is reference.accuracies else divisor
        comparisons.append(compare_two(first, second, own, confidence, allowed, remarks))
    return comparisons


def _refuse_twins(paths: list[Path]) -> None:
    for place, path in enumerate(paths):
        if any(is_same_file(path, earlier) for earlier in paths[:place]):
            raise UsageError(f"{path} is given twice: a run does not differ from itself", "Give each run once.")


def _refuse_beside_published(options: list[str]) -> None:
    if options:
        raise UsageError(
            f"{', '.join(options)} is not allowed with --published",
            "Published results have no bits: there is nothing to pair, and their normaliser is AlexNet.",
        )


def print_sheets(sheets: list[Sheet]) -> None:
    """Draw tables on stdout."""
    from ppbench.tables.terminal import draw

    output.render(draw(sheets))


def _print_published(paths: list[Path], name: str, format: Format) -> None:
    from ppbench.compare.measured import distinct_names
    from ppbench.compare.published import beside_published, export, sheet
    from ppbench.run import read_run

    runs = [read_run(path) for path in paths]
    names = distinct_names(paths, [run.model.name for run in runs])
    beside = beside_published(list(zip(names, runs, strict=True)), name)
    if format is Format.RICH:
        print_sheets([sheet(beside)])
    else:
        output.data(export(beside, format))
