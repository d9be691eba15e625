"""``ppbench corrupt``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ppbench.cli import output
from ppbench.cli.completion import complete_corruption, complete_perturbation
from ppbench.cli.help import page
from ppbench.cli.options import DeviceOption, RecipeOption, split_values
from ppbench.cli.progress import duration, progress
from ppbench.errors import DataError
from ppbench.tables.escapes import for_terminal

if TYPE_CHECKING:
    from ppbench.copies.api import CopyReport
    from ppbench.copies.plan import CopyPlan
    from ppbench.tables.report import Facts

_NAMED = 20
"""Most failures that are listed; the manifest lists all."""
_MUCH_LARGER = 2
"""Ratio of image size to the recipe's from which on its blur and noise are hardly visible."""


@page(
    "Write corrupted copies of images.",
    first=("--corruption", "--severity", "--size", "--format", "--dry-run"),
    examples=(
        "ppbench corrupt photos/ out/ -c fog -c noise -s 1-3 --size 224",
        "ppbench corrupt photos/ out/ --perturbation p10 --format mp4",
    ),
)
def corrupt_command(
    src: Annotated[Path, typer.Argument(help="Folder of images, image file, or .npy file of images.")],
    dest: Annotated[
        Path | None,
        typer.Argument(
            help="Folder to write to.",
            show_default="SRC, or an image's folder, with -c at the end, for perturbations -p",
        ),
    ] = None,
    corruptions: Annotated[
        list[str] | None,
        typer.Option(
            "--corruption",
            "--corruptions",
            "-c",
            help="Corruption, family, set, clean, or your own: pkg.mod:function; repeatable.",
            show_default="c15",
            autocompletion=complete_corruption,
        ),
    ] = None,
    severities: Annotated[
        list[str] | None,
        typer.Option(
            "--severity", "--severities", "-s", help="Severity or range: 3, 1-5; repeatable.", show_default="1-5"
        ),
    ] = None,
    perturbations: Annotated[
        list[str] | None,
        typer.Option(
            "--perturbation",
            "--perturbations",
            "-p",
            help="Perturbation or set (p10) whose sequences are written, in place of corruptions; repeatable.",
            show_default="none",
            autocompletion=complete_perturbation,
        ),
    ] = None,
    difficulties: Annotated[
        list[str] | None,
        typer.Option(
            "--difficulty",
            "--difficulties",
            help="Difficulty of perturbations or range: 1, 1-3; only noise changes with it; repeatable.",
            show_default="1",
        ),
    ] = None,
    recipe: RecipeOption = None,
    backend: Annotated[str, typer.Option(help="Library that corrupts: ppbench or imagecorruptions.")] = "ppbench",
    seed: Annotated[int, typer.Option(help="Seed of all random draws.")] = 0,
    format: Annotated[
        str,
        typer.Option(
            metavar="same|jpeg|png|npy|mp4",
            help="Format of the files; same: JPEG stays JPEG, all others become PNG; mp4: videos of --perturbation.",
        ),
    ] = "same",
    size: Annotated[
        int | None,
        typer.Option(
            help="Side of a square, in pixels: resize to 256/224 of it, then crop the centre.", show_default="as is"
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="FACTOR|auto",
            help="Factor of the recipe's lengths in pixels; auto: image size divided by the recipe's.",
            show_default="1",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate files, GB and minutes, and write nothing.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove what an earlier job made in DEST, and start over.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    device: DeviceOption = "auto",
    workers: Annotated[
        int | None,
        typer.Option(help="Worker processes; 0: none.", show_default="cores, or 0 for a small job"),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Images corrupted in one call; changes no pixel.", show_default="by image size"),
    ] = None,
) -> None:
    """Write corrupted copies of images: DEST/<corruption>/<severity>/<same relative path>.

    The same command resumes an interrupted job. Further corruptions, severities and images are added.
    """
    from ppbench.copies.plan import opened_plan
    from ppbench.copies.request import CopyRequest

    request = CopyRequest(
        src=src,
        dest=dest,
        corruptions=split_values("--corruption", ["c15"] if corruptions is None else corruptions, "c15"),
        severities=split_values("--severity", ["1-5"] if severities is None else severities, "1-5"),
        perturbations=None if perturbations is None else split_values("--perturbation", perturbations, "corruptions"),
        difficulties=split_values("--difficulty", ["1"] if difficulties is None else difficulties, "1"),
        recipe=recipe,
        backend=backend,
        seed=seed,
        format=format,
        size=size,
        scale=scale,
        device=device,
        workers=workers,
        batch_size=batch_size,
        overwrite=overwrite,
    )
    output_format = output.Format.JSON if as_json else output.Format.RICH
    with opened_plan(request, claim=not dry_run) as plan:
        output.say(_describe(plan, chosen=recipe is None))
        for note in _notes(plan):
            output.say(note)
        if dry_run:
            output.show(_estimate(plan), output_format)
            return
        report = _run(plan)
    if report.outdated:
        output.say(
            f"{_count(report.outdated, 'file')} in {for_terminal(str(report.dest))} are kept although their images are "
            "gone or can no longer be read: remove them by hand, or start over with `--overwrite`"
        )
    output.show(_summary(report), output_format)
    if report.failures:
        raise _failed(report)


def _describe(plan: CopyPlan, *, chosen: bool) -> str:
    """The job in one line: images, place, cells and settings."""
    from ppbench.copies.sequences import sequence_recipe_for
    from ppbench.copies.sources import ImageArray
    from ppbench.corruptions.backends import BACKENDS
    from ppbench.corruptions.recipes import recipe_for_size
    from ppbench.data.walk import describe_left_out

    source, settings = plan.source, plan.settings
    left_out = f" (left out: {describe_left_out(source.left_out)})" if source.left_out else ""
    corruptions = {corruption for corruption, _ in plan.cells}
    middle, first, last = plan.middle_size, plan.sizes[0], plan.sizes[-1]
    cut = f", cut to {settings.size} x {settings.size}" if settings.size else ""
    why = ""
    if chosen and BACKENDS[settings.backend].only_recipe is None:
        by_size = (sequence_recipe_for if settings.sequences else recipe_for_size)(*middle) == settings.recipe
        span = "" if first == last else f"; sizes from {_size(first)} to {_size(last)}"
        why = f" (for images of {_size(middle)}{span})" if by_size else f" (as {for_terminal(str(plan.dest))} was made)"
    scale = f" | scale {settings.scale}" if settings.scale is not None else ""
    kind = "npy" if isinstance(source, ImageArray) else settings.format
    what = "perturbation" if settings.sequences else "corruption"
    return (
        f"{_count(len(source), 'image')} in {for_terminal(str(source.place))}{left_out}{cut} -> "
        f"{for_terminal(str(plan.dest))} | "
        f"{_count(len(corruptions), what)}, {_count(len(plan.cells), 'cell')} | "
        f"recipe {settings.recipe}{why}{scale} | seed {settings.seed} | format {kind} | "
        f"{plan.engine} on {plan.device} {_workers(plan.workers)}"
    )


def _notes(plan: CopyPlan) -> list[str]:
    """Hints about this job: large images, and names that are taken."""
    from ppbench.corruptions.recipes import KNOWN_RECIPES
    from ppbench.vocabulary import family_of

    notes = []
    # The recipe of sequences resizes images. C-bar's lengths are in proportion to the image.
    sequences, middle = plan.settings.sequences, plan.middle_size
    fixed = not sequences and any(family_of(corruption) != "c-bar" for corruption, _ in plan.cells)
    native = (None if sequences else KNOWN_RECIPES[plan.settings.recipe].native_size) or 224
    times = min(middle) / native
    if fixed and plan.settings.scale is None and times >= _MUCH_LARGER:
        notes.append(
            f"the blur and noise of recipe {plan.settings.recipe} hardly change images of {_size(middle)}: they are "
            f"for {native} px. `--size {native}` cuts the images to that size, `--scale auto` makes the recipe's "
            f"lengths {times:.3g} times larger"
        )
    if plan.longer:
        source, name = next(iter(plan.longer.items()))
        notes.append(
            f"the copies of {_count(len(plan.longer), 'image')} would have the names of other copies: they get longer "
            f"names, such as {for_terminal(name)} (of {for_terminal(source)})"
        )
    return notes


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"


def _run(plan: CopyPlan) -> CopyReport:
    """Make the copies under a display; after Ctrl-C, say how to resume."""
    from ppbench.copies.api import make_copies

    done = 0

    def advance(images: int) -> None:
        nonlocal done
        done += images
        show(images, "")

    try:
        with progress(len(plan.source)) as show:
            return make_copies(plan, advance)
    except KeyboardInterrupt:
        output.say(f"{done:,} of {_count(len(plan.source), 'image')} done; run the same command again to resume")
        raise


def _estimate(plan: CopyPlan) -> Facts:
    """The estimate, for a dry run."""
    from ppbench.copies.estimate import estimate_copies
    from ppbench.tables.report import Facts

    found = estimate_copies(plan)
    to_do = f", {found.missing:,} to do" if found.missing != found.images else ""
    lines = [
        ("images", f"{found.images:,}{to_do}"),
        ("files", f"{found.files:,}"),
        ("size", _bytes(round(found.gigabytes * 1e9))),
        ("time", f"about {duration(60 * found.minutes)} (h:mm:ss) {_workers(found.workers)}"),
        ("recipe", plan.settings.recipe),
        ("to", for_terminal(str(plan.dest))),
    ]
    content = {"dest": str(plan.dest), "recipe": plan.settings.recipe, **asdict(found)}
    return Facts("What the copies will take", lines, content)


def _failed_images(report: CopyReport) -> int:
    """Number of images that failed; an array that fails as a whole counts as all its images."""
    whole = any(failure.source.endswith(".npy") for failure in report.failures)
    return report.images if whole else len({failure.source for failure in report.failures})


def _summary(report: CopyReport) -> Facts:
    """The outcome of the job."""
    from ppbench.tables.report import Facts

    failed, unit = _failed_images(report), "sequence" if report.sequences else "file"
    lines = [
        ("written", f"{_count(report.written, unit)}, {_bytes(report.bytes)}"),
        ("kept", _count(report.kept, unit) if report.kept else ""),
        ("failed", _count(failed, "image") if failed else ""),
        ("recipe", report.recipe),
        ("to", for_terminal(str(report.dest))),
    ]
    content = {
        "dest": str(report.dest),
        "recipe": report.recipe,
        "images": report.images,
        "written": report.written,
        "bytes": report.bytes,
        "kept": report.kept,
        "outdated": report.outdated,
        "failed": [failure.entry() for failure in report.failures],
        "ignored": report.ignored,
        "left_out": report.left_out,
        "renamed": report.longer,
    }
    return Facts("Copies", [line for line in lines if line[1]], content)


def _failed(report: CopyReport) -> DataError:
    """The error that lists what could not be made. Cells of a source that failed for one reason share a line."""
    cells: dict[tuple[str, str, str], list[str]] = {}
    for source, cell, reason, hint in report.failures:
        cells.setdefault((source, reason, hint), []).extend([cell] if cell else [])
    lines = [
        f"{for_terminal(source)}{_cells(which, report)}: {reason}. {hint}".rstrip()
        for (source, reason, hint), which in cells.items()
    ]
    more = [f"and {len(lines) - _NAMED:,} more, in {report.dest / 'manifest.json'}"] if len(lines) > _NAMED else []
    return DataError(
        f"{_failed_images(report):,} of {_count(report.images, 'image')} could not be corrupted, or not in every cell",
        "\n".join([*lines[:_NAMED], *more]),
    )


def _cells(keys: list[str], report: CopyReport) -> str:
    """`` (glass_blur s4-5)``, for sequences `` (shot_noise d2)``; empty if all cells failed."""
    from ppbench.vocabulary import severity_label

    if len(keys) == report.cells:
        return ""
    severities: dict[str, list[int]] = {}
    for corruption, _, severity in (key.partition("/") for key in keys):
        severities.setdefault(corruption, []).append(int(severity))
    letter = "d" if report.sequences else "s"
    named = [f"{name} {letter}{severity_label(levels)[1:]}" for name, levels in severities.items()]
    return f" ({', '.join(named)})" if named else ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _workers(number: int) -> str:
    return f"with {_count(number, 'worker')}" if number else "in one process"


def _bytes(number: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= factor:
            return f"{number / factor:,.3g} {unit}"
    return f"{number} bytes"
