"""Baselines: run files that are small enough to commit, with readable diffs."""

from __future__ import annotations

from pathlib import Path

from ppbench.errors import DataError, UsageError
from ppbench.files import check_writable, is_same_file
from ppbench.run import PROBABILITY_COUNTS, Run, read_arrays, read_run, trials_if_any, write_run

OPTION = "--update-baseline FILE"


def update_baseline(run_file: Path, target: Path) -> Run:
    """Write a run as a baseline: a run file with only top-1 counts, one line per cell, and beside it its
    bits and, where images have several trials, these.

    Runs with equal results make the same files, byte for byte, on every machine and day.

    Raises:
        UsageError: If the target is not a ``.json`` file, or is the run file.
        DataError: If the run is missing, damaged, interrupted or without bits, or the target cannot be written.
    """
    check_target(run_file, target)
    run = read_run(run_file)
    if run.status != "complete":
        raise DataError(
            f"{run_file} was interrupted, and its missing cells would fail every check", "Finish the evaluation first."
        )
    bits, keys = read_arrays(run_file, run)
    cells = tuple(
        cell.model_copy(update=dict.fromkeys((*PROBABILITY_COUNTS, "label_confidence"))) for cell in run.cells
    )
    check_writable(target, OPTION)
    trials = trials_if_any(run_file, run)
    return write_run(target, run.model_copy(update={"cells": cells}), bits, keys, trials=trials, compact=True)


def check_target(run_file: Path, target: Path) -> None:
    """Refuse a target that cannot be a baseline of this run, before anything is judged.

    Raises:
        UsageError: If the target is not a ``.json`` file, or is the run file.
    """
    if target.suffix != ".json":
        raise UsageError(
            f"--update-baseline {target} is not allowed", "A baseline is a .json file, such as baseline.json."
        )
    if is_same_file(target, run_file):
        raise UsageError(f"the baseline {target} is the run itself", "Give the baseline another name.")
