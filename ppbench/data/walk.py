"""Find the image files below a folder, and count everything else there. Free of torch."""

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
"""Number of files and folders left out, by kind: an ending (``.gif``) or one of the words below."""

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
"""Record of the files in a folder that ``ppbench corrupt`` wrote."""

SCRATCH = ".ppbench"
"""Subfolder for unfinished files while ``ppbench corrupt`` is writing."""


class FoundImages(NamedTuple):
    """Content of a folder."""

    names: list[str]
    """Image files: paths relative to the folder, with slashes, sorted by their parts."""
    left_out: LeftOut
    """Everything that is not a readable image, without hidden files and folders."""


def find_images(root: Path, skip: Path | None = None, *, any_name: bool = False) -> FoundImages:
    """Find all image files below ``root``, at any depth.

    Hidden files and folders (such as macOS's ``._x.png``) are left out, and so are folders that ``ppbench corrupt``
    wrote. Links to folders are followed, but each folder is read once: in its own place, or else through the first
    link to it. A broken link counts as the kind of file that its name suggests.

    Args:
        root: The folder.
        skip: A folder below it that is not read.
        any_name: Whether names that are not UTF-8 are accepted.

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
    """Describe what was left out: ``2 .heic, 1 .gif``. For HEIC and AVIF, a hint says how to read them."""
    kinds = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    listed = [f"{count:,} {_PLURALS.get(kind, kind) if count > 1 else kind}" for kind, count in kinds[:_KINDS_LISTED]]
    more = sum(count for _, count in kinds[_KINDS_LISTED:])
    listed += [f"{more:,} others"] if more else []
    heif = not HEIF_ENDINGS.isdisjoint(left_out) and not has_heif()
    return ", ".join(listed) + (f". {HEIF_HINT}" if heif else "")


def is_output(folder: Path) -> bool:
    """Whether ``ppbench corrupt`` wrote, or is writing, a folder."""
    if (folder / SCRATCH).is_dir():
        return True
    manifest = folder / MANIFEST
    try:
        if not manifest.is_file():
            return False
        with manifest.open("rb") as file:
            # Read line by line up to one key and not parsed: a manifest has a line for every image.
            lines = iter(lambda: file.readline(1000), b"")
            return next(lines, b"") == b"{\n" and any(line.startswith(b'  "manifest": ') for line in lines)
    except OSError:
        return False


def is_system(folder: Path) -> bool:
    """Whether a folder is the system's, such as ``/proc``: its files are not data, and some never end."""
    try:
        status = folder.stat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_dev in _system_devices()


def is_folder(entry: os.DirEntry[str] | Path) -> bool:
    """Whether an entry is a folder or a link to one; a link to itself is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_utf8(name: str) -> bool:
    """Whether a file name is valid UTF-8; Python represents all other bytes by surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def ending(name: str) -> str:
    """Lowercase ending of a name, with its dot; empty if it has none, or a long or odd one."""
    last = os.path.splitext(name)[1].lower()  # noqa: PTH122
    return last if len(last) <= _LONGEST_ENDING and last[1:].isalnum() else ""


def kind_of(name: str) -> str:
    """The kind as which a file of this name is left out."""
    return ending(name) or NO_ENDING


@cache
def _system_devices() -> frozenset[int]:
    """Device numbers of the system's virtual file systems."""
    # Where `/dev` is a plain folder, as in some containers, its device is that of all other files.
    ordinary = _device(Path("/"))
    return frozenset(_device(Path(name)) for name in ("/proc", "/sys", "/dev")) - {ordinary, -1}


def _device(folder: Path) -> int:
    try:
        return folder.stat().st_dev
    except OSError:
        return -1


def _kind(entry: os.DirEntry[str], wanted: frozenset[str], any_name: bool) -> str | None:
    """None for an image that can be read; else the kind as which it is left out."""
    status = _status(entry)
    if status is None and not _leads_nowhere(entry):
        return RING
    if status is not None and not stat.S_ISREG(status.st_mode):
        return NO_FILE
    if not any_name and not is_utf8(entry.name):
        return NO_UTF8
    return None if ending(entry.name) in wanted else kind_of(entry.name)


def _files(root: Path, skip: Path | None, left_out: LeftOut, any_name: bool) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Yield visible entries that are not folders, with their paths relative to ``root``; linked folders come last."""
    if is_system(root):
        left_out[SYSTEM] += 1
        return
    seen = _Seen(root, skip, left_out)
    folders: list[tuple[Path, str]] = [(root, "")]
    links: list[tuple[str, Path]] = []
    while folders or links:
        if not folders:
            # By name, after all real folders: which link to a folder counts does not depend on the disk's order.
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
    """Folders that were read, and folders that must not be read.

    Args:
        root: The folder that is searched.
        skip: A folder that is neither read nor counted.
        left_out: Counts the other folders that are not read.
    """

    def __init__(self, root: Path, skip: Path | None, left_out: LeftOut) -> None:
        whole = root.resolve()
        # A link to one of these leads back to itself.
        self._above = {_identity(folder.stat()) for folder in (whole, *whole.parents)}
        self._skip = {_identity(skip.resolve().stat())} if skip and skip.resolve().is_dir() else set()
        self._read: set[tuple[int, int]] = set()
        self._left_out = left_out

    def is_new(self, folder: Path) -> bool:
        """Whether a folder is still to read; it then counts as read."""
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
    """Status of an entry's target; None if there is no target."""
    try:
        return entry.stat()
    except OSError:
        return None


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """Whether a link's target is missing; False for a link to itself, however indirect."""
    try:
        os.stat(entry.path)  # noqa: PTH116
    except FileNotFoundError:
        return entry.is_symlink()
    except OSError:
        pass
    return False
