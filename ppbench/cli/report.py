"""``ppbench report``: runs as one page for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppbench.cli import output
from ppbench.cli.help import page
from ppbench.cli.inputs import refuse_to_overwrite, run_files
from ppbench.cli.options import AllowOption, NormalizerOption


@page(
    "Write a page for the browser.",
    first=("--output", "--baseline", "--data"),
    examples=("ppbench report run.json --baseline old.json", "ppbench report a.json b.json c.json -o models.html"),
)
def report_command(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Run files, or pages that hold a run; six at most.")
    ],
    output_file: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page.")] = Path(
        "report.html"
    ),
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline",
            metavar="RUN",
            help="Run that the others are compared with.",
            show_default="the first of several",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", help="The images, for pictures; embedded ones need none.", show_default=False
        ),
    ] = None,
    normalizer: NormalizerOption = None,
    confidence: Annotated[
        float, typer.Option(help="Confidence of the intervals; p below 1 minus it is a difference.")
    ] = 0.95,
    allow: AllowOption = None,
) -> None:
    """Write runs as one HTML file: verdict, heat map, severity curves, differences, classes; it needs no network."""
    from ppbench.cli.pages import page_with_pictures
    from ppbench.files import atomic_write, check_writable
    from ppbench.page.inputs import read_inputs

    for run in (*runs, *([baseline] if baseline else [])):
        refuse_to_overwrite("--output", output_file, run_files(run))
    check_writable(output_file)
    inputs = read_inputs(runs, baseline, normalizer, confidence, allow or [])
    html, held = page_with_pictures(inputs, data)
    atomic_write(output_file, html)
    if held.note:
        output.say(held.note)
    output.say(f"wrote {output_file}")
