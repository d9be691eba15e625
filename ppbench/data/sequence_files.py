"""The files of a sequence, below the folder of a perturbation: a video as published, a folder of frames, or an array.

`ppbench corrupt --perturbation` writes all three.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.cells import visible
from ppbench.data.decode import image_size, open_rgb
from ppbench.data.npy import array_file
from ppbench.data.video import MOST_FRAMES, MOST_IN_ALL, MOST_PIXELS, read_video
from ppbench.data.walk import ending
from ppbench.errors import DataError

_DEPTH = 4
"""Folders below that of a perturbation which are searched."""

_FRAME = re.compile(r"\d{2,3}\.png")

_HINT = "Replace or remove it."


class SequenceForm(NamedTuple):
    """How each sequence is stored."""

    name: str
    """In the singular, for messages."""
    plural: str
    encoding: Literal["lossless", "h264"]
    """Videos change frames, and with them the flips."""
    read: Callable[[Path], NDArray[np.uint8]]
    """Read a sequence ``(frames, H, W, 3)``; raises `DataError` with the path."""
    ending: str
    """Of the files; a slash for folders."""

    def below(self, folder: Path) -> Iterator[str]:
        """Yield the paths of all sequences below a folder, relative to it, folder by folder."""
        return _below(folder, self.ending, "", _DEPTH)

    def files(self, path: Path) -> list[Path]:
        """The files of a sequence."""
        return _frame_paths(path) if self.ending == "/" else [path]


def _below(folder: Path, wanted: str, prefix: str, depth: int) -> Iterator[str]:
    try:
        folders, files = visible(folder)
    except DataError:
        if depth == _DEPTH:
            raise
        return
    if wanted == "/" and prefix and {"00.png", "01.png"} <= set(files):
        yield prefix[:-1]
    yield from (prefix + name for name in files if ending(name) == wanted)
    for name in folders if depth else []:
        yield from _below(folder / name, wanted, f"{prefix}{name}/", depth - 1)


def _frame_paths(folder: Path) -> list[Path]:
    try:
        names = [name for name in visible(folder)[1] if _FRAME.fullmatch(name)]
    except DataError:
        return []
    return [folder / name for name in sorted(names, key=lambda name: int(name[:-4]))]


def _read_frames(folder: Path) -> NDArray[np.uint8]:
    paths = _frame_paths(folder)
    if not 0 < len(paths) <= MOST_FRAMES or [int(path.stem) for path in paths] != list(range(len(paths))):
        raise DataError(
            f"{folder} has {len(paths)} frames, or lacks one among them", f"They are 00.png, 01.png, …: {_HINT}"
        )
    frames: list[NDArray[np.uint8]] = []
    for path in paths:
        size = image_size(path)
        if size is not None and (size[0] * size[1] > MOST_PIXELS or (frames and size != frames[0].shape[:2])):
            raise DataError(f"{path} has {size[1]} x {size[0]} pixels", f"All frames have one size. {_HINT}")
        if size is not None and len(paths) * size[0] * size[1] > MOST_IN_ALL:
            raise DataError(f"{folder} has frames of more than {MOST_IN_ALL:,} pixels together", _HINT)
        frames.append(np.asarray(open_rgb(path, str(path))))
    return np.stack(frames)


def _read_array(path: Path) -> NDArray[np.uint8]:
    try:
        array = array_file(path)
    except OSError as error:
        raise DataError(f"cannot read the array {path}: {error.strerror or error}", _HINT) from error
    shape, dtype, _ = array.header()
    is_frames = dtype == np.uint8 and len(shape) == 4 and shape[3] == 3
    few = is_frames and 0 < shape[0] <= MOST_FRAMES and 0 < shape[1] * shape[2] <= MOST_PIXELS
    if not few or math.prod(shape[:3]) > MOST_IN_ALL:
        raise DataError(
            f"{path} has the shape {shape} of {dtype}", f"Expected (frames, H, W, 3) of uint8, not empty. {_HINT}"
        )
    return array.take()


SEQUENCE_FORMS = (
    SequenceForm("video", "videos", "h264", read_video, ".mp4"),
    SequenceForm("folder of frames", "folders of frames", "lossless", _read_frames, "/"),
    SequenceForm("array", "arrays", "lossless", _read_array, ".npy"),
)
