"""Write copies so that each appears complete or not at all: a file, or a folder of frames."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ppbench.copies.encode import encode
from ppbench.copies.places import remove_copy
from ppbench.copies.records import cannot_write
from ppbench.copies.video import encode_video
from ppbench.corruptions.sequences.recipes import NOISES
from ppbench.corruptions.types import Pixels
from ppbench.vocabulary import Cell


def write_copy(dest: Path, name: str, files: Sequence[bytes], scratch: Path) -> dict[str, Any]:
    """Write a copy.

    Nothing is flushed to disk, which would take longer than making the image. After a power failure, an incomplete
    copy is recognized by its size.

    Args:
        dest: The folder that is written to.
        name: Path of the copy in it, with a slash at its end for a folder of frames.
        files: What `encoded` made: the content of its file, or of all files of a folder.
        scratch: A folder on the same file system.

    Returns:
        Its entry in the record: size and hash, for a folder those of all its frames in order.

    Raises:
        DataError: If the disk is full, or the folder cannot be written.
    """
    if name.endswith("/"):
        _write(dest / name, lambda part: _write_frames(part, files), scratch)
    else:
        _write(dest / name, lambda part: part.write_bytes(files[0]), scratch)
    digest = hashlib.sha256()
    for content in files:
        digest.update(content)
    return {"bytes": sum(map(len, files)), "sha256": digest.hexdigest()}


def encoded(pixels: Pixels, name: str, cell: Cell) -> list[bytes]:
    """Encode a copy: its file, or all files of a folder of frames.

    Args:
        pixels: An image ``(H, W, C)``, or a sequence ``(frames, H, W, C)``.
        name: Path of the copy, with the ending of its format; with a slash at its end for a folder of frames.
        cell: What it is a copy of.

    Raises:
        DataError: If it cannot be encoded.
    """
    if name.endswith("/"):
        return [encode(frame, "0.png") for frame in pixels]
    if name.endswith(".mp4"):
        return [encode_video(pixels, is_noise=cell[0] in NOISES)]
    return [encode(pixels, name)]


def _write(path: Path, fill: Callable[[Path], object], scratch: Path) -> None:
    """Fill a file or a folder under another name, and move it into place. Parent folders are created."""
    # One name per process is enough: each writes one copy at a time.
    part = scratch / f"{os.getpid()}.part"
    try:
        fill(part)
        if part.is_dir():
            remove_copy(path, is_folder=True)  # a folder takes the place of none but an empty one
        try:
            part.replace(path)
        # Only the first file of a folder gets here: testing for the folder each time would cost more.
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
    except OSError as error:
        shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def _write_frames(folder: Path, frames: Sequence[bytes]) -> None:
    folder.mkdir()
    for number, frame in enumerate(frames):
        (folder / f"{number:02}.png").write_bytes(frame)
