"""Files: reading them whole within bounds, writing them whole or not at all, and locking them."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, cast

from ppbench.errors import DataError, PpbenchError

LARGEST_TEXT = 4 * 2**20
"""Largest size of a run file, a table or a recipe in bytes. Once it is parsed, it may take thirty times as much."""

LARGEST_LONG_TEXT = 64 * 2**20
"""Largest size of a page that holds a run, or of a table with a line for each image, in bytes."""


def read_whole(path: Path, most: int = LARGEST_TEXT) -> bytes:
    """Read all bytes of a file, or of a pipe that another process is writing to.

    Args:
        path: The file.
        most: Largest allowed size in bytes.

    Raises:
        OSError: If it cannot be read, is a folder, a device or an empty pipe, or is too large; also for a name that no
            file system allows, such as one with a NUL.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for its other end.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:
        raise OSError(errno.EINVAL, f"not a file's name ({error})", str(path)) from error
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise OSError(errno.EINVAL, "it is a device, not a file; a regular file is needed", str(path))
        # Only opening must not wait. Reading must: a pipe may be empty at first.
        if hasattr(os, "set_blocking"):
            os.set_blocking(descriptor, True)
        # One byte more than allowed shows that there are more.
        content = file.read(most + 1)
    if not content and stat.S_ISFIFO(mode):
        raise OSError(errno.EINVAL, "it is a pipe with nothing in it; a regular file is needed", str(path))
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most // 2**20} MB", str(path))
    return content


def check_regular(path: Path) -> None:
    """Make sure that ``path`` is not a device or a pipe, which might take forever to open. It need not exist.

    Raises:
        DataError: If it is one.
    """
    if is_special(path):
        raise DataError(f"{path} is a device or a pipe, not a file", "Give the path of a regular file.")


def read_text(path: Path, most: int = LARGEST_TEXT) -> str:
    """Read all of a file as text: UTF-8, with or without a byte order mark.

    Raises:
        OSError: As `read_whole`.
        ValueError: If it is not UTF-8; the message is one line.
    """
    try:
        return read_whole(path, most).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start})") from error


def open_regular(path: Path, mode: str = "rb", buffering: int = -1) -> BinaryIO:
    """Open a file of bytes, as ``open`` does.

    Raises:
        OSError: If it cannot be opened, or is a pipe, a device or a folder, which might take forever to open or read.
    """
    return cast(BinaryIO, open(path, mode, buffering, opener=_open_if_regular))


def _open_if_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(None, "it is a pipe, a device or a folder, not a file")
    return descriptor


def atomic_write(path: Path, content: bytes | str, option: str = "--output FILE") -> None:
    """Write ``content`` to a temporary name beside ``path``, flush it to the disk, and rename it into place.

    Missing parent folders are made. A link is followed; a device or pipe is written to directly.

    Args:
        path: The file.
        content: Bytes, or text, which is written as UTF-8.
        option: The option by which the user chose the file, for an error message.

    Raises:
        DataError: If the folder cannot be written or the disk is full; ``path`` is then as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        if is_special(path):
            path.write_bytes(data)
        else:
            with replacing(path.resolve()) as file:
                file.write(data)
    except OSError as error:
        raise _cannot_write(path, error, option) from error


@contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """Yield a new file that replaces ``path`` when the block ends, whole and flushed to the disk.

    If the block raises, ``path`` is as it was. Missing parent folders are made.

    Args:
        path: The file.
        mode: Its permissions; None: those of any new file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a rename cannot cross file systems.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False) as file:
        temporary = Path(file.name)
        try:
            yield cast(BinaryIO, file)
            file.flush()
            # Before the rename: after a power failure, the name could otherwise lead to an empty file.
            os.fsync(file.fileno())
            # By default only its owner may read a temporary file.
            temporary.chmod(0o666 & ~_umask() if mode is None else mode)
            temporary.replace(path)
        finally:  # also after Ctrl-C; after success the file no longer exists
            temporary.unlink(missing_ok=True)


def append(journal: FileIO, lines: bytes) -> None:
    """Append to a journal opened without a buffer: a killed process loses nothing that was appended.

    Raises:
        OSError: If not all of it could be written.
    """
    content = memoryview(lines)
    while content:  # the system may take a part only
        content = content[journal.write(content) or 0 :]


def whole_lines(journal: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a journal that are complete: a kill may have cut off the last one."""
    return takewhile(lambda line: line.endswith(b"\n"), journal)


def check_writable(path: Path, option: str = "--output FILE") -> None:
    """Make sure, before hours of work, that ``path`` can be written afterwards.

    Args:
        path: The file.
        option: The option by which the user chose it, for an error message.

    Raises:
        DataError: If its folder cannot be made or written, or the path is a folder.
    """
    if path.is_dir():
        raise DataError(f"cannot write {path}: it is a folder", f"Give a file name: `{option}`.")
    try:
        if not is_special(path):
            path.resolve().parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.resolve().parent, prefix=f".{path.name}."):
                pass
    except OSError as error:
        raise _cannot_write(path, error, option) from error


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths name the same file, however they are spelled. It need not exist."""
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def is_special(path: Path) -> bool:
    """Whether ``path`` is a device or a pipe, such as ``/dev/null``. These are never replaced."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def try_lock(file: BinaryIO | FileIO) -> bool:
    """Lock a file; return False if another process has locked it.

    The lock ends when the file is closed or when this process ends in any way: no lock is ever left behind. If the
    system has no locks (Windows, some network file systems), return True without locking.
    """
    if sys.platform == "win32":  # a lock there also keeps its own process from reading through another handle
        return True
    from filelock import lock_descriptor

    # A lock of the descriptor, never one of `filelock.FileLock`: where a file system has no locks, that falls back to
    # a file whose mere existence is the lock, and which a killed process leaves behind.
    try:
        return lock_descriptor(file.fileno(), blocking=False)
    except OSError:
        return True


@contextmanager
def locked(path: Path, refusal: PpbenchError) -> Iterator[None]:
    """Lock the file at ``path`` while the block runs. The file stays, since removing it would be a race.

    Raises:
        PpbenchError: The ``refusal``, if another process holds it.
        OSError: If the file cannot be made.
    """
    with path.open("ab") as file:
        if not try_lock(file):
            raise refusal
        yield


def _cannot_write(path: Path, error: OSError, option: str) -> DataError:
    return DataError(f"cannot write {path}: {error.strerror or error}", f"Choose another place with `{option}`.")


def _umask() -> int:
    # The mask can only be read by setting another one.
    mask = os.umask(0)
    os.umask(mask)
    return mask
