"""``ppbench reproduce``: the table of a paper as a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ppbench.cli import output
from ppbench.cli.help import page
from ppbench.cli.options import DeviceOption, FormatOption, command_line, split_values
from ppbench.cli.output import Format
from ppbench.cli.training import training_shown
from ppbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from ppbench.reproduce.costs import WorkLeft
    from ppbench.reproduce.plan import ReproducePlan
    from ppbench.reproduce.report import ReproduceReport


@page(
    "Repeat a table of the push-pull paper.",
    first=("--table", "--data", "--rows", "--dry-run", "--work"),
    examples=(
        "ppbench reproduce --table imagenet-resnet50 --list",
        "ppbench reproduce --table fashion-mnist --data fashion-mnist/",
    ),
    groups={
        "Trainings": ("--table", "--rows", "--seeds", "--set", "--train", "--list"),
        "Estimate": ("--gpu", "--images-per-second"),
    },
)
def reproduce(
    table: Annotated[
        str, typer.Option(metavar="NAME|FILE.toml", help="imagenet-resnet50, cifar10-shot-noise or fashion-mnist.")
    ],
    data: Annotated[
        Path | None, typer.Option(help="Folder of the training data, as `ppbench train` takes it.", show_default=False)
    ] = None,
    evaluation_data: Annotated[
        Path | None,
        typer.Option(help="Folder or .tar of the evaluation set.", show_default="clean images in --data, or embedded"),
    ] = None,
    rows: Annotated[
        list[str] | None, typer.Option(help="Rows (--list), such as pp3,augmix+pp3; repeatable.", show_default="all")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="N,N…", help="Seeds of the trainings.", show_default="the table's")
    ] = None,
    work: Annotated[
        Path | None, typer.Option(help="Folder for checkpoints and runs.", show_default="reproduce-TABLE")
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROW=FILE",
            help="Checkpoint to use for a row; repeat it for the row's next seed.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Evaluate on N images, equal shares of all classes.", show_default="the table's")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of all trainings, such as precision=bf16; repeatable.",
            show_default=False,
        ),
    ] = None,
    train: Annotated[bool, typer.Option(help="Train missing networks, or use only those that exist.")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the work that is left and its hours, and do nothing.")
    ] = False,
    list_rows: Annotated[bool, typer.Option("--list", help="List the rows with their published figures.")] = False,
    device: DeviceOption = "auto",
    confidence: Annotated[float, typer.Option(help="Confidence of the intervals.")] = 0.95,
    format: FormatOption = Format.RICH,
    gpu: Annotated[
        str | None,
        typer.Option(
            help="a100-tf32, a100 and v100 (mixed precision), v100-fp32 or cpu-core.",
            show_default="the table's",
        ),
    ] = None,
    images_per_second: Annotated[
        float | None,
        typer.Option(
            help="Speed at which one of your devices trains the baseline's network.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train or take the rows of a table, evaluate them, and print published beside measured figures.

    After a kill, the same command continues. Several processes may share one --work if their --rows differ.
    """
    from ppbench.reproduce.networks import parse_given
    from ppbench.reproduce.plan import plan_table
    from ppbench.reproduce.report import RowList
    from ppbench.reproduce.request import ReproduceRequest
    from ppbench.reproduce.table import load_table

    wanted = load_table(table).with_overrides(_parse_settings(settings or []))
    chosen = wanted.select(None if rows is None else split_values("--rows", rows, "all", "ppbench reproduce --list"))
    given = parse_given(wanted, checkpoint or [])
    request = ReproduceRequest(
        wanted,
        # A checkpoint that was given is wanted, whatever --rows says.
        tuple(row for row in wanted.rows if row in chosen or row.id in given),
        wanted.seeds if seeds is None else _parse_seeds(seeds),
        work or Path(f"reproduce-{wanted.name}"),
        given,
        data=data,
        evaluation_data=evaluation_data,
        limit=limit,
        train=train,
        device=device,
        confidence=confidence,
        command=command_line(),
    )
    request.check()
    if list_rows:
        output.show(RowList(wanted, chosen), format)
        return
    plan = plan_table(request)
    if dry_run:
        output.show(_estimate(plan, gpu, images_per_second), format)
        return
    report = _carry_out(plan)
    output.show(report, format)
    if report.failures:
        raise DataError(
            f"{len(report.failures)} of {len(plan.networks)} networks failed: {', '.join(report.failures)}",
            "\n".join(f"{name}: {error.hint or error.message}" for name, error in report.failures.items()),
        )


def _estimate(plan: ReproducePlan, gpu: str | None, images_per_second: float | None) -> WorkLeft:
    from ppbench.reproduce.costs import choose_machine, estimate_work

    table = plan.request.table
    model = table.row(table.baseline).model
    return estimate_work(plan, choose_machine(gpu or table.gpu, images_per_second, model, table.training.size))


def _carry_out(plan: ReproducePlan) -> ReproduceReport:
    """Train and evaluate under progress displays; after Ctrl-C, say how to resume."""
    from ppbench.reproduce.api import reproduce_table

    try:
        return reproduce_table(
            plan, say=output.say, training_progress=training_shown, evaluation_progress=_evaluation_progress
        )
    except KeyboardInterrupt:
        output.say("finished results are kept; the same command resumes from there")
        raise


def _parse_settings(values: list[str]) -> dict[str, Any]:
    """Values are written as in a recipe; a word needs no quotes."""
    from ppbench.parsing import parse_toml

    found: dict[str, Any] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key.strip().isidentifier():
            raise UsageError(f"--set {value} is not KEY=VALUE", "For example `--set precision=bf16`.")
        try:
            found[key.strip()] = parse_toml(f"value = {text}")["value"]
        except ValueError:
            found[key.strip()] = text.strip()
    return found


def _parse_seeds(text: str) -> tuple[int, ...]:
    words = text.replace(",", " ").split()
    numbers = [int(word) for word in words if word.isdecimal() and int(word) < 2**32]
    if not words or len(numbers) < len(words) or len(set(numbers)) < len(numbers):
        raise UsageError(f"--seeds {text} is not allowed", "Give different whole numbers from 0: `--seeds 0,1`.")
    return tuple(numbers)


def _evaluation_progress(total: int) -> AbstractContextManager[Any]:
    from ppbench.cli.progress import progress

    @contextmanager
    def shown() -> Iterator[Any]:
        with progress(total) as advance:
            yield lambda cell, images: advance(
                images, "" if cell is None else f"{cell[0]} {cell[1] or ''}".rstrip(), reused=cell is None
            )

    return shown()
