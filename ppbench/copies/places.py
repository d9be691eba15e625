"""Where the copies of a source are in the folder that is written to.

Copies of single images are at ``fog/3/a/b.jpg``. Sequences lie as the published sets do: ``snow/a/b.mp4``, and
``gaussian_noise_2/a/b.mp4`` for the noise of difficulty 2; frames as files are in a folder, ``snow/a/b/00.png``; those
of all images of an array are in one file, ``snow.npy``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ppbench.corruptions.sequences.recipes import EXTRA_PERTURBATIONS, TEST_PERTURBATIONS
from ppbench.vocabulary import CLEAN, NAME_PATTERN

_STILL = re.compile(rf"({CLEAN}/0|(?!{CLEAN}/){NAME_PATTERN}/[1-5])/(.+)", re.DOTALL)

ARRAY = ".npy"
"""What stands for the name of a source whose sequences are all in one array."""

_FRAME = re.compile(r"\d{2,3}\.png")
_FOLDER = ".png"
"""Ending of the name of a source whose frames are files in a folder."""


class CopyPlaces(ABC):
    """From a cell and the name of a source's copies to a path in the folder, and back.

    A cell is written as in the record: ``fog/3``, or ``gaussian_noise/2`` for a perturbation and its difficulty.
    """

    @abstractmethod
    def file(self, cell: str, output: str) -> str:
        """The path of a copy; it ends in a slash if the copy is a folder of frames."""

    @abstractmethod
    def found(self, file: str) -> tuple[str, str]:
        """The cell and the name that `file` made a path of.

        Raises:
            ValueError: If it makes no such path.
        """

    @abstractmethod
    def claimed(self, cell: str, *, begun: bool) -> tuple[str, ...]:
        """The paths that belong to a cell alone.

        Args:
            cell: The cell.
            begun: Whether other cells of its corruption are in the record.
        """


class _Stills(CopyPlaces):
    def file(self, cell: str, output: str) -> str:
        return f"{cell}/{output}"

    def found(self, file: str) -> tuple[str, str]:
        match = _STILL.fullmatch(file)
        if match is None:
            raise ValueError(f"{file!r} is not a file in a cell's folder")
        return match[1], match[2]

    def claimed(self, cell: str, *, begun: bool) -> tuple[str, ...]:
        # The whole folder of a corruption belongs to someone else if the record has none of its severities.
        return (cell if begun else cell.partition("/")[0],)


class _Sequences(CopyPlaces):
    def file(self, cell: str, output: str) -> str:
        top = _top(cell)
        if output == ARRAY:
            return top + ARRAY
        return f"{top}/{output.removesuffix(_FOLDER)}/" if output.endswith(_FOLDER) else f"{top}/{output}"

    def found(self, file: str) -> tuple[str, str]:
        top, slash, output = file.partition("/")
        if not slash:
            top, output = top.removesuffix(ARRAY), ARRAY
        elif output.endswith("/"):
            output = output[:-1] + _FOLDER
        cell = _CELLS.get(top)
        if cell is None or output in ("", _FOLDER) or self.file(cell, output) != file:
            raise ValueError(f"{file!r} is not in the folder of a perturbation")
        return cell, output

    def claimed(self, cell: str, *, begun: bool) -> tuple[str, ...]:
        return _top(cell), _top(cell) + ARRAY


STILLS: CopyPlaces = _Stills()
SEQUENCES: CopyPlaces = _Sequences()


def copy_places(settings: Mapping[str, Any]) -> CopyPlaces:
    """Where copies are that were made with recorded settings."""
    return SEQUENCES if settings.get("sequences") else STILLS


def _top(cell: str) -> str:
    name, _, difficulty = cell.partition("/")
    return name if difficulty == "1" else f"{name}_{difficulty}"


_CELLS = {
    _top(f"{name}/{level}"): f"{name}/{level}"
    for name in TEST_PERTURBATIONS + EXTRA_PERTURBATIONS
    for level in (1, 2, 3)
}
"""Cells by the name of their folder."""


def frame_files(folder: Path) -> Iterator[Path]:
    """The files of a folder of frames, in no order; other files there are not the copy's."""
    return (path for path in folder.iterdir() if _FRAME.fullmatch(path.name))


def size_of(path: Path) -> int:
    """Size in bytes of a file, or of all frames in a folder; -1 if it is not there."""
    try:
        if path.is_dir():
            return sum(frame.stat().st_size for frame in frame_files(path))
        return path.stat().st_size
    except OSError:
        return -1


def remove_copy(path: Path, *, is_folder: bool) -> None:
    """Remove a file, or a folder of frames. Other files in the folder stay, and the folder with them.

    Raises:
        OSError: If it cannot be removed. It is none if it is not there.
    """
    if not is_folder or path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for frame in list(frame_files(path)):
        frame.unlink()
    if not any(path.iterdir()):
        path.rmdir()
