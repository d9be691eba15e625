"""Standard output and standard error that take whatever is written to them, on every machine."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from ppbench.errors import DataError

REPLACED = "ppbench.replaced"
"""Name of the error handler of `codecs` that writes something like a character that an encoding lacks."""

LIKE = {
    "–": "-", "—": "-", "−": "-", "·": "|", "±": "+-", "×": "x", "…": "...", "→": "->", "←": "<-", "≤": "<=", "≥": ">=",
    "’": "'", "“": '"', "”": '"', "•": "*", "█": "#", "░": ".", "µ": "u", "σ": "sigma", "γ": "gamma",
}  # fmt: skip
"""What stands for the characters of ppbench's own texts in ASCII; any other becomes a question mark."""

CLOSED = {errno.EPIPE, errno.ESHUTDOWN} | ({errno.EINVAL} if sys.platform == "win32" else set())
"""What a write to a pipe ends with whose reader has gone, as ``head`` does when it has read enough."""


def open_streams() -> None:
    """Make stdout and stderr such that printing never ends a command.

    A character that the encoding lacks is replaced; what is written to a closed pipe is dropped, and the command goes
    on to its own exit code. A disk that is full is an error for stdout, and none for stderr.
    """
    codecs.register_error(REPLACED, _replaced)
    sys.stdout = _tolerant(sys.stdout, _refuse)
    sys.stderr = _tolerant(sys.stderr, lambda error: None)


def close_streams() -> None:
    """Write what is still held back.

    Raises:
        DataError: If the result cannot be written.
    """
    sys.stdout.flush()
    sys.stderr.flush()


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(LIKE.get(character, "?") for character in error.object[error.start : error.end]), error.end


def _tolerant(stream: TextIO | None, told: Callable[[OSError], None]) -> TextIO:
    """The same stream, forgiving; a stream that was closed at the start (``>&-``) becomes one to nowhere."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8", errors=REPLACED)
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors=REPLACED)
    buffer: Any = stream.buffer
    raw = getattr(buffer, "raw", buffer)
    if type(raw) is not io.FileIO:  # a console of Windows, or what tests put in place of a stream
        return stream
    unfailing = _Unfailing(raw.fileno(), told)
    return io.TextIOWrapper(
        # Python's own stream has no buffer where it was asked to have none (`python -u`).
        unfailing if buffer is raw else io.BufferedWriter(unfailing),
        stream.encoding,
        REPLACED,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Unfailing(io.FileIO):
    """A stream that drops all from its first failure on.

    Args:
        file: Descriptor, which stays open.
        told: Called with the first failure, unless it is a closed pipe.
    """

    def __init__(self, file: int, told: Callable[[OSError], None]) -> None:
        super().__init__(file, "w", closefd=False)
        self._told, self._failed = told, False

    def write(self, content: Any, /) -> int:
        """Write a part of the bytes, as any raw stream; how many."""
        if self._failed:
            return len(content)
        try:
            while (written := super().write(content)) is None:  # a pipe that does not block, and is full
                select.select([], [self], [])
        except OSError as error:
            self._failed = True
            if error.errno not in CLOSED:
                self._told(error)
            return len(content)
        return written


def _refuse(error: OSError) -> None:
    raise DataError(f"cannot write the result: {error.strerror}", "Make room, or write it to another place.") from error
