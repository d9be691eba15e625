"""``ppbench eval``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ppbench.cli import output
from ppbench.cli.options import BaselineOption, FormatOption, NormalizerOption, words
from ppbench.cli.output import Format
from ppbench.errors import UsageError
from ppbench.files import check_writable

if TYPE_CHECKING:
    from ppbench.evaluation.api import Prepared
    from ppbench.evaluation.loop import Outcome, Result
    from ppbench.run import Run

_COMPUTING = "Computing"


def evaluate(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="Checkpoint file or embedded model; repeatable.",
            show_default="both embedded models",
        ),
    ] = None,
    dataset: Annotated[str, typer.Option(help="Images to evaluate on (`ppbench list datasets`).")] = "fashion-mnist-2k",
    data: Annotated[Path | None, typer.Option(help="Folder of the dataset.", show_default=False)] = None,
    corruptions: Annotated[
        list[str] | None,
        typer.Option("--corruptions", "-c", help="Names, families or sets; repeatable.", show_default="c15"),
    ] = None,
    severities: Annotated[
        list[str] | None, typer.Option("--severities", "-s", help="3 or 1-5; repeatable.", show_default="1-5")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Constants of the corruptions (`ppbench list recipes`).", show_default="by image size"),
    ] = None,
    backend: Annotated[str, typer.Option(help="What makes the images: ppbench or imagecorruptions.")] = "ppbench",
    limit: Annotated[
        int | None,
        typer.Option(help="Use N images: seeded, equal shares of all classes.", show_default="all"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Key of the corruptions' draws and of --limit.")] = 0,
    normalizer: NormalizerOption = None,
    baseline: BaselineOption = None,
    output_path: Annotated[
        Path,
        typer.Option("--output", "-o", help="Run file (.json) to write, or a folder for the run files of all models."),
    ] = Path("runs"),
    format: FormatOption = Format.RICH,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.", rich_help_panel=_COMPUTING)] = "auto",
    batch_size: Annotated[
        int | None,
        typer.Option(help="Images per forward pass.", show_default="by size", rich_help_panel=_COMPUTING),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that make images; 0: none.",
            show_default="cores, none for images in memory",
            rich_help_panel=_COMPUTING,
        ),
    ] = None,
) -> None:
    """Measure models on clean and corrupted images, write a run file each, and print the tables.

    Without arguments: both embedded models on the embedded images.
    """
    from ppbench.evaluation.api import Job, prepare
    from ppbench.models.embedded import EMBEDDED_MODELS

    names = model or list(EMBEDDED_MODELS)
    _check_output(output_path, len(names))
    tables = Tables(normalizer, baseline, format)
    job = Job(
        dataset=dataset,
        data=data,
        corruptions=words("--corruptions", corruptions, "c15"),
        severities=words("--severities", severities, "1-5"),
        recipe=recipe,
        backend=backend,
        seed=seed,
        limit=limit,
        device=device,
        batch_size=batch_size,
        workers=workers,
        command=shlex.join(["ppbench", *sys.argv[1:]]),
    )
    prepared = prepare(job, names)
    check_writable(output_path if output_path.suffix == ".json" else output_path / "run.json")
    for subject in prepared.subjects:
        output.say(prepared.describe(subject))
    results, stopped_by = _measure(prepared)
    runs = [_write(result, output_path) for result in results]
    if stopped_by is not None:
        raise stopped_by
    tables.print(runs)


class Tables:
    """What is printed at the end; made at the start, so that a wrong file is told before hours of work.

    With several models and no ``--baseline``, the first one is the baseline of the others.
    """

    def __init__(self, normalizer: str | None, baseline: str | None, format: Format) -> None:
        from ppbench.cli.show import load_accuracies, load_normalizer

        self.choose = normalizer is None
        self.normalizer = load_normalizer(normalizer) if normalizer else None
        self.baseline = load_accuracies(Path(baseline)) if baseline else None
        self.format = format

    def print(self, runs: list[Run]) -> None:
        """Print the runs: one in full, several side by side after each other's details."""
        from ppbench.cli.show import customary_normalizer, print_documents
        from ppbench.metrics.accuracy import Accuracies
        from ppbench.report.document import build_document

        baseline = self.baseline or (Accuracies.from_run(runs[0]) if len(runs) > 1 else None)
        normalizer = customary_normalizer(runs[0], baseline) if self.choose else self.normalizer
        documents = [build_document(run, normalizer, baseline) for run in runs]
        if self.format is Format.RICH and len(documents) > 1:
            for document in documents:
                print_documents([document], self.format)
        print_documents(documents, self.format)


def _measure(prepared: Prepared) -> Outcome:
    """Run the loop under a progress bar with images per second and the time left."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from ppbench.evaluation.loop import evaluate_all

    cells = len(prepared.settings.corruptions) * len(prepared.settings.severities) + prepared.source.has_clean
    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.fields[rate]} images/s"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=output.progress_console()) as progress:
        task = progress.add_task("starting", total=cells * len(prepared.source.ids), rate="-")

        def advance(corruption: str, severity: int, images: int) -> None:
            progress.update(task, advance=images, description=f"{corruption} {severity or ''}")
            shown = progress.tasks[0]
            speed = shown.speed or shown.completed / max(shown.elapsed or 0, 1e-3)
            progress.update(task, rate=f"{speed:,.0f}")

        return evaluate_all(*prepared, advance)


def _write(result: Result, target: Path) -> Run:
    """Write the finished cells, destroying no other result; say where they are.

    In a folder, another measurement of the same name is left alone and the next free name taken. Where the user named
    the file it is replaced, but never a complete run by an interrupted one.
    """
    from ppbench.run import write_run

    run, bits = result
    if not run.cells:
        return run
    path = target
    if target.suffix != ".json":
        path = target / f"{run.model.name}--{run.protocol.dataset}.json"
        path = next(free for free in _numbered(path) if _may_replace(free, run, named=False))
    elif not _may_replace(path, run, named=True):
        path = path.with_name(f"{path.stem}.interrupted.json")
    run = write_run(path, run, bits)
    kept = "" if run.status == "complete" else f" (interrupted: {len(run.cells)} finished cells)"
    output.say(f"wrote {path}{kept}")
    return run


def _numbered(path: Path) -> Iterator[Path]:
    """``a.json``, ``a-2.json``, ``a-3.json``, …"""
    yield path
    for number in count(2):
        yield path.with_name(f"{path.stem}-{number}.json")


def _may_replace(path: Path, run: Run, *, named: bool) -> bool:
    """Whether nothing is lost if ``run`` takes the place of what is at ``path``."""
    from ppbench.errors import PpbenchError
    from ppbench.run import read_run

    if not path.exists():
        return True
    try:
        there = read_run(path)
    except PpbenchError:
        return named
    same = there.protocol == run.protocol and there.model.weights_sha256 == run.model.weights_sha256
    return (same or named) and (run.status == "complete" or there.status == "interrupted")


def _check_output(target: Path, models: int) -> None:
    if target.suffix == ".json" and models > 1:
        raise UsageError(f"--output {target} is one file for {models} models", "Give a folder: `--output runs`.")
    if (target.suffix not in ("", ".json") and not target.is_dir()) or (target.is_file() and target.suffix != ".json"):
        raise UsageError(f"--output {target} is neither a .json file nor a folder", "For example `--output run.json`.")
