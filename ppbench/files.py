"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ppbench.errors import DataError


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write ``content`` to a temporary name beside ``path``, flush it to the disk, and rename it into place.

    Missing parent folders are made.

    Raises:
        DataError: If the folder cannot be written or the disk is full; ``path`` is then as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise DataError(
            f"cannot write {path}: {error.strerror}", "Choose another place with `--output FILE`."
        ) from error


def check_writable(path: Path) -> None:
    """Make sure, before hours of work, that ``path`` can be written at their end.

    Raises:
        DataError: If its folder cannot be made or written, or the path is a folder.
    """
    if path.is_dir():
        raise DataError(f"cannot write {path}: it is a folder", "Give a file name: `--output FILE`.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror}", "Choose another place with `--output FILE`."
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
