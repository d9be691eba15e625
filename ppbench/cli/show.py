"""``ppbench show``: the tables of one run, from its run file or from a CSV of accuracies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppbench.cli import output
from ppbench.cli.completion import complete_corruption
from ppbench.cli.help import page
from ppbench.cli.options import BaselineOption, ConfidenceOption, FormatOption, NormalizerOption, split_values
from ppbench.cli.output import Format
from ppbench.errors import UsageError


@page(
    "Print the tables of a run.",
    first=("--baseline", "--normalizer", "--format", "--intervals", "--classes"),
    examples=("ppbench show run.json --baseline other.json", "ppbench show accuracies.csv --format markdown"),
)
def show_command(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|CSV",
            help="A run file, or a CSV with columns corruption,severity,accuracy; of streams several run files, whose "
            "mean is shown.",
        ),
    ],
    normalizer: NormalizerOption = None,
    baseline: BaselineOption = None,
    confidence: ConfidenceOption = 0.95,
    intervals: Annotated[
        bool,
        typer.Option(
            "--intervals", help="Print the intervals of single cells and of CE too (JSON and CSV always have them)."
        ),
    ] = False,
    classes: Annotated[
        bool,
        typer.Option(
            "--classes",
            help="Print the worst classes, the confusions that corruptions add, and where images flip, too.",
        ),
    ] = False,
    corruptions: Annotated[
        list[str] | None,
        typer.Option(
            "--corruptions",
            "--corruption",
            "-c",
            help="Corruptions, families or sets to use; repeatable.",
            show_default="all of the run",
            autocompletion=complete_corruption,
        ),
    ] = None,
    severities: Annotated[
        list[str] | None,
        typer.Option(
            "--severities", "--severity", "-s", help="Severities to use: 3 or 1-5.", show_default="all of the run"
        ),
    ] = None,
    open_report: Annotated[
        bool, typer.Option("--open", help="Open the page of `ppbench report` in the browser too.")
    ] = False,
    format: FormatOption = Format.RICH,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="Print the definitions of the metrics too (not in CSV).")
    ] = False,
) -> None:
    """Show how robust a model is: mCE and related metrics, and accuracy by corruption and severity."""
    from ppbench.report.load import load_summary, load_with_images
    from ppbench.report.part import Part
    from ppbench.report.report import RunReport

    run, *others = runs
    if others:
        from ppbench.report.over_streams import over_streams

        given = {
            "--normalizer": normalizer, "--baseline": baseline, "--intervals": intervals, "--classes": classes,
            "--corruptions": corruptions, "--severities": severities, "--open": open_report, "--formulas": formulas,
        }  # fmt: skip
        if refused := [option for option, value in given.items() if value]:
            raise UsageError(f"{', '.join(refused)} is not allowed with several runs", "Show one run at a time.")
        output.show(over_streams(runs), format)
        return
    part = None
    if corruptions is not None or severities is not None:
        part = Part(
            corruptions and split_values("--corruptions", corruptions, "all of the run"),
            severities and split_values("--severities", severities, "all of the run"),
        )
    if open_report and part is not None:
        raise UsageError("--open is not allowed with --corruptions or --severities", "The page shows the whole run.")
    if classes:
        summary, by_image = load_with_images(run, normalizer, baseline, confidence, part)
    else:
        summary, by_image = load_summary(run, normalizer, baseline, confidence, part), None
    # Before anything is printed: a CSV, for example, has no page.
    page = _page_of(run, normalizer, baseline, confidence) if open_report else None
    output.show(RunReport([summary], formulas=formulas, intervals=intervals, by_image=by_image), format)
    if page is not None:
        from ppbench.cli.browser import open_in_browser

        open_in_browser(page)


def _page_of(run: Path, normalizer: str | None, baseline: str | None, confidence: float) -> Path:
    """Write the report of a run into a new folder for temporary files, where the browser finds it later."""
    from tempfile import mkdtemp

    from ppbench.cli.pages import page_with_pictures
    from ppbench.files import atomic_write
    from ppbench.page.inputs import read_inputs

    inputs = read_inputs([run], Path(baseline) if baseline else None, normalizer, confidence)
    html, _ = page_with_pictures(inputs)
    path = Path(mkdtemp(prefix="ppbench-")) / "report.html"
    atomic_write(path, html)
    return path
