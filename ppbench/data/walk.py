"""Finding the image files below a folder. Free of torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ENDINGS = {".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"}
"""What an image file's name ends with, in small letters."""


class Found(NamedTuple):
    """What lies below a folder."""

    names: list[str]
    """Image files: paths relative to the folder, with slashes, sorted by their parts."""
    others: int
    """Other files; hidden ones are not counted."""


def find_images(root: Path, skip: Path | None = None, leave_out: Callable[[Path], bool] | None = None) -> Found:
    """All image files below ``root``, at any depth.

    Hidden files and folders (such as macOS's ``._x.png``) are left out. Links to folders are followed, except to a
    folder they lie in. A link that leads nowhere counts as what its name says.

    Args:
        root: The folder.
        skip: A folder below it that is not looked into.
        leave_out: Tells of a folder below it whether it is not looked into.

    Raises:
        OSError: If a folder cannot be read.
    """
    names: list[str] = []
    others = 0
    for entry, name in _files(root, skip.resolve() if skip else None, leave_out or (lambda _: False)):
        if os.path.splitext(entry.name)[1].lower() in ENDINGS and (entry.is_file() or _leads_nowhere(entry)):  # noqa: PTH122
            names.append(name)
        else:
            others += 1
    return Found(sorted(names, key=lambda name: name.split("/")), others)


def _files(root: Path, skip: Path | None, leave_out: Callable[[Path], bool]) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Every visible entry that is not a folder, with its path relative to ``root``."""
    waiting: list[tuple[Path, str, frozenset[Path]]] = [(root, "", frozenset([root.resolve()]))]
    while waiting:
        folder, prefix, above = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir():
                    yield entry, prefix + entry.name
                    continue
                real = Path(entry.path).resolve()
                if real not in above and real != skip and not leave_out(real):
                    waiting.append((Path(entry.path), f"{prefix}{entry.name}/", above | {real}))


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not Path(entry.path).exists()
