"""Files that a command reads, and must not write over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ppbench.errors import DataError, UsageError
from ppbench.files import is_same_file


def run_files(run: Path) -> list[Path]:
    """A run file, and the file of its bits if it has one; what is wrong with it is for its reader to tell."""
    from ppbench.run import beside, read_run

    try:
        bits = read_run(run).bits
    except DataError:
        return [run]
    return [run] if bits is None else [run, beside(run, bits.file)]


def refuse_to_overwrite(option: str, target: Path, inputs: Iterable[Path]) -> None:
    """Make sure that what is written is none of the files that are read, however the paths are spelled.

    Raises:
        UsageError: If it is.
    """
    for file in inputs:
        if is_same_file(target, file):
            raise UsageError(f"{option} {target} would overwrite the input {file}", "Choose another name.")
