"""``ppbench check``: fail a build if a model has become less robust."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ppbench.cli import output
from ppbench.cli.help import page
from ppbench.cli.inputs import refuse_to_overwrite, run_files
from ppbench.cli.options import AllowOption, FormatOption
from ppbench.cli.output import Format
from ppbench.errors import PpbenchError, UsageError
from ppbench.files import is_same_file

if TYPE_CHECKING:
    from ppbench.check.config import CheckConfig
    from ppbench.check.verdict import Verdict

SUMMARY = "GITHUB_STEP_SUMMARY"
"""The environment variable in which GitHub Actions names the file of a step's summary."""


@page(
    "Fail if a run is worse than a baseline.",
    first=("--baseline", "--max-drop", "--update-baseline", "--fail-on", "--junit"),
    examples=(
        "ppbench check run.json --update-baseline baseline.json",
        "ppbench check run.json --baseline baseline.json --max-drop mean=0.5",
    ),
    groups={"Rules": ("--max-drop", "--config", "--fail-on", "--on-powerless", "--on-inconclusive")},
)
def check_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run file with its bits beside it.")],
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Run that this one must not be worse than.", show_default="from the config"),
    ] = None,
    max_drop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=POINTS",
            help="Points of accuracy that mean, clean, a family, a corruption or fog/3 may lose; repeatable.",
            show_default="from the config, else mean=0.5",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with [tool.ppbench.check].", show_default="pyproject.toml here"),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(help="1 minus the probability that chance breaks any rule.", show_default="0.95"),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="worse|perhaps|undecided",
            help="Mildest verdict that fails: worse than allowed; worse, perhaps allowed; undecided.",
            show_default="worse",
        ),
    ] = None,
    on_powerless: Annotated[
        str | None,
        typer.Option(
            metavar="pass|warn|fail",
            help="What to do about an underpowered pass: its images could reveal only a drop far larger than allowed.",
            show_default="warn",
        ),
    ] = None,
    on_inconclusive: Annotated[
        str | None, typer.Option(metavar="pass|fail", help="Older name of --fail-on.", hidden=True)
    ] = None,
    allow: AllowOption = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML too.", show_default=False)] = None,
    github_summary: Annotated[
        bool, typer.Option("--github-summary", help=f"Append Markdown to the file in ${SUMMARY}.")
    ] = False,
    update_baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the run as a baseline to commit; with a baseline to check against, only after a clear pass.",
            show_default=False,
        ),
    ] = None,
    format: FormatOption = Format.RICH,
) -> None:
    """Check a run against a baseline: exit code 0 pass, 1 regression, 2 usage, 3 data, 4 not comparable."""
    from ppbench.check.config import read_config
    from ppbench.check.report import CheckReport

    settings = read_config(config)
    reference = baseline or settings.baseline
    if update_baseline is not None and baseline is None and _is_first(settings.baseline, update_baseline):
        given = {
            "--max-drop": bool(max_drop),
            "--confidence": confidence is not None,
            "--fail-on": fail_on is not None,
            "--on-powerless": on_powerless is not None,
            "--on-inconclusive": on_inconclusive is not None,
            "--allow": bool(allow),
            "--junit": junit is not None,
            "--github-summary": github_summary,
            "--format": format is not Format.RICH,
        }
        _refuse_without_baseline([option for option, is_given in given.items() if is_given])
        _update(run, update_baseline)
        return
    if reference is None:
        raise UsageError(
            "there is no baseline",
            "Give `--baseline RUN`, or write one with `ppbench check RUN --update-baseline baseline.json`.",
        )
    _refuse_targets(run, reference, settings.file, junit, update_baseline)
    words = _words_of_strictness(settings, fail_on, on_powerless, on_inconclusive)
    verdict = _judge(run, reference, max_drop or [], settings, confidence, words, allow)
    output.show(CheckReport(verdict), format)
    _warn(verdict)
    writers: list[Callable[[], None]] = []
    if junit is not None:
        writers.append(partial(_write_junit, verdict, junit))
    if github_summary:
        writers.append(partial(_append_summary, verdict))
    if update_baseline is not None:
        writers.append(partial(_update_if_sure, run, update_baseline, verdict, settings.baseline is not None))
    code = verdict.exit_code
    for write in writers:
        try:
            write()
        except PpbenchError as error:  # must neither hide the verdict nor turn exit code 1 into another
            output.fail(error)
            code = code or error.exit_code
    raise typer.Exit(code)


def _refuse_missing(run: Path, baseline: Path) -> None:
    """Say how a baseline that is not there is written. The text for other run files would tell to evaluate again."""
    from ppbench.errors import DataError
    from ppbench.run import bits_file

    if baseline.suffix == ".json" and not baseline.exists():
        raise DataError(
            f"there is no baseline {baseline}",
            f"Write it once from a run that you trust, `ppbench check {run} --update-baseline {baseline}`, "
            f"and commit {baseline} and {bits_file(baseline)}.",
        )


def _refuse_targets(
    run: Path, reference: Path, config: Path | None, junit: Path | None, update_baseline: Path | None
) -> None:
    """Refuse a missing baseline and overwritten inputs before anything is judged. Only the baseline may be renewed."""
    from ppbench.check.baseline import check_target
    from ppbench.run import bits_file

    _refuse_missing(run, reference)
    inputs = [*run_files(run), *run_files(reference)]
    if update_baseline is not None:
        check_target(run, update_baseline)
        if not is_same_file(update_baseline, reference):
            refuse_to_overwrite("--update-baseline", bits_file(update_baseline), inputs)
    if junit is not None:
        others = (path for path in (config, update_baseline) if path is not None)
        refuse_to_overwrite("--junit", junit, [*inputs, *others])


def _is_first(baseline: Path | None, target: Path) -> bool:
    """Whether there is nothing to check against: no baseline in the config, or one that is yet to be written."""
    return baseline is None or (not baseline.exists() and is_same_file(baseline, target))


def _refuse_without_baseline(options: list[str]) -> None:
    if options:
        raise UsageError(
            f"{', '.join(options)} with --update-baseline needs a baseline to check against",
            "Give `--baseline RUN` too, or only `ppbench check RUN --update-baseline FILE` to write the first one.",
        )


def _update_if_sure(run: Path, target: Path, verdict: Verdict, by_config: bool) -> None:
    """Write the baseline only after a clear pass. Otherwise a tolerated drop would become the new reference."""
    if verdict.passed and not verdict.tolerated:
        _update(run, target)
        return
    way = (
        "delete the baseline of the config and write it again without --baseline"
        if by_config
        else "leave --baseline out"
    )
    kept = f"{target} is unchanged" if target.exists() else f"{target} is not written"
    output.say(f"{verdict.worst.label}: {kept}; to accept the drop, {way}")


def _judge(
    run: Path,
    reference: Path,
    max_drop: list[str],
    settings: CheckConfig,
    confidence: float | None,
    words: Mapping[str, str | None],
    allow: list[str] | None,
) -> Verdict:
    """Judge by the options, or by the file for options that are not given."""
    from ppbench.check.judge import check_files
    from ppbench.check.rules import DEFAULT_RULES, parse_rules

    rules = {**settings.rules, **parse_rules(max_drop)}
    verdict = check_files(
        run,
        reference,
        rules or DEFAULT_RULES,
        confidence=next(value for value in (confidence, settings.confidence, 0.95) if value is not None),
        **words,
        allow=[*settings.allow, *(allow or [])],
    )
    if not rules:  # not before an error, when nothing was judged
        texts = " ".join(f"{name}={points:g}" for name, points in DEFAULT_RULES.items())
        output.say(f"no rules given; using --max-drop {texts}")
    return verdict


def _words_of_strictness(
    settings: CheckConfig, fail_on: str | None, on_powerless: str | None, on_inconclusive: str | None
) -> dict[str, str | None]:
    """The options about what fails, or the file's values for options that are not given."""
    from ppbench.check.strictness import RENAMED

    if fail_on is None and on_inconclusive is None:
        fail_on, on_inconclusive = settings.fail_on, settings.on_inconclusive
    if on_inconclusive is not None:
        output.say(f"warning: {RENAMED}")
    return {
        "fail_on": fail_on,
        "on_powerless": settings.on_powerless if on_powerless is None else on_powerless,
        "on_inconclusive": on_inconclusive,
    }


def _warn(verdict: Verdict) -> None:
    """Print what a pass should not hide to stderr, whatever the format: build logs show stderr."""
    from ppbench.check.strictness import OnPowerless

    for outcome in verdict.tolerated:
        output.say(f"warning: {outcome.rule.name}: {outcome.label}, but tolerated (see --fail-on)")
    if verdict.powerless and verdict.strictness.on_powerless is OnPowerless.WARN:
        names = ", ".join(outcome.rule.name for outcome in verdict.powerless)
        output.say(
            f"warning: {names}: underpowered: too few images to show a drop a little larger than allowed "
            "(see --on-powerless)"
        )


def _write_junit(verdict: Verdict, path: Path) -> None:
    from ppbench.check.junit import to_junit
    from ppbench.files import atomic_write

    atomic_write(path, to_junit(verdict), "--junit FILE")


def _append_summary(verdict: Verdict) -> None:
    from ppbench.check.report import CheckReport
    from ppbench.errors import DataError

    target = os.environ.get(SUMMARY)
    if not target:
        output.say(f"{SUMMARY} is not set (it is in GitHub Actions): no summary was written")
        return
    try:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(output.written(CheckReport(verdict), Format.MARKDOWN) + "\n\n")
    except OSError as error:
        raise DataError(f"cannot write the summary {target}: {error.strerror}", f"${SUMMARY} names it.") from error


def _update(run: Path, target: Path) -> None:
    from ppbench.check.baseline import update_baseline

    written = update_baseline(run, target)
    output.say(f"wrote the baseline {target} and {written.bits.file if written.bits else ''}: commit both")
