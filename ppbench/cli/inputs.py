"""Files that a command reads and must not overwrite, and where it may write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ppbench.errors import DataError, UsageError
from ppbench.files import is_same_file


def run_files(run: Path) -> list[Path]:
    """A run file and the files that belong to it. A damaged run file is left for its reader to report."""
    from ppbench.run import beside, is_page, read_run

    try:
        read = read_run(run)
    except DataError:
        return [run]
    if is_page(run):
        return [run]
    return [run, *(beside(run, part.file) for part in (read.bits, read.predictions, read.trials) if part is not None)]


def refuse_to_overwrite(option: str, target: Path, inputs: Iterable[Path]) -> None:
    """Check that an output is not one of the inputs, however their paths are spelled.

    Raises:
        UsageError: If it is.
    """
    for file in inputs:
        if is_same_file(target, file):
            raise UsageError(f"{option} {target} would overwrite the input {file}", "Choose another name.")


def check_run_target(target: Path, models: int) -> None:
    """Check that ``--output`` is a run file or a folder, and a folder for several models.

    Raises:
        UsageError: If it is not.
    """
    if target.suffix == ".json" and models > 1:
        raise UsageError(f"--output {target} is one file for {models} models", "Give a folder: `--output runs`.")
    if (target.suffix not in ("", ".json") and not target.is_dir()) or (target.is_file() and target.suffix != ".json"):
        raise UsageError(f"--output {target} is neither a .json file nor a folder", "For example `--output run.json`.")


def refuse_to_replace_run(target: Path, *inputs: Path | None) -> None:
    """Make sure that a run that is written, with the files beside it, replaces no run that is read.

    In a folder a free name is chosen, so that nothing there can be replaced.

    Raises:
        UsageError: If it would.
    """
    from ppbench.run import bits_file, predictions_file

    for run in inputs if target.suffix == ".json" else ():
        if run is not None:
            for written in (target, bits_file(target), predictions_file(target)):
                refuse_to_overwrite("--output", written, run_files(run))
