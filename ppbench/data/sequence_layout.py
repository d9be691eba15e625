"""Recognize a published set of perturbation sequences by its content.

Videos are at ``<perturbation>/<class>/<image>.mp4``, those of noise of difficulty 2 and 3 at ``gaussian_noise_2/…``.
Arrays are ``<perturbation>.npy``, ``(images, frames, S, S, 3)``. `ppbench corrupt --perturbation` writes both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ppbench.data.cells import visible
from ppbench.data.npy import ArrayFile, array_file, is_sequences
from ppbench.data.walk import ending
from ppbench.errors import DataError
from ppbench.run import is_noise
from ppbench.vocabulary import P4, P10, Cell

_READINGS: dict[str, Cell] = {name: (name, 1) for name in (*P10, *P4)}
_READINGS |= {f"{name}_{level}": (name, level) for name in (*P10, *P4) if is_noise(name) for level in (2, 3)}
"""What is read, by the name of its folder or array. Difficulty changes the frames of noise alone."""

_WRAPPERS = 20
"""A folder with more subfolders than this contains classes, which are not searched."""

_DEPTH = 4
"""Folders below that of a perturbation which are searched for videos."""


@dataclass(frozen=True)
class SequencesFound:
    """A published set of sequences."""

    root: Path
    videos: dict[Cell, Path]
    """Folders of videos, by what is read. Either these or the arrays are empty."""
    arrays: dict[Cell, ArrayFile]


def look_for_sequences(root: Path) -> SequencesFound | None:
    """Recognize a published set of sequences by its content; None if there is none.

    It is found below wrapping folders, two levels deep, such as the group folders of the archives.

    Raises:
        DataError: If ``root`` is missing or cannot be read.
    """
    if root.is_file():
        return None
    videos: dict[Cell, Path] = {}
    arrays: dict[Cell, ArrayFile] = {}
    for folder, folders, files in _places(root):
        for name in folders:
            # What is nearer to the root counts.
            if name in _READINGS and _READINGS[name] not in videos and _has_video(folder / name):
                videos[_READINGS[name]] = folder / name
        for name in files:
            reading = _READINGS.get(name.removesuffix(".npy")) if name.endswith(".npy") else None
            if reading is not None and reading not in arrays and _is_array(folder / name):
                arrays[reading] = array_file(folder / name)
    if videos and arrays:
        raise DataError(
            f"{root} contains videos and arrays of sequences", "They are of two sets: put them into different folders."
        )
    return SequencesFound(root, videos, arrays) if videos or arrays else None


def _places(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield folders that may contain perturbations, two levels deep, each with the folders and files in it."""
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop(0)
        try:
            folders, files = visible(folder)
        except DataError:
            if folder == root:
                raise
            continue
        yield folder, folders, files
        others = [name for name in folders if name not in _READINGS]
        if depth < 2 and len(others) <= _WRAPPERS:
            waiting += [(folder / name, depth + 1) for name in others]


def _has_video(folder: Path) -> bool:
    return next(videos_below(folder), None) is not None


def videos_below(folder: Path, prefix: str = "", depth: int = _DEPTH) -> Iterator[str]:
    """Yield the videos below a folder, sorted folder by folder."""
    try:
        folders, files = visible(folder)
    except DataError:
        if depth == _DEPTH:
            raise
        return
    yield from (prefix + name for name in files if ending(name) == ".mp4")
    for name in folders if depth else []:
        yield from videos_below(folder / name, f"{prefix}{name}/", depth - 1)


def _is_array(path: Path) -> bool:
    return path.is_file() and is_sequences(array_file(path))
