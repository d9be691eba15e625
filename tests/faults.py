"""What is wrong with how a call ended that got a file which anyone may have made: fuzz tests collect it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from random import Random

from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.errors import PpbenchError

CODES = {0, 1, 2, 3, 4}


def fault_of(arguments: Sequence[object]) -> str | None:
    """What is wrong with how a command ended; None if nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return f"{type(done.exception).__name__}: {str(done.exception)[:200]}"
    if done.exit_code not in CODES:
        return f"exit code {done.exit_code}: {done.output[-300:]}"
    if not all(line.isprintable() for line in done.output.split("\n")):
        return "it prints what a terminal obeys"
    if done.exit_code in (2, 3, 4) and "error" not in done.stderr.lower():
        return f"exit code {done.exit_code} without a word"
    return None


def faults(
    kind: str,
    count: int,
    call: Callable[[Random], Sequence[object]],
    left: Callable[[], str | None] = lambda: None,
) -> list[str]:
    """The commands that ended wrongly, of ``count`` seeded ones.

    Args:
        kind: Seeds them.
        count: How many.
        call: Damages a file and names a command.
        left: What is wrong with the files that the command left; None if nothing is.
    """
    found = []
    for number in range(count):
        arguments = call(Random(f"{kind}/{number}"))
        fault = fault_of(arguments) or left()
        if fault is not None:
            found.append(f"{kind}/{number}: {' '.join(map(str, arguments))[:120]}: {fault}")
    return found


def faults_of_reading(kind: str, count: int, read: Callable[[Random], object], least_refused: float = 0.1) -> list[str]:
    """The reads that ended in anything but a value or an error in a line, of ``count`` seeded ones.

    Args:
        kind: Seeds them.
        count: How many.
        read: Damages a file and reads it.
        least_refused: Share of the files that must be refused: damage that no reader notices tests nothing.
    """
    found, refused = [], 0
    for number in range(count):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(Random(f"{kind}/{number}"))
        except PpbenchError as error:
            refused += 1
            if "\n" in error.message:
                found.append(f"{kind}/{number}: a message of several lines: {error.message[:200]!r}")
        except Exception as error:
            found.append(f"{kind}/{number}: {type(error).__name__}: {str(error)[:200]}")
    if refused < least_refused * count:
        found.append(f"{kind}: only {refused} of {count} are refused")
    return found
