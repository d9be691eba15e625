"""Finding the image files below a folder, and telling what else lies there. Free of torch."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ppbench.data.image_file import HEIF_ENDINGS, HEIF_HINT, endings, has_heif

LeftOut = Counter[str]
"""How many files and folders of each kind were not taken: kinds are endings (``.gif``) and the words below."""

NO_ENDING = "file without an ending"
NO_FILE = "pipe or device"
NO_UTF8 = "name that is not UTF-8"
RING = "link in a ring"
TWICE = "link to a folder that is read already"
SYSTEM = "folder of the system"
OUTPUT = "folder of corrupted images"
STRAY = "image outside the class folders"

_PLURALS = {
    NO_ENDING: "files without an ending",
    NO_FILE: "pipes or devices",
    NO_UTF8: "names that are not UTF-8",
    RING: "links in a ring",
    TWICE: "links to folders that are read already",
    SYSTEM: "folders of the system",
    OUTPUT: "folders of corrupted images",
    STRAY: "images outside the class folders",
}
_LONGEST_ENDING = 8
_KINDS_LISTED = 8

MANIFEST = "manifest.json"
"""In a folder that ``ppbench corrupt`` wrote: what lies there."""

SCRATCH = ".ppbench"
"""In a folder that it is writing: a folder of files that are not whole yet."""


class FoundImages(NamedTuple):
    """What lies below a folder."""

    names: list[str]
    """Image files: paths relative to the folder, with slashes, sorted by their parts."""
    left_out: LeftOut
    """What is no image that can be read; hidden files and folders are not counted."""


def find_images(root: Path, skip: Path | None = None, *, any_name: bool = False) -> FoundImages:
    """All image files below ``root``, at any depth.

    Hidden files and folders (such as macOS's ``._x.png``) are left out, and folders that ``ppbench corrupt`` wrote.
    Links to folders are followed, each folder is read once: where it lies, or by the first link that leads to it. A
    link that leads nowhere counts as what its name says.

    Args:
        root: The folder.
        skip: A folder below it that is not looked into.
        any_name: Whether files and folders are taken whose names are not UTF-8.

    Raises:
        OSError: If a folder cannot be read.
    """
    names: list[str] = []
    left_out: LeftOut = Counter()
    wanted = endings()
    for entry, name in _files(root, skip, left_out, any_name):
        kind = _kind(entry, wanted, any_name)
        if kind is None:
            names.append(name)
        else:
            left_out[kind] += 1
    return FoundImages(sorted(names, key=lambda name: name.split("/")), left_out)


def describe_left_out(left_out: LeftOut) -> str:
    """What was not taken, for people: ``2 .heic, 1 .gif``; of HEIC and AVIF also what reads them."""
    kinds = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    listed = [f"{count:,} {_PLURALS.get(kind, kind) if count > 1 else kind}" for kind, count in kinds[:_KINDS_LISTED]]
    more = sum(count for _, count in kinds[_KINDS_LISTED:])
    listed += [f"{more:,} others"] if more else []
    heif = not HEIF_ENDINGS.isdisjoint(left_out) and not has_heif()
    return ", ".join(listed) + (f". {HEIF_HINT}" if heif else "")


def is_output(folder: Path) -> bool:
    """Whether a job of ``ppbench corrupt`` wrote, or is writing, its files into a folder."""
    if (folder / SCRATCH).is_dir():
        return True
    manifest = folder / MANIFEST
    try:
        if not manifest.is_file():
            return False
        with manifest.open("rb") as file:
            lines = iter(lambda: file.readline(1000), b"")
            return next(lines, b"") == b"{\n" and any(line.startswith(b'  "manifest": ') for line in lines)
    except OSError:
        return False


def is_system(folder: Path) -> bool:
    """Whether a folder belongs to the system's own, such as ``/proc``: what lies there is no data and may not end."""
    try:
        status = folder.stat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_dev in _system_devices()


def is_folder(entry: os.DirEntry[str] | Path) -> bool:
    """Whether an entry is, or leads to, a folder; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_utf8(name: str) -> bool:
    """Whether a file's name is text: others come from the file system with surrogates in them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def ending(name: str) -> str:
    """What a name ends with, in small letters, with its dot; empty if it has none, or one that is no ending."""
    last = os.path.splitext(name)[1].lower()  # noqa: PTH122
    return last if len(last) <= _LONGEST_ENDING and last[1:].isalnum() else ""


def kind_of(name: str) -> str:
    """The kind that a file of this name is left out as."""
    return ending(name) or NO_ENDING


@cache
def _system_devices() -> frozenset[int]:
    """Numbers of the file systems that have no files of their own."""
    ordinary = _device(Path("/"))
    return frozenset(_device(Path(name)) for name in ("/proc", "/sys", "/dev")) - {ordinary, -1}


def _device(folder: Path) -> int:
    try:
        return folder.stat().st_dev
    except OSError:
        return -1


def _kind(entry: os.DirEntry[str], wanted: frozenset[str], any_name: bool) -> str | None:
    """None for an image that can be read; of others, as what they are left out."""
    status = _status(entry)
    if status is None and not _leads_nowhere(entry):
        return RING
    if status is not None and not stat.S_ISREG(status.st_mode):
        return NO_FILE
    if not any_name and not is_utf8(entry.name):
        return NO_UTF8
    return None if ending(entry.name) in wanted else kind_of(entry.name)


def _files(root: Path, skip: Path | None, left_out: LeftOut, any_name: bool) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Every visible entry that is not a folder, with its path relative to ``root``; links come last."""
    if is_system(root):
        left_out[SYSTEM] += 1
        return
    seen = _Seen(root, skip, left_out)
    folders: list[tuple[Path, str]] = [(root, "")]
    links: list[tuple[str, Path]] = []
    while folders or links:
        if not folders:
            links.sort(reverse=True)
            prefix, path = links.pop()
            if seen.is_new(path):
                folders.append((path, prefix))
            continue
        folder, prefix = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                status = _status(entry)
                if status is None or not stat.S_ISDIR(status.st_mode):
                    yield entry, prefix + entry.name
                elif not any_name and not is_utf8(entry.name):
                    left_out[NO_UTF8] += 1
                elif entry.is_symlink():
                    links.append((f"{prefix}{entry.name}/", Path(entry.path)))
                elif seen.is_new(Path(entry.path)):
                    folders.append((Path(entry.path), f"{prefix}{entry.name}/"))


class _Seen:
    """The folders that were read, and those that must not be.

    Args:
        root: The one all is below.
        skip: One that is not read, and not counted.
        left_out: Where the others that are not read are counted.
    """

    def __init__(self, root: Path, skip: Path | None, left_out: LeftOut) -> None:
        whole = root.resolve()
        self._above = {_identity(folder.stat()) for folder in (whole, *whole.parents)}
        self._skip = {_identity(skip.resolve().stat())} if skip and skip.resolve().is_dir() else set()
        self._read: set[tuple[int, int]] = set()
        self._left_out = left_out

    def is_new(self, folder: Path) -> bool:
        """Whether a folder has not been read yet; it then counts as read."""
        status = folder.stat()
        place = _identity(status)
        if place in self._skip:
            return False
        kind = (
            RING if place in self._above
            else TWICE if place in self._read
            else SYSTEM if status.st_dev in _system_devices()
            else OUTPUT if is_output(folder)
            else None
        )  # fmt: skip
        if kind is not None:
            self._left_out[kind] += 1
            return False
        self._read.add(place)
        return True


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Of what an entry leads to; None if it leads nowhere."""
    try:
        return entry.stat()
    except OSError:
        return None


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """Whether a link is to something that is not there, and not to itself, however indirectly."""
    try:
        os.stat(entry.path)  # noqa: PTH116
    except FileNotFoundError:
        return entry.is_symlink()
    except OSError:
        pass
    return False
