"""``ppbench plot``: one figure of one or more runs, as a file for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppbench.cli import output
from ppbench.cli.help import page
from ppbench.cli.inputs import refuse_to_overwrite, run_files
from ppbench.cli.options import AllowOption, ConfidenceOption, NormalizerOption
from ppbench.errors import UsageError


@page(
    "Draw a figure of runs for a paper.",
    first=("--kind", "--output", "--baseline", "--width", "--quantity"),
    examples=(
        "ppbench plot run.json --kind severity --output severity.pdf",
        "ppbench plot new.json --kind forest --baseline old.json -o forest.svg",
    ),
)
def plot_command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN|CSV", help="Run files; some kinds take CSVs too.")],
    file: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Picture to write: .png, .svg or .pdf.")],
    kind: Annotated[
        str,
        typer.Option(
            metavar="heatmap|severity|forest|reliability|scatter|stream",
            help="What to draw: heatmap and reliability are of one run.",
        ),
    ] = "heatmap",
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN|CSV",
            help="Run that differences start from; severity has it in grey.",
            show_default=False,
        ),
    ] = None,
    width: Annotated[str, typer.Option(metavar="single|double", help="Columns of a paper.")] = "single",
    quantity: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="heatmap: error, CE or difference; scatter: mCE or mean_error.",
            show_default="the first that the runs have",
        ),
    ] = None,
    normalizer: NormalizerOption = None,
    confidence: ConfidenceOption = 0.95,
    allow: AllowOption = None,
) -> None:
    """Draw a heat map, severity curves, a forest plot, reliability diagrams, a scatter plot or accuracy over a stream.

    The numbers are those of `ppbench show` and `ppbench compare`. Needs the extra `plots`. docs/plots.md shows each.
    """
    from ppbench.extras import import_extra
    from ppbench.figures.kinds import PlotRequest
    from ppbench.files import atomic_write

    form = file.suffix.lower().removeprefix(".")
    if form not in ("png", "svg", "pdf"):
        raise UsageError(f"--output {file} is not allowed", "The name ends in .png, .svg or .pdf, which is the format.")
    import_extra("matplotlib", "plots", "`ppbench plot`")
    sources = [*runs, *([baseline] if baseline else []), *([Path(normalizer)] if normalizer else [])]
    refuse_to_overwrite("--output", file, (one for run in sources for one in run_files(run)))
    request = PlotRequest(kind, tuple(runs), baseline, normalizer, confidence, tuple(allow or ()), quantity)
    content = request.content()
    from ppbench.figures.notebook import paper_figure

    atomic_write(file, paper_figure(content, width).to_bytes(form))
    output.say(f"the figure is in {file}")
