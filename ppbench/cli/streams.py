"""Standard output and standard error that accept everything that is written to them, on every machine."""

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
"""Name of the error handler of `codecs` that replaces a character which the encoding lacks by a similar one."""

LIKE = {
    "–": "-", "—": "-", "−": "-", "·": "|", "±": "+-", "×": "x", "…": "...", "→": "->", "←": "<-", "≤": "<=", "≥": ">=",
    "’": "'", "“": '"', "”": '"', "•": "*", "█": "#", "░": ".", "µ": "u", "σ": "sigma", "γ": "gamma",
}  # fmt: skip
"""ASCII for the characters of ppbench's own texts. Any other character becomes a question mark."""

CLOSED = {errno.EPIPE, errno.ESHUTDOWN} | ({errno.EINVAL} if sys.platform == "win32" else set())
"""Errors of a write to a pipe whose reader is gone, such as ``head`` after its last line."""


def open_streams() -> None:
    """Change stdout and stderr so that printing never ends a command.

    A character that the encoding lacks is replaced. Output to a closed pipe is dropped, and the command continues to
    its own exit code. A full disk is an error for stdout, but not for stderr.
    """
    codecs.register_error(REPLACED, _replaced)
    sys.stdout = _tolerant(sys.stdout, _refuse)
    sys.stderr = _tolerant(sys.stderr, lambda error: None)


def close_streams() -> None:
    """Write all buffered output.

    Raises:
        DataError: If the result cannot be written.
    """
    sys.stdout.flush()
    sys.stderr.flush()


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(LIKE.get(character, "?") for character in error.object[error.start : error.end]), error.end


def _tolerant(stream: TextIO | None, on_failure: Callable[[OSError], None]) -> TextIO:
    """Make a stream tolerant. A stream that was closed at the start (``>&-``) becomes one to the null device."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8", errors=REPLACED)
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors=REPLACED)
    buffer: Any = stream.buffer
    raw = getattr(buffer, "raw", buffer)
    if type(raw) is not io.FileIO:  # a console of Windows, or a test's replacement
        return stream
    unfailing = _Unfailing(raw.fileno(), on_failure)
    return io.TextIOWrapper(
        # Python's own stream has no buffer under `python -u`.
        unfailing if buffer is raw else io.BufferedWriter(unfailing),
        stream.encoding,
        REPLACED,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Unfailing(io.FileIO):
    """A stream that drops everything after its first failure.

    Args:
        file: Descriptor, which stays open.
        on_failure: Called with the first failure, unless it is a closed pipe.
    """

    def __init__(self, file: int, on_failure: Callable[[OSError], None]) -> None:
        super().__init__(file, "w", closefd=False)
        self._on_failure, self._failed = on_failure, False

    def write(self, content: Any, /) -> int:
        """Write a part of the bytes and return their number, as any raw stream does."""
        if self._failed:
            return len(content)
        try:
            while (written := super().write(content)) is None:  # a pipe that does not block, and is full
                select.select([], [self], [])
        except OSError as error:
            self._failed = True
            if error.errno not in CLOSED:
                self._on_failure(error)
            return len(content)
        return written


def _refuse(error: OSError) -> None:
    raise DataError(f"cannot write the result: {error.strerror}", "Make room, or write it to another place.") from error
