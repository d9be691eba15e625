"""``ppbench eval``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ppbench.cli import output
from ppbench.cli.completion import complete_corruption, complete_metric, complete_model
from ppbench.cli.estimate import what_it_takes
from ppbench.cli.help import page
from ppbench.cli.inputs import check_run_target, refuse_to_replace_run
from ppbench.cli.joined import joined, prepare_in_all
from ppbench.cli.options import (
    AdaptOption,
    BaselineOption,
    CalibrationOption,
    CardArguments,
    ClassesOption,
    ClassNamesOption,
    CompileOption,
    DataOption,
    DatasetOption,
    DecodeOption,
    DeviceOption,
    ExifOption,
    FormatOption,
    LabelsOption,
    NoPredictionsOption,
    NormalizerOption,
    PassesOption,
    ProfileOption,
    RecipeOption,
    ResizeOption,
    StreamOption,
    TemplatesOption,
    TrustRemoteCodeOption,
    UntilMetricOption,
    WeightsFileOption,
    command_line,
    expanded,
    split_values,
)
from ppbench.cli.output import Format
from ppbench.cli.progress import progress
from ppbench.cli.scoring import score_all
from ppbench.errors import UsageError

if TYPE_CHECKING:
    from ppbench.evaluation.plan import EvalPlan
    from ppbench.evaluation.processes import Processes
    from ppbench.evaluation.request import EvalRequest
    from ppbench.evaluation.result import EvalResult
    from ppbench.report.evaluated import References
    from ppbench.run import MeasuredRun
    from ppbench.vocabulary import Cell


@expanded
@page(
    "Measure models on clean and corrupted images.",
    first=("--model", "--dataset", "--data", "--limit", "--output"),
    examples=(
        "ppbench eval --model torchvision:resnet50 --dataset imagenet-c --data val/",
        "ppbench eval --model net.pth --data photos/ --labels predicted",
    ),
    values={"--until-metric": complete_metric},
)
def eval_command(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Model to measure: NAME, FILE, torchvision:NAME, timm:NAME, hf:NAME, clip:NAME or pkg.mod:factory; "
            "repeatable.",
            show_default="both embedded models",
            autocompletion=complete_model,
        ),
    ] = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.npz", help="Logits or predicted classes per cell, instead of a model; repeatable."),
    ] = None,
    dataset: DatasetOption = None,
    data: DataOption = None,
    clean: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE.npy",
            help="Clean images for a published set that has none, such as CIFAR-10's folder for CIFAR-10-C.",
            show_default=False,
        ),
    ] = None,
    corruptions: Annotated[
        list[str] | None,
        typer.Option(
            "--corruptions",
            "--corruption",
            "-c",
            "--perturbations",
            "--perturbation",
            "-p",
            help="Names, families or sets, or your own: pkg.mod:function; of sequences (imagenet-p, ...), "
            "perturbations. Repeatable.",
            show_default="the dataset's",
            autocompletion=complete_corruption,
        ),
    ] = None,
    severities: Annotated[
        list[str] | None,
        typer.Option(
            "--severities",
            "--severity",
            "-s",
            "--difficulties",
            "--difficulty",
            help="3 or 1-5; of sequences, difficulties: 1 or 1-3. Repeatable.",
            show_default="1-5; difficulty 1",
        ),
    ] = None,
    classes: ClassesOption = None,
    labels: LabelsOption = None,
    limit: Annotated[
        int | None,
        typer.Option(help="Use N images: seeded, equal shares of all classes.", show_default="all"),
    ] = None,
    recipe: RecipeOption = None,
    jpeg: Annotated[
        bool, typer.Option(help="Save images made for ImageNet-C as JPEG 85, as the published ones were.")
    ] = True,
    backend: Annotated[
        str, typer.Option(help="Library that makes the images: ppbench or imagecorruptions.")
    ] = "ppbench",
    exif: ExifOption = False,
    seed: Annotated[int, typer.Option(help="Seed of the corruptions and of --limit.")] = 0,
    normalizer: NormalizerOption = None,
    baseline: BaselineOption = None,
    output_path: Annotated[
        Path,
        typer.Option("--output", "-o", help="Run file (.json) to write, or a folder for the run files of all models."),
    ] = Path("runs"),
    format: FormatOption = Format.RICH,
    until: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="Stop once the metric's 95 % interval is ±POINTS or narrower (valid at every look).",
        ),
    ] = None,
    until_metric: UntilMetricOption = None,
    until_decided: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Stop once it is decided whether the model's error exceeds this run's by more than --max-drop.",
        ),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(metavar="POINTS", help="Increase of the error that --until-decided tolerates.", show_default="0"),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ignore the journal of an interrupted run and start over.")
    ] = False,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable", help="Exit 0 although images cannot be read; they are left out of every cell."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Let --output replace the finished run of another model.")
    ] = False,
    no_predictions: NoPredictionsOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Continue although the accuracy is under twice chance.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate passes, GB and minutes, and write nothing.")
    ] = False,
    *,
    card: CardArguments,
    resize: ResizeOption = None,
    class_names: ClassNamesOption = None,
    templates: TemplatesOption = None,
    trust_remote_code: TrustRemoteCodeOption = False,
    weights_file: WeightsFileOption = None,
    logits: Annotated[
        str | None,
        typer.Option(
            metavar="masked|all",
            help="Whether outputs of other classes compete, if the model has more classes than the images.",
            show_default="masked",
        ),
    ] = None,
    adapt: AdaptOption = None,
    stream: StreamOption = None,
    calibration: CalibrationOption = None,
    passes: PassesOption = None,
    device: DeviceOption = "auto",
    precision: Annotated[
        str, typer.Option(help="Precision of the network: fp32, tf32, bf16 or fp16; runs of two are not compared.")
    ] = "fp32",
    compiled: CompileOption = False,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Images per forward pass; changes no result.", show_default="by size"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that read images; 0: none. Changes no result.",
            show_default="as many as keep up with the network",
        ),
    ] = None,
    decode: DecodeOption = "pillow",
    profile: ProfileOption = None,
) -> None:
    """Measure models on clean and corrupted images, write a run file each, and print the tables.

    Without arguments: both embedded models on the embedded images. After an interruption the same command resumes where
    it stopped. Under `torchrun` the work is shared among its processes.
    """
    given = locals()  # the arguments by name
    from ppbench.models.embedded import EMBEDDED_MODELS
    from ppbench.report.evaluated import References

    if model and predictions:
        raise UsageError("--model and --predictions are given", "Evaluate them one after the other.")
    names = model or ([] if predictions else list(EMBEDDED_MODELS))
    check_run_target(output_path, len(names) + len(predictions or []))
    references = References.load(normalizer, baseline)
    request = _request(given, names)
    request.check()
    # Now, because the run is written only at the end, perhaps after hours.
    refuse_to_replace_run(output_path, until_decided, None if baseline is None else Path(baseline))
    if predictions:
        if runs := score_all(request, dry_run=dry_run):
            _show(runs, references, format, output_path)
        return
    with joined(request) as (processes, mine):
        with output.stdout_for_data():
            plan = prepare_in_all(mine, processes)
        if dry_run:
            if processes.is_first:
                output.show(what_it_takes(plan, processes.size), format)
            return
        with output.stdout_for_data():
            result = _measure(plan, processes)
        if processes.is_first and any(run.run.cells for run in result.runs):
            _show(result.runs, references, format, output_path)
        result.refuse_unreadable(skip=skip_unreadable)
        if processes.is_first and result.unreadable is not None:
            output.say(f"warning: {result.unreadable}")


def _show(runs: Sequence[MeasuredRun], references: References, format: Format, folder: Path) -> None:
    """Print the tables; below them, for people, the command that pairs several runs image by image."""
    output.show(references.report(runs), format)
    if format is Format.RICH and len(runs) > 1:
        files = [str(folder / run.run.path.name) for run in runs if run.run.path is not None]
        output.say(f"paired by image: ppbench compare {shlex.join(files)}")


def _request(given: dict[str, Any], models: list[str]) -> EvalRequest:
    """Make the request from the command's arguments by name; most are named like the request's fields."""
    from ppbench.evaluation.request import REQUEST_FIELDS, EvalRequest

    corruptions, severities = given["corruptions"], given["severities"]
    changed = {
        "models": models,
        "corruptions": corruptions and split_values("--corruptions", corruptions, "the dataset's own, such as c15"),
        "severities": severities and split_values("--severities", severities, "1-5"),
        "weights_files": given["weights_file"],
        "output": None if given["dry_run"] else given["output_path"],
        "profile": None if given["dry_run"] else given["profile"],
        "keep_predictions": not given["no_predictions"],
        "command": command_line(),
    }
    same = {name: value for name, value in (given | vars(given["card"])).items() if name in REQUEST_FIELDS}
    return EvalRequest.of(**(same | changed))


def _measure(plan: EvalPlan, processes: Processes) -> EvalResult:
    """Run the evaluation under a progress display. What is finished is written, whatever ends it."""
    from ppbench.evaluation.loop import measure
    from ppbench.report.evaluated import interrupted_line, stopping_line

    total = len(plan.subjects) * len(plan.cells) * len(plan.source.ids)
    say = output.say if processes.is_first else (lambda line: None)
    with progress(total, unit=plan.unit) if processes.is_first else nullcontext(_no_progress) as show:

        def advance(cell: Cell | None, images: int) -> None:
            if cell is None:
                show(images, "", reused=True)
                return
            known = plan.rule.describe() if plan.rule else f"{cell[0]} {cell[1] or ''}".rstrip()
            show(images, known)

        result = measure(plan, say=say, advance=advance, processes=processes)
    for measured in result.runs:
        if line := stopping_line(measured.run):
            say(line)
    if result.stopped_by is not None:
        if isinstance(result.stopped_by, KeyboardInterrupt):
            say(interrupted_line([measured.run for measured in result.runs]))
        raise result.stopped_by
    return result


def _no_progress(images: int, what: str, *, reused: bool = False) -> None:
    """Progress in all processes but the first."""
