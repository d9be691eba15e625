"""Failures that a user can repair, with the exit code of each kind, and other exceptions in one line."""

from __future__ import annotations


class PpbenchError(Exception):
    """A failure that the user can repair; the command line prints it without a traceback.

    Args:
        message: What is wrong: the value found, and what is allowed.
        hint: How to repair it, preferably a command to copy. It may have several lines.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(PpbenchError):
    """An option or argument has a value that is not allowed (exit code 2)."""

    exit_code = 2


class DataError(PpbenchError):
    """Data or weights are missing, unreadable or of the wrong form (exit code 3)."""

    exit_code = 3


class NotComparableError(PpbenchError):
    """Results were measured in different ways, so that a difference would mean nothing (exit code 4)."""

    exit_code = 4


def in_one_line(error: BaseException) -> str:
    """Return the type and message of an exception, in one line."""
    try:
        message = " ".join(str(error).split())
    except Exception:  # a class of the user's own
        message = ""
    return f"{type(error).__name__}: {message[:300]}" if message else type(error).__name__
