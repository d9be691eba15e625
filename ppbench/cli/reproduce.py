"""``ppbench reproduce``: the table of a paper as a command."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ppbench.cli import output
from ppbench.cli.options import FormatOption
from ppbench.cli.output import Format
from ppbench.errors import DataError, UsageError
from ppbench.extras import import_extra
from ppbench.files import check_writable

if TYPE_CHECKING:
    from ppbench.evaluation.request import EvalRequest
    from ppbench.reproduce.figures import Measured, Results
    from ppbench.reproduce.networks import Network
    from ppbench.reproduce.tables import Row, Table
    from ppbench.reproduce.training import Failures

_ESTIMATE = "Estimate (--dry-run)"


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
            metavar="ROW=FILE", help="Take this network for a row; again for its next seed.", show_default=False
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
    train: Annotated[bool, typer.Option(help="Train what is missing; without it the table of what there is.")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is to be done and how many hours it takes, and do nothing.")
    ] = False,
    list_rows: Annotated[bool, typer.Option("--list", help="List the rows with what is published of them.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    format: FormatOption = Format.RICH,
    gpu: Annotated[
        str | None,
        typer.Option(
            help="a100-tf32, a100 and v100 (mixed precision), v100-fp32 or cpu-core.",
            show_default="the table's",
            rich_help_panel=_ESTIMATE,
        ),
    ] = None,
    images_per_second: Annotated[
        float | None,
        typer.Option(
            help="At which one device of yours trains the baseline's network.",
            show_default=False,
            rich_help_panel=_ESTIMATE,
        ),
    ] = None,
) -> None:
    """Train or take the rows of a table, evaluate them, and print published beside measured.

    Run again after a kill, it goes on where it was. Several processes may work on different --rows of one --work.
    """
    from ppbench.metrics.intervals import quantile
    from ppbench.reproduce.tables import load_table

    quantile(confidence)  # refuses what is none
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit} is not allowed", "It is the number of images to use, at least 1.")
    wanted = load_table(table).with_overrides(_parse_settings(settings or []))
    chosen = wanted.select(None if rows is None else _split("--rows", rows))
    if list_rows:
        _print_rows(wanted, chosen, format)
        return
    request = _request(wanted, chosen, seeds, work, checkpoint or [])
    if dry_run:
        _print_plan(request, limit, gpu or wanted.gpu, images_per_second, format)
        return
    asked = _evaluation_request(wanted, data, evaluation_data, limit, device)
    _check_before(request, data, asked, train=train)
    try:
        failures = _train(request, data, device) if train and data is not None else {}
        results = _measure(request, asked, failures, confidence)
    except KeyboardInterrupt:
        output.say("what is finished is kept; the same command goes on from there")
        raise
    _print_results(results, format)
    if failures:
        raise DataError(
            f"{len(failures)} of {len(request.networks)} networks failed: {', '.join(failures)}",
            "\n".join(f"{name}: {error.hint or error.message}" for name, error in failures.items()),
        )


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    table: Table
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    work: Path
    given: dict[str, list[Path]]
    networks: list[Network]

    @property
    def runs(self) -> Path:
        """Folder of the run files."""
        return self.work / "runs"

    def looked_up(self) -> list[Network]:
        """The networks as they are now."""
        from ppbench.reproduce.networks import find_networks

        return find_networks(self.table, self.rows, self.seeds, self.work, self.given)

    def baseline(self) -> list[Network]:
        """Finished networks of the baseline, if it was not asked for: another process may be at it."""
        from ppbench.reproduce.networks import find_networks

        if any(row.id == self.table.baseline for row in self.rows):
            return []
        row = self.table.row(self.table.baseline)
        found = find_networks(self.table, [row], self.seeds, self.work, self.given)
        return [network for network in found if network.action == "take"]


def _request(
    table: Table, rows: tuple[Row, ...], seeds: str | None, work: Path | None, checkpoints: list[str]
) -> Request:
    from ppbench.reproduce.networks import find_networks, parse_given

    given = parse_given(table, checkpoints)
    folder = work or Path(f"reproduce-{table.name}")
    numbers = table.seeds if seeds is None else _parse_seeds(seeds)
    # A checkpoint that was given is wanted, whatever --rows says.
    wanted = tuple(row for row in table.rows if row in rows or row.id in given)
    return Request(table, wanted, numbers, folder, given, find_networks(table, wanted, numbers, folder, given))


def _split(option: str, values: list[str]) -> list[str]:
    words = [word for value in values for word in value.replace(",", " ").split()]
    if not words:
        raise UsageError(f"{option} has no value", "Leave it out for all, or see `ppbench reproduce --list`.")
    return words


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


def _evaluation_request(
    table: Table, data: Path | None, evaluation_data: Path | None, limit: int | None, device: str
) -> EvalRequest:
    from ppbench.evaluation.request import EvalRequest

    of = table.evaluation
    beside = None if of.data is None or data is None else data / of.data
    return EvalRequest(
        dataset=of.dataset,
        data=evaluation_data or beside,
        corruptions=of.corruptions,
        limit=of.limit if limit is None else limit,
        device=device,
        workers=None,
        force=True,  # how the networks want their images is known: what is bad is bad
        command=_command(),
    )


def _check_before(request: Request, data: Path | None, asked: EvalRequest, *, train: bool) -> None:
    """Refuse before hours of work what would fail after them."""
    from ppbench.evaluation.plan import open_images

    request.baseline()  # refused if it is of another recipe
    missing = [network.name for network in request.networks if network.action != "take"]
    if train and missing:
        dataset = request.table.training.dataset
        hint = f"`--data DIR`, the folder that `ppbench train --dataset {dataset} --data DIR` takes."
        if data is None:
            named = ", ".join(missing[:4]) + (", …" if len(missing) > 4 else "")
            raise DataError(f"no --data to train {named}", f"{hint}\nOr `--no-train`, for the table of what there is.")
        if not data.is_dir():
            raise DataError(f"there is no folder {data}", hint)
        import_extra("lightning", "train", "training")
        check_writable(request.runs / "run.json")
    open_images(asked, [])


def _train(request: Request, data: Path, device: str) -> Failures:
    from ppbench.devices import choose_device
    from ppbench.reproduce.training import train_missing
    from ppbench.train.progress import quiet_lightning

    with quiet_lightning():
        return train_missing(
            request.table,
            request.networks,
            data,
            command=_command(),
            say=output.say,
            progress=_training_progress,
            device=choose_device(device),
        )


@contextmanager
def _training_progress() -> Iterator[tuple[Any, ...]]:
    from ppbench.train.progress import training_progress

    with training_progress(output.progress_console(), output.say) as callback:
        yield (callback,)


def _measure(request: Request, asked: EvalRequest, failures: Failures, confidence: float) -> Results:
    """Evaluate what is there, and compute the figures."""
    from ppbench.reproduce.figures import compute
    from ppbench.reproduce.measuring import evaluate_networks
    from ppbench.reproduce.networks import given_networks

    networks = [network for network in request.looked_up() if network.action == "take"]
    baseline = request.baseline()
    found = (
        evaluate_networks(networks, baseline, asked, request.runs, say=output.say, progress=_evaluation_progress)
        if networks or baseline
        else {}
    )
    shown = {row.id for row in request.rows} | ({request.table.baseline} if baseline else set())
    return compute(
        request.table,
        [row for row in request.table.rows if row.id in shown],
        _by_row([*baseline, *networks], found),
        {row.id: {n: e for n, e in failures.items() if n.rpartition("-")[0] == row.id} for row in request.rows},
        confidence,
        given_networks([*baseline, *networks]),
    )


def _by_row(networks: Sequence[Network], found: dict[str, Measured]) -> dict[str, list[Measured]]:
    rows: dict[str, list[Measured]] = {}
    for network in networks:
        if network.name in found:
            rows.setdefault(network.row.id, []).append(found[network.name])
    return rows


def _evaluation_progress(total: int) -> AbstractContextManager[Any]:
    from ppbench.cli.progress import progress

    @contextmanager
    def shown() -> Iterator[Any]:
        with progress(total) as advance:
            yield lambda cell, images: advance(
                images, "" if cell is None else f"{cell[0]} {cell[1] or ''}".rstrip(), reused=cell is None
            )

    return shown()


def _command() -> str:
    return shlex.join(["ppbench", *sys.argv[1:]])


def _print_results(results: Results, format: Format) -> None:
    if format is Format.RICH:
        from ppbench.reproduce.sheets import sheets
        from ppbench.tables.terminal import drawn

        output.render(drawn(sheets(results)))
    else:
        from ppbench.reproduce.export import export

        output.data(export(results, format))


def _print_plan(request: Request, limit: int | None, gpu: str, speed: float | None, format: Format) -> None:
    from ppbench.reproduce.cost import choose_machine
    from ppbench.reproduce.plan import as_json, make_plan, sheet

    table = request.table
    machine = choose_machine(gpu, speed, table.row(table.baseline).model, table.training.size)
    plan = make_plan(table, request.networks, limit, request.runs, machine)
    _print_sheet(sheet(plan), as_json(plan), format)


def _print_rows(table: Table, rows: tuple[Row, ...], format: Format) -> None:
    from ppbench.reproduce.listing import as_json, sheet

    _print_sheet(sheet(table, rows), as_json(table, rows), format)


def _print_sheet(sheet: Any, as_json: str, format: Format) -> None:
    """A single table, with the JSON that is its own."""
    if format is Format.RICH:
        from ppbench.tables.terminal import drawn

        output.render(drawn([sheet]))
    elif format is Format.JSON:
        output.data(as_json)
    else:
        from ppbench.reproduce.listing import write_sheet

        output.data(write_sheet(sheet, format))
