"""Values that no option of any command takes. They are refused before a command begins."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from ppbench.cli.help import Helpful
from ppbench.errors import DataError, PpbenchError, UsageError
from ppbench.launch import check_environment
from ppbench.vocabulary import LARGEST_SIDE

HIGHEST: dict[str, int] = {
    **dict.fromkeys(("workers", "devices"), 1024),
    **dict.fromkeys(("resize", "input_size", "size", "crop_size", "crop_padding", "test_resize"), LARGEST_SIDE),
    "batch_size": 2**20,
    "seed": 2**63 - 1,
}
"""Largest values by option. More processes or pixels are a typing mistake, and could take down the machine."""
OTHERWISE = 2**31 - 1
FURTHEST = 1e9
"""Largest number that is not whole. No option needs a larger one, and sums stay finite."""
LONGEST_NAME, LONGEST_PATH = 255, 4096
"""Largest lengths that file systems allow, in bytes."""

_USAGE: Any = typer.BadParameter.__bases__[0]
"""What Typer raises for a command line that it does not understand; newer versions have a class of their own."""


class Checked(Helpful):
    """A command whose options are numbers in bounds and paths that a file system can have."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        has_nul = any("\0" in word for word in args)  # parsing uses the list up
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if has_nul and error.param is not None:  # a path: Typer has looked for it, and failed in its own words
                _check_text(_option(error.param), b"\0", is_path=True)
            # Typer puts the words of the library that it checks values with before its own.
            error.message = error.message.removeprefix("Value error, ")
            raise
        except _USAGE as error:
            if self.name == "eval" and "extra argument" in error.message:
                error.message += ". A model is given by an option: `--model NAME|FILE`"
            raise

    def invoke(self, ctx: Any) -> Any:
        for parameter in self.params:
            for value in _each(ctx.params.get(parameter.name or "")):
                check_value(_option(parameter), value)
        return super().invoke(ctx)


class Launchable(Checked):
    """A command that a launcher may start in several processes, or that runs code which checks for a launcher."""

    def invoke(self, ctx: Any) -> Any:
        check_environment()
        return super().invoke(ctx)


def check_value(option: str, value: object) -> None:
    """Make sure that a value can be used at all. The command itself judges what it means.

    Raises:
        UsageError: If it is a number that is not finite or far too large, or a path that cannot exist.
    """
    # Not `abs(value) > FURTHEST`, which is false for NaN.
    if isinstance(value, float) and not abs(value) <= FURTHEST:
        allowed = f"at most {FURTHEST:g}" if math.isfinite(value) else "a finite number"
        raise UsageError(f"{option} {value:g} is not allowed", f"It is {allowed}.")
    if isinstance(value, int) and not isinstance(value, bool):
        highest = HIGHEST.get(option.lstrip("-").replace("-", "_"), OTHERWISE)
        if abs(value) > highest:
            raise UsageError(f"{option} {_short(value)} is not allowed", f"It is at most {highest:,}.")
    if isinstance(value, str | Path):
        _check_text(option, os.fsencode(_without_halves(str(value))), is_path=isinstance(value, Path))


def for_a_file(error: OSError) -> PpbenchError | None:
    """Turn the system's error about a named file into one for the user; None for any other error."""
    if error.errno == errno.ENAMETOOLONG:
        return UsageError(f"{_short(error.filename)} is longer than a file name may be", "Give a shorter one.")
    if error.filename is None:
        return None
    return DataError(f"{error.filename}: {error.strerror}", "Is the path right, and may it be read and written?")


def _option(parameter: Any) -> str:
    """The name of an option or argument for people."""
    return parameter.opts[-1] if parameter.opts[0].startswith("-") else str(parameter.name)


def _each(value: object) -> Iterator[object]:
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _each(inner)
    else:
        yield value


def _check_text(option: str, text: bytes, *, is_path: bool) -> None:
    if b"\0" in text:
        raise UsageError(f"{option} has a NUL character", "No name of a file, model or dataset has one.")
    too_long = len(text) > LONGEST_PATH or any(len(part) > LONGEST_NAME for part in text.split(b"/"))
    if is_path and too_long:
        raise UsageError(f"{option} {_short(os.fsdecode(text))} is longer than a path may be", "Give a shorter one.")


def _without_halves(text: str) -> str:
    """Replace characters that the file system cannot have; bytes that are not UTF-8 stay."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:60]}…"
