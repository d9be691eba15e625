"""``ppbench report``: runs as one page for a browser."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from ppbench.cli import output
from ppbench.cli.help import page
from ppbench.cli.inputs import refuse_to_overwrite, run_files
from ppbench.cli.options import AllowOption, NormalizerOption
from ppbench.errors import DataError, UsageError


@page(
    "Write a page for the browser.",
    first=("--output", "--baseline", "--data", "--index"),
    examples=("ppbench report run.json --baseline old.json", "ppbench report runs/ --index -o site/"),
)
def report_command(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Run files, or pages that hold a run, six at most; a folder with --index."),
    ],
    output_path: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="The page, or the folder of a leaderboard.",
            show_default="report.html, or site with --index",
        ),
    ] = None,
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
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE.csv",
            help="Labels of the images, if the run had them from a file.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        bool, typer.Option("--index", help="Write a leaderboard of all runs in a folder, with a report of each.")
    ] = False,
    normalizer: NormalizerOption = None,
    confidence: Annotated[
        float, typer.Option(help="Confidence of the intervals; p below 1 minus it is a difference.")
    ] = 0.95,
    allow: AllowOption = None,
) -> None:
    """Write runs as one HTML file: verdict, heat map, severity curves, differences, classes; it needs no network."""
    from ppbench.cli.pages import page_with_pictures
    from ppbench.files import atomic_write, check_writable, is_special
    from ppbench.page.inputs import read_inputs
    from ppbench.run import is_page

    if index:
        given = {
            "--baseline": baseline is not None,
            "--data": data is not None,
            "--labels": labels is not None,
            "--normalizer": normalizer is not None,
            "--confidence": confidence != 0.95,
            "--allow": bool(allow),
        }
        _write_index(runs, output_path or Path("site"), [option for option, is_given in given.items() if is_given])
        return
    _refuse_folders(runs)
    if labels is not None and data is None:
        raise UsageError("--labels is for the images of --data", "Give both: `--data DIR --labels FILE.csv`.")
    target = output_path or Path("report.html")
    for run in (*runs, *(Path(file) for file in (baseline, normalizer) if file)):
        refuse_to_overwrite("--output", target, run_files(run))
    check_writable(target)
    if not is_page(target) and not is_special(target):
        raise UsageError(
            f"--output {target} does not end in .html",
            f"Other commands read a page as a run by this ending: `--output {target}.html`.",
        )
    inputs = read_inputs(runs, baseline, normalizer, confidence, allow or [])
    html, held = page_with_pictures(inputs, data, labels)
    atomic_write(target, html)
    if held.note:
        output.say(held.note)
    output.say(f"wrote {target}")


def _refuse_folders(runs: Sequence[Path]) -> None:
    folder = next((run for run in runs if run.is_dir()), None)
    if folder is not None:
        raise DataError(
            f"{folder} is a folder, and a report is made of run files",
            f"For a leaderboard of its runs: `ppbench report {folder} --index -o site/`.",
        )


def _write_index(folders: Sequence[Path], site: Path, refused: Sequence[str]) -> None:
    """Write a leaderboard of the runs in a folder."""
    from ppbench.cli.pages import page_with_pictures
    from ppbench.page.inputs import read_inputs
    from ppbench.page.leaderboard import write_leaderboard

    if refused:
        raise UsageError(
            f"{', '.join(refused)} is not for --index", "A leaderboard shows each run by itself: leave it out."
        )
    if len(folders) != 1:
        raise UsageError(
            f"--index takes one folder, not {len(folders)} paths", "For example: `ppbench report runs/ --index`."
        )
    say_once = cache(output.say)
    board = write_leaderboard(folders[0], site, lambda run: page_with_pictures(read_inputs([run]), tell=say_once)[0])
    for one in board.unreadable:
        output.say(f"left out {one.file}: {one.reason}")
    if board.others:
        output.say(f"left out, because they are not run files: {', '.join(board.others)}")
    runs, tables = board.runs, len(board.rankings)
    output.say(f"wrote {site / 'index.html'}: {runs} run{'s' * (runs != 1)} in {tables} table{'s' * (tables != 1)}")
